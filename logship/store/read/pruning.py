"""Which events a query can match at most, so that only the rows that may hold them are read."""

from dataclasses import dataclass
from typing import NamedTuple

from logship.search.predicate import Compare, Every, Some, Test
from logship.store.files import Segment
from logship.store.needles import FIELDS, Span

# With more of them, looking each up takes longer than reading the rows.
_IDS_LIMIT = 100


class WantedId(NamedTuple):
    """A field with ids, and the id that it must have."""

    field: str
    id: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """The files that may hold events of a query. `spans`: the positions of rows in segments, None for all of them."""

    segments: list[Segment]
    logs: list[int]
    spans: list[Span] | None = None


def wanted_ids(test: Test) -> frozenset[WantedId] | None:
    """Return ids of which a matching event has one, None if other events may match as well."""
    wanted = _wanted(test)
    return wanted if wanted is not None and len(wanted) <= _IDS_LIMIT else None


def _wanted(test: Test) -> frozenset[WantedId] | None:
    match test:
        case Compare(target, "=", str(value)) if target.name in FIELDS and target.kind == "keyword":
            return frozenset((WantedId(target.name, value),))
        case Every(parts):
            sets = [wanted for wanted in map(_wanted, parts) if wanted is not None]
            return min(sets, key=len, default=None)
        case Some(parts):
            alternatives = [_wanted(part) for part in parts]
            return None if None in alternatives else frozenset[WantedId]().union(*filter(None, alternatives))
    return None
