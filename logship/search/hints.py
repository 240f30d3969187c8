"""Labels that a query names and no event has: one sentence for each, with a suggestion."""

from logship.search.kql import Node, existing
from logship.search.names import labels_in, nearest
from logship.search.query import Page, Query, Source
from logship.search.targets import MAPS, label_key

# Each name costs one search.
NAMES_LIMIT = 10


def hints(source: Source, where: Node | None) -> list[str]:
    """Return a sentence for each label in `where` that no event in `source` has. Mostly [], without a search.

    A misspelled field is an error when the query runs. A label may be absent for good reasons, so it is only a hint."""
    names = list(dict.fromkeys(name.text for name in labels_in(where)))[:NAMES_LIMIT]
    absent = [
        name for name in names if not source.search(Query(existing(name)), Page(1, columns=("event.id",))).records
    ]
    if not absent:
        return []
    labels = [field.name for field in source.fields() if field.name.startswith(MAPS)]
    return [_sentence(name, nearest(label_key(name), labels)) for name in absent]


def _sentence(name: str, near: str | None) -> str:
    advice = f"did you mean {near}?" if near and near != name else "list the names with: logship fields"
    return f"no event has a field or label {name!r}; {advice}"
