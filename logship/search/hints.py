"""What a query names and no event has: one sentence for each such name, with the name that was meant."""

from collections.abc import Iterator

from logship.search.kql import And, Is, Node, Not, Or, Range, Text, existing
from logship.search.meaning import MAPS, is_field, label_key, nearest
from logship.search.query import Page, Query, Source

# Each costs a search of its own.
NAMES_LIMIT = 10


def hints(source: Source, where: Node | None) -> list[str]:
    """Return a sentence for each name in `where` that no event in `source` has; [] in most cases, without a search.

    A misspelt field is an error before that; this is for labels, which may be absent for good reasons."""
    names = list(dict.fromkeys(_labels(where)))[:NAMES_LIMIT]
    absent = [
        name for name in names if not source.search(Query(existing(name)), Page(1, columns=("event.id",))).records
    ]
    if not absent:
        return []
    labels = [one.name for one in source.fields() if one.name.startswith(MAPS)]
    return [_sentence(name, nearest(label_key(name), labels)) for name in absent]


def _sentence(name: str, near: str | None) -> str:
    said = f"no event has a field or label {name!r}"
    return f"{said}; did you mean {near}?" if near and near != name else f"{said}; logship fields lists what there is"


def _labels(node: Node | None) -> Iterator[str]:
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _labels(part)
        case Not(part):
            yield from _labels(part)
        case Is(Text(name), _) | Range(Text(name), _, _):
            if not is_field(name) and name not in MAPS:
                yield name
