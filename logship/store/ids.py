"""Which events of ours a store holds: ranges of sequences for each incarnation, and how many rows they have.

A segment's `.ids` file is the JSON object {incarnation: [rows, [[low, high], ...]]}. It is written before its segment
gets its name, holds what the segment holds, and is made again from it when it is missing or cannot be read.
"""

import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import orjson

from logship.event.entry import parse_event_id
from logship.search.ranges import Ranges, union
from logship.store.files import Segment, write_durably

# Beyond this a number is no sequence of ours, and DuckDB could not count with it.
_SEQUENCE_LIMIT = 10**18


@dataclass(frozen=True, slots=True)
class Held:
    """`rows` is more than the size of `ranges` when events are held twice."""

    rows: int
    ranges: Ranges


Ids = dict[str, Held]


def identity(record: Mapping[str, object]) -> tuple[str, int] | None:
    """Return incarnation and sequence of a record of ours, None of anybody else's."""
    found = parse_event_id(record.get("event.id"))
    return found if found and found[1] < _SEQUENCE_LIMIT else None


def collect(events: Iterable[str | None]) -> Ids:
    """Return the ids among `events`, those of others left out."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        if found := identity({"event.id": event}):
            numbers[found[0]].append(found[1])
    return {name: Held(len(some), union((number, number) for number in some)) for name, some in numbers.items()}


def merge(many: Iterable[Ids]) -> Ids:
    """Return what several files hold together."""
    rows: defaultdict[str, int] = defaultdict(int)
    ranges: defaultdict[str, list[Ranges]] = defaultdict(list)
    for ids in many:
        for name, held in ids.items():
            rows[name] += held.rows
            ranges[name].append(held.ranges)
    return {name: Held(rows[name], union(*ranges[name])) for name in rows}


def write(directory: Path, segment: Segment, ids: Ids) -> None:
    """Make the `.ids` file of `segment`."""
    write_durably(
        directory / segment.ids_name, orjson.dumps({name: [held.rows, held.ranges] for name, held in ids.items()})
    )


def read(directory: Path, segment: Segment) -> Ids | None:
    """Return what the `.ids` file says, None if there is none that can be read."""
    try:
        found = orjson.loads((directory / segment.ids_name).read_bytes())
        return {name: Held(rows, tuple((low, high) for low, high in ranges)) for name, (rows, ranges) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def rebuild(connection: duckdb.DuckDBPyConnection, file: Path) -> Ids:
    """Return the ids in a Parquet file. duckdb.Error when it cannot be read."""
    cursor = connection.execute('SELECT "event.id" FROM read_parquet(?)', [str(file)])
    parts = []
    while rows := cursor.fetchmany(100_000):
        parts.append(collect(event for (event,) in rows))
    return merge(parts)


@dataclass(slots=True)
class Seen:
    """Every event of ours that the store has: answers whether one is new. Belongs to one thread."""

    _lives: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, ids: Ids) -> "Seen":
        return cls({name: list(held.ranges) for name, held in ids.items()})

    def has(self, incarnation: str, sequence: int) -> bool:
        ranges = self._lives.get(incarnation)
        if not ranges or sequence > ranges[-1][1]:
            return False
        at = bisect.bisect_right(ranges, (sequence, _SEQUENCE_LIMIT)) - 1
        return at >= 0 and ranges[at][1] >= sequence

    def add(self, incarnation: str, sequences: Iterable[int]) -> None:
        """Take note of events that are stored now."""
        ranges = self._lives.setdefault(incarnation, [])
        for low, high in union((number, number) for number in sequences):
            if ranges and low == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], high)
            elif not ranges or low > ranges[-1][1]:
                ranges.append((low, high))
            else:
                ranges[:] = union(ranges, ((low, high),))
