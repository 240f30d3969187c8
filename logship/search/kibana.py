"""A question as Kibana reads it: aliases and short values in full, and each label with the map that it is in."""

from collections.abc import Collection
from dataclasses import replace

from logship.errors import KqlError
from logship.search.kql import And, Is, Node, Not, Or, Range, Text, either
from logship.search.meaning import meaning
from logship.search.mistakes import refuse_other_languages
from logship.search.predicate import Every, Some, Unless
from logship.search.shorthand import ALIASES, full
from logship.search.targets import KIND_OF, MAPS, label_key


def for_kibana(node: Node | None, labels: Collection[str], now_ns: int) -> Node | None:
    """Return the query that finds in Kibana what `node` finds here. KqlError as in `meaning`.

    `labels`: the labels that occur, as `labels.tenant` and `numeric_labels.retry`."""
    match node:
        case None:
            return None
        case And(parts):
            told = [for_kibana(part, labels, now_ns) for part in parts]
            return And(tuple(one for part in told if part for one in (part.parts if isinstance(part, And) else (part,))))
        case Or(parts):
            told = [for_kibana(part, labels, now_ns) for part in parts]
            return Or(tuple(one for part in told if part for one in (part.parts if isinstance(part, Or) else (part,))))
        case Not(part):
            inner = for_kibana(part, labels, now_ns)
            return Not(inner) if inner else None
        case Is() | Range():
            return _leaf(node, labels, now_ns)


def _leaf(leaf: Is | Range, labels: Collection[str], now_ns: int) -> Node:
    refuse_other_languages(leaf)
    name = leaf.field.text if isinstance(leaf.field, Text) else ""
    if not name or name in KIND_OF or name in MAPS:
        meaning(leaf, now_ns)  # what a field cannot hold is an error here, before Kibana makes one of it
        return full(leaf)
    key = label_key(name)
    roots = [root for root in MAPS if f"{root}.{key}" in labels]
    able = [root for root in roots if _can_hold(root, _named(leaf, f"labels.{key}"))]
    found: list[Node] = [_named(leaf, f"{root}.{key}") for root in able]
    if name in ALIASES:
        try:
            meaning(leaf, now_ns, is_label=lambda _: False)
            found.insert(0, full(leaf))
        except KqlError:
            if not roots:
                raise
    if not found:
        return _named(leaf, f"{(roots or MAPS)[0]}.{key}")
    return either(*found)


def _named(leaf: Is | Range, name: str) -> Is | Range:
    at = leaf.field.at if leaf.field is not None else 0
    return replace(leaf, field=Text(name, at=at))


def _can_hold(root: str, leaf: Is | Range) -> bool:
    """Whether labels of this map can have such a value: texts and numbers are not compared with each other."""
    test = meaning(leaf, 0)
    kind = "label" if root == "labels" else "number label"
    parts = test.parts if isinstance(test, Some) else (test,)
    return any(not isinstance(one, Every | Some | Unless) and one.target.kind == kind for one in parts)
