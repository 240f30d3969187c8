"""Queries in Elasticsearch's query DSL, for the data streams of our templates.

The meaning is that of `meaning`: words are those of the standard analyser, dates are instants with nine digits, and values
that a field cannot hold were refused before. `labels` is one `flattened` field: its keys are not fields of the mapping, so
wildcards in their names need the names that occur.
"""

from collections.abc import Callable, Collection
from datetime import UTC, tzinfo
from typing import Any

from logship.search.addresses import address_text
from logship.search.kql import Node
from logship.search.meaning import meaning
from logship.search.predicate import Compare, Every, Exists, Like, Phrase, Some, Test, Unless, Within, WordLike
from logship.search.query import Query
from logship.search.targets import Target
from logship.search.times import rfc3339
from logship.search.words import like_regex

Dsl = dict[str, Any]

ALL: Dsl = {"match_all": {}}
NONE: Dsl = {"match_none": {}}
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
# A range over a flattened field needs both ends; no text is greater than this.
_GREATEST = "\U0010ffff"
LONG = 2**63


def dsl(
    node: Node | None,
    now_ns: int,
    zone: tzinfo = UTC,
    labels: Collection[str] = (),
    is_label: Callable[[str], bool] = lambda _: True,
) -> Dsl:
    """Return the query of `node`. `is_label` and KqlError as in `meaning`.

    `labels`: names of labels, as `labels.tenant` and `numeric_labels.retry`, for wildcards in names."""
    return _test(meaning(node, now_ns, zone, is_label), labels)


def whole(
    query: Query,
    now_ns: int,
    zone: tzinfo = UTC,
    labels: Collection[str] = (),
    is_label: Callable[[str], bool] = lambda _: True,
) -> Dsl:
    """Return the query of a `Query`, with its times."""
    parts = [] if query.where is None else [dsl(query.where, now_ns, zone, labels, is_label)]
    times = {"gte": query.since_ns, "lt": query.until_ns}
    bounds = {bound: rfc3339(max(ns, 0)) for bound, ns in times.items() if ns is not None}
    if bounds:
        parts.append({"range": {"@timestamp": bounds}})
    return {"bool": {"filter": parts}} if len(parts) > 1 else parts[0] if parts else ALL


def _test(test: Test, labels: Collection[str]) -> Dsl:
    match test:
        case Every(parts):
            return {"bool": {"filter": [_test(part, labels) for part in parts]}} if parts else ALL
        case Some(parts):
            return _any([_test(part, labels) for part in parts])
        case Unless(part):
            return {"bool": {"must_not": [_test(part, labels)]}}
        case _:
            return _any([_leaf(test, field) for field in _fields(test.target, labels)])


def _any(parts: list[Dsl]) -> Dsl:
    if not parts:
        return NONE
    return parts[0] if len(parts) == 1 else {"bool": {"should": parts, "minimum_should_match": 1}}


def _fields(target: Target, labels: Collection[str]) -> list[str]:
    """The names in the mapping that a target stands for."""
    if target.kind not in ("label", "number label"):
        return [target.name]
    root = "labels" if target.kind == "label" else "numeric_labels"
    if target.parts is None:
        return [f"{root}.{target.name}"]
    if target.kind == "label" and not any(target.parts):
        return [root]
    fits = like_regex(target.parts)
    return [name for name in labels if name.startswith(root + ".") and fits.fullmatch(name.removeprefix(root + "."))]


def _leaf(test: Exists | Compare | Within | Like | Phrase | WordLike, field: str) -> Dsl:
    match test:
        case Exists():
            return {"exists": {"field": field}}
        case Compare(target, operator, value):
            return _compare(target, field, operator, value)
        case Within(_, low, high):
            return {"range": {field: {"gte": address_text(low), "lte": address_text(high)}}}
        case Like(target, parts) if target.kind == "label":
            return _label_like(field, parts)
        case Like(_, parts) | WordLike(_, parts):
            return {"wildcard": {field: {"value": "*".join(map(_wildcard_escaped, parts))}}}
        case Phrase(_, words):
            return {"match_phrase": {field: " ".join(words)}}


def _compare(target: Target, field: str, operator: str, value: int | float | str | bool) -> Dsl:
    if target.kind == "date":
        return _date(field, operator, int(value))
    if target.kind == "ip":
        value = address_text(int(value))
    if target.kind == "integer" and isinstance(value, int) and not -LONG <= value < LONG:
        # Elasticsearch refuses to be asked for what no long can be.
        return {"exists": {"field": field}} if operator.startswith("<" if value > 0 else ">") else NONE
    if operator == "=":
        return {"term": {field: {"value": value}}}
    bounds = {_BOUNDS[operator]: value}
    if target.kind == "label":
        bounds |= {"lte": _GREATEST} if operator.startswith(">") else {"gte": ""}
    return {"range": {field: bounds}}


def _label_like(field: str, parts: tuple[str, ...]) -> Dsl:
    """A flattened field refuses wildcard queries; query_string makes one all the same, and not of the value: of the term, in
    which Lucene holds the key as well, with a NUL behind it."""
    _, _, key = field.partition(".")
    if key and len(parts) == 2 and not parts[1]:
        return {"prefix": {field: {"value": parts[0]}}}
    before = f"{_query_escaped(key)}\0" if key else ""
    return {"query_string": {"fields": [field], "query": before + "*".join(map(_query_escaped, parts))}}


def _date(field: str, operator: str, ns: int) -> Dsl:
    """`date_nanos` holds nothing before 1970, and refuses to be asked."""
    if ns < 0:
        return {"exists": {"field": field}} if operator.startswith(">") else NONE
    return {"range": {field: {_BOUNDS[operator]: rfc3339(ns)}}}


def _wildcard_escaped(text: str) -> str:
    return "".join(f"\\{one}" if one in "\\*?" else one for one in text)


def _query_escaped(text: str) -> str:
    """As one word of a query_string. `<` and `>` cannot be escaped there, so any one character stands for them."""
    return "".join("?" if one in "<>" else f"\\{one}" if one in '\\+-=&|!(){}[]^"~*?:/ ' else one for one in text)
