"""Which events of ours a store holds: ranges of sequences for each incarnation, and how many rows they have.

A segment's `.ids` file has two lines: `<crc32 of all that follows it> <size and checksum of the segment, or ->`, then the
JSON object {incarnation: [rows, [[low, high], ...], first ns, last ns]}; where events conflict, two more: how many rows
that are, and their ranges. It is written before its segment gets its name, holds what the segment holds, and is made again
from it when it is missing or its checksum is wrong.
"""

import bisect
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Literal

import duckdb
import orjson

from logship.event.entry import parse_event_id
from logship.search.ranges import Ranges, union
from logship.store.files import Segment, write_durably
from logship.store.sums import Sum

# Beyond this a number is no sequence of ours, and DuckDB could not count with it.
SEQUENCE_LIMIT = 10**18
EVENT_ID = "[0-9a-f]{24}-([0-9]{12}|[1-9][0-9]{12,})"
# A life takes some hundred bytes of memory, a hole among its numbers as well, and strangers can make up as many as they
# like. Ours have holes where events were dropped.
LIVES_LIMIT = 200_000
RANGES_LIMIT = 500_000
LIFE_RANGES_LIMIT = 50_000
# What the store adds to an event whose id it had already with other content.
CONFLICT = "logship.conflict"


@dataclass(frozen=True, slots=True)
class Held:
    """`rows` is more than the size of `ranges` when events are held twice. The times are 0 where nobody asked.

    `conflicts`: rows beside these, each with a sequence of `conflict_ranges` that had arrived before with other content."""

    rows: int
    ranges: Ranges
    first_ns: int = 0
    last_ns: int = 0
    conflicts: int = 0
    conflict_ranges: Ranges = ()

    def holds(self, sequence: int) -> bool:
        """Whether some row has this sequence."""
        return _within(self.ranges, sequence) or _within(self.conflict_ranges, sequence)


def _within(ranges: Sequence[Sequence[int]], sequence: int) -> bool:
    at = bisect.bisect_right(ranges, sequence, key=itemgetter(0)) - 1
    return at >= 0 and ranges[at][1] >= sequence


Ids = dict[str, Held]


def identity(record: Mapping[str, object]) -> tuple[str, int] | None:
    """Return incarnation and sequence of a record of ours, None of anybody else's."""
    return parse(record.get("event.id"))


def parse(event: object) -> tuple[str, int] | None:
    """Return incarnation and sequence of an event id of ours, None of any other."""
    found = parse_event_id(event)
    return found if found and found[1] < SEQUENCE_LIMIT else None


def collect(events: Iterable[str | None]) -> Ids:
    """Return the ids among `events`, those of others left out."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        if found := identity({"event.id": event}):
            numbers[found[0]].append(found[1])
    return {name: Held(len(some), union((number, number) for number in some)) for name, some in numbers.items()}


def merge(many: Iterable[Ids]) -> Ids:
    """Return what several files hold together."""
    parts: defaultdict[str, list[Held]] = defaultdict(list)
    for ids in many:
        for name, held in ids.items():
            parts[name].append(held)
    return {name: _together(some) for name, some in parts.items()}


def _together(some: list[Held]) -> Held:
    # The times of conflicts count only where there is nothing else: anybody can have made them up.
    dated = [one for one in some if one.rows] or some
    return Held(
        sum(one.rows for one in some),
        union(*(one.ranges for one in some)),
        min(one.first_ns for one in dated),
        max(one.last_ns for one in dated),
        sum(one.conflicts for one in some),
        union(*(one.conflict_ranges for one in some)),
    )


def write(directory: Path, segment: Segment, ids: Ids, segment_sum: Sum | None = None) -> None:
    """Make the `.ids` file of `segment`; without `segment_sum` the segment's own pages are not protected."""
    held = orjson.dumps({name: _as_list(one) for name, one in ids.items()})
    rest = b"%s\n%s\n" % (str(segment_sum or "-").encode(), held)
    write_durably(directory / segment.ids_name, b"%08x %s" % (zlib.crc32(rest), rest))


def _as_list(held: Held) -> list[object]:
    values = [held.rows, held.ranges, held.first_ns, held.last_ns]
    return [*values, held.conflicts, held.conflict_ranges] if held.conflicts else values


def read(directory: Path, segment: Segment) -> Ids | None:
    """Return what the `.ids` file says, None if there is none that is as it was written."""
    found = _read(directory, segment)
    if found is None:
        return None
    try:
        return {
            name: Held(rows, _ranges(ranges), first_ns, last_ns, *more[:1], *map(_ranges, more[1:]))
            for name, (rows, ranges, first_ns, last_ns, *more) in orjson.loads(found[1]).items()
        }
    except (ValueError, TypeError, AttributeError):
        return None


def _ranges(found: Iterable[tuple[int, int]]) -> Ranges:
    return tuple((low, high) for low, high in found)


def read_segment_sum(directory: Path, segment: Segment) -> Sum | None:
    """Return what the segment's file must be, None if that is not known."""
    found = _read(directory, segment)
    return Sum.parse(found[0].decode("ascii", "replace")) if found else None


def _read(directory: Path, segment: Segment) -> tuple[bytes, bytes] | None:
    """The two parts that the checksum covers: the segment's own, and the JSON."""
    try:
        crc32, _, rest = (directory / segment.ids_name).read_bytes().partition(b" ")
    except OSError:
        return None
    if crc32 != b"%08x" % zlib.crc32(rest):
        return None
    segment_sum, _, held = rest.partition(b"\n")
    return segment_sum, held


def rebuild(connection: duckdb.DuckDBPyConnection, rows: str) -> Ids:
    """Return the ids of a relation. duckdb.Error when it cannot be read."""
    # What follows each other without a hole has the same distance to its place in the order. Segments of earlier
    # versions have no conflicts.
    found = connection.execute(
        f"""
        SELECT life, again, sum(events)::BIGINT, list([low, high] ORDER BY low), epoch_ns(min(oldest)), epoch_ns(max(newest))
        FROM (
            SELECT life, again, min(n) AS low, max(n) AS high, sum(events) AS events,
                   min(oldest) AS oldest, max(newest) AS newest
            FROM (
                SELECT *, n - row_number() OVER (PARTITION BY life, again ORDER BY n) AS distance FROM (
                    SELECT left("event.id", 24) AS life, try_cast(substr("event.id", 26) AS BIGINT) AS n,
                           "{CONFLICT}" IS NOT NULL AS again,
                           count(*) AS events, min("@timestamp") AS oldest, max("@timestamp") AS newest
                    FROM (SELECT NULL::VARCHAR AS "{CONFLICT}" WHERE false UNION ALL BY NAME ({rows}))
                    WHERE regexp_full_match("event.id", ?) GROUP BY ALL)
                WHERE n < ?)
            GROUP BY life, again, distance)
        GROUP BY life, again
        """,  # noqa: S608 - only names of our own files
        [EVENT_ID, SEQUENCE_LIMIT],
    ).fetchall()
    return merge(
        {life: Held(0, (), low_ns, high_ns, count, _ranges(some)) if again else Held(count, _ranges(some), low_ns, high_ns)}
        for life, again, count, some, low_ns, high_ns in found
    )


@dataclass(slots=True)
class Fresh:
    """What a batch adds to one life. `newest`: the highest sequence that is known, of the store or of the batch."""

    newest: int
    runs: list[list[int]] = field(default_factory=list)
    """In order, and beyond all that the store had."""
    late: set[int] = field(default_factory=set)

    def ranges(self) -> list[tuple[int, int]]:
        return [(low, high) for low, high in self.runs] + [(one, one) for one in self.late]


class Seen:
    """Every event of ours that the store has: says whether one may be there. Belongs to one thread.

    What it calls new is not in the store, unless its life had to make room. What it does not call new may still be
    missing: of a life with very many holes the oldest are forgotten. So the store looks itself before it lets an event go."""

    def __init__(self, ids: Ids | None = None) -> None:
        self._lives = {name: _bounded(list(held.ranges)) for name, held in (ids or {}).items()}
        self._ranges = sum(map(len, self._lives.values()))
        self._make_room()

    def has(self, incarnation: str, sequence: int) -> bool:
        ranges = self._lives.get(incarnation)
        if not ranges or sequence > ranges[-1][1]:
            return False
        return _within(ranges, sequence)

    def take(self, event: object, batch: dict[str, Fresh]) -> tuple[Fresh, int] | Literal[False] | None:
        """Return whose event it is and its sequence, if it is new; False when it may not be, None when it is not of ours.

        `batch` is what the batch has so far; `keep` adds to it, once the event has a line."""
        if type(event) is not str:
            return None
        life, digits = event[:24], event[25:]
        fresh = batch.get(life)
        if fresh is None or len(digits) != 12 or event[24] != "-" or not digits.isdecimal() or not digits.isascii():
            parsed = identity({"event.id": event})
            if parsed is None:
                return None
            life, sequence = parsed
            if life not in batch:
                ranges = self._lives.get(life)
                batch[life] = Fresh(ranges[-1][1] if ranges else -1)
            fresh = batch[life]
        else:
            sequence = int(digits)
        if sequence > fresh.newest:
            return fresh, sequence
        held = sequence in fresh.late or _within(fresh.runs, sequence) or self.has(life, sequence)
        return False if held else (fresh, sequence)

    @staticmethod
    def keep(fresh: Fresh, sequence: int) -> None:
        """Add to a batch what `take` called new."""
        if sequence <= fresh.newest:
            fresh.late.add(sequence)
            return
        if fresh.runs and fresh.runs[-1][1] == sequence - 1:
            fresh.runs[-1][1] = sequence
        else:
            fresh.runs.append([sequence, sequence])
        fresh.newest = sequence

    def add(self, batch: Mapping[str, Fresh]) -> None:
        """Take note of events that are stored now."""
        for life, fresh in batch.items():
            added = fresh.ranges()
            ranges = self._lives.pop(life, [])
            self._ranges -= len(ranges)
            if len(added) * _FEW < len(ranges):
                for low, high in added:
                    _insert(ranges, low, high)
            elif added:
                ranges[:] = union(ranges, added)
            self._lives[life] = _bounded(ranges)
            self._ranges += len(ranges)
        self._make_room()

    def _make_room(self) -> None:
        """The longest unheard life goes: its events, if they come again, are stored again."""
        while len(self._lives) > LIVES_LIMIT or self._ranges > RANGES_LIMIT:
            self._ranges -= len(self._lives.pop(next(iter(self._lives))))


# Below this part of what a life has, ranges are put in one by one: to go through all of them would cost more.
_FEW = 16


def _insert(ranges: list[tuple[int, int]], low: int, high: int) -> None:
    """Add one range to others in place, joined with those that it touches."""
    begin = bisect.bisect_left(ranges, low - 1, key=itemgetter(1))
    end = bisect.bisect_right(ranges, high + 1, key=itemgetter(0))
    if begin < end:
        low, high = min(low, ranges[begin][0]), max(high, ranges[end - 1][1])
    ranges[begin:end] = [(low, high)]


def _bounded(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same list with at most LIFE_RANGES_LIMIT ranges: beyond it the older half becomes one."""
    if len(ranges) > LIFE_RANGES_LIMIT:
        many = len(ranges) - LIFE_RANGES_LIMIT // 2
        ranges[:many] = [(ranges[0][0], ranges[many - 1][1])]
    return ranges
