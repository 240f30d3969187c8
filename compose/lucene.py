"""Translate the KQL of the catalogue: to Lucene for Grafana's Elasticsearch source, to SPL for Splunk.

It supports what the catalogue uses: a field with a value, a comparison or any value, combined with and, or and not."""

from collections.abc import Callable
from typing import Final

from logship.search import kql
from logship.search.views import View

# Returns the text of a condition: (field, operator, value). The operator is `=`, a comparison, or `exists`.
Leaf = Callable[[str, str, str], str]
_ESCAPED: Final = str.maketrans({'"': '\\"', "\\": "\\\\"})


def condition(view: View, id: str) -> kql.Node | None:  # noqa: A002
    """Return the filter of a view, for the request `id`. A view of a number only includes events that have it, as stores do."""
    where = kql.parse(view.where.replace("{0}", id))
    if not view.number or f"{view.number}: *" in view.where:
        return where
    return (
        kql.And((*(where.parts if isinstance(where, kql.And) else (where,)), kql.existing(view.number)))
        if where
        else None
    )


def lucene(node: kql.Node | None) -> str:
    """Return the filter as a Lucene query string; `*` if it is empty."""
    return _written(node, _in_lucene) or "*"


def spl(node: kql.Node | None) -> str:
    """Return the filter as conditions of Splunk's `search` command."""
    return _written(node, _in_spl)


def _in_lucene(field: str, operator: str, value: str) -> str:
    if operator == "exists":
        return f"_exists_:{field}"
    return f"{field}:{_quoted(value)}" if operator == "=" else f"{field}:{operator}{value}"


def _in_spl(field: str, operator: str, value: str) -> str:
    if operator == "exists":
        return f"{field}=*"
    return f"{field}={_quoted(value)}" if operator == "=" else f"{field}{operator}{value}"


def _quoted(value: str) -> str:
    return f'"{value.translate(_ESCAPED)}"'


def _written(node: kql.Node | None, leaf: Leaf) -> str:
    match node:
        case None:
            return ""
        case kql.And(parts):
            return " AND ".join(_inside(part, leaf) for part in parts)
        case kql.Or(parts):
            return " OR ".join(_inside(part, leaf) for part in parts)
        case kql.Not(part):
            return f"NOT {_inside(part, leaf)}"
        case kql.Range(kql.Text(name), operator, kql.Text(value)):
            return leaf(name, operator, value)
        case kql.Is(kql.Text(name), kql.Pattern() as pattern) if pattern.any:
            return leaf(name, "exists", "")
        case kql.Is(kql.Text(name), kql.Text(value)):
            return leaf(name, "=", value)
    raise ValueError(f"cannot translate {kql.text_of(node)} to Lucene and SPL: add a case to compose/lucene.py")


def _inside(node: kql.Node, leaf: Leaf) -> str:
    text = _written(node, leaf)
    return f"({text})" if isinstance(node, kql.And | kql.Or) else text
