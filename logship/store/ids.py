"""Which events of logship workers a segment holds: ranges of sequences and the number of rows for each run.

A segment's `.ids` file has two lines and filters: `<crc32 of all that follows it> <size and checksum of the segment, or ->`,
then the JSON object {incarnation: [rows, [[low, high], ...], first ns, last ns]}; where events conflict, two more: how many
rows that are, and their ranges. Filters of other ids follow, see `store/needles.py`; segments of earlier versions have none.
It is written before its segment is renamed, and is rebuilt from the segment if it is missing or its checksum is wrong.
"""

import bisect
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import duckdb
import orjson

from logship.event.entry import parse_event_id
from logship.search.ranges import Ranges, union
from logship.store.files import Segment, write_durably
from logship.store.sums import Sum

# A larger number is not a sequence of a worker, and DuckDB could not add to it.
SEQUENCE_LIMIT = 10**18
EVENT_ID = "[0-9a-f]{24}-([0-9]{12}|[1-9][0-9]{12,})"
# The field that the store adds to an event whose id is stored with other content.
CONFLICT = "logship.conflict"
# What `rebuild` reads.
COLUMNS = ("event.id", CONFLICT, "@timestamp")


@dataclass(frozen=True, slots=True)
class Held:
    """What is stored of one run. `rows` is greater than the size of `ranges` if events are stored twice.

    `first_ns`, `last_ns`: 0 if they are not known; `conflicts`: additional rows, each with a sequence of `conflict_ranges`
    that is stored with other content."""

    rows: int
    ranges: Ranges
    first_ns: int = 0
    last_ns: int = 0
    conflicts: int = 0
    conflict_ranges: Ranges = ()

    def holds(self, sequence: int) -> bool:
        """Return whether a row has this sequence."""
        return contains(self.ranges, sequence) or contains(self.conflict_ranges, sequence)


def contains(ranges: Sequence[Sequence[int]], sequence: int) -> bool:
    """Return whether ascending ranges contain a sequence number."""
    at = bisect.bisect_right(ranges, sequence, key=itemgetter(0)) - 1
    return at >= 0 and ranges[at][1] >= sequence


Ids = dict[str, Held]


def identity(record: Mapping[str, object]) -> tuple[str, int] | None:
    """Return incarnation and sequence of a worker's record, None for other records."""
    return parse(record.get("event.id"))


def parse(event: object) -> tuple[str, int] | None:
    """Return incarnation and sequence of a worker's event id, None for any other id."""
    found = parse_event_id(event)
    return found if found and found[1] < SEQUENCE_LIMIT else None


def collect(events: Iterable[str | None]) -> Ids:
    """Return the sequences of these event ids by run. Ids that are not from workers are left out."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        if found := identity({"event.id": event}):
            numbers[found[0]].append(found[1])
    return {name: Held(len(some), union((number, number) for number in some)) for name, some in numbers.items()}


def merge(many: Iterable[Ids]) -> Ids:
    """Return what several files hold in total."""
    parts: defaultdict[str, list[Held]] = defaultdict(list)
    for ids in many:
        for name, held in ids.items():
            parts[name].append(held)
    return {name: _together(some) for name, some in parts.items()}


def _together(some: list[Held]) -> Held:
    # The times of conflicts count only where there is nothing else: any sender can have forged them.
    dated = [one for one in some if one.rows] or some
    return Held(
        sum(one.rows for one in some),
        union(*(one.ranges for one in some)),
        min(one.first_ns for one in dated),
        max(one.last_ns for one in dated),
        sum(one.conflicts for one in some),
        union(*(one.conflict_ranges for one in some)),
    )


def write(directory: Path, segment: Segment, ids: Ids, segment_sum: Sum | None = None, filters: bytes = b"") -> None:
    """Write the `.ids` file of `segment`. Without `segment_sum` damage of the segment cannot be detected."""
    held = orjson.dumps({name: _as_list(one) for name, one in ids.items()})
    rest = b"%s\n%s\n%s" % (str(segment_sum or "-").encode(), held, filters)
    write_durably(directory / segment.ids_name, b"%08x %s" % (zlib.crc32(rest), rest))


def _as_list(held: Held) -> list[object]:
    values = [held.rows, held.ranges, held.first_ns, held.last_ns]
    return [*values, held.conflicts, held.conflict_ranges] if held.conflicts else values


def read(directory: Path, segment: Segment) -> Ids | None:
    """Return the content of the `.ids` file, None if it is missing or damaged."""
    found = _read(directory, segment)
    if found is None:
        return None
    try:
        return {
            name: Held(rows, _ranges(ranges), first_ns, last_ns, *more[:1], *map(_ranges, more[1:]))
            for name, (rows, ranges, first_ns, last_ns, *more) in orjson.loads(found.held).items()
        }
    except (ValueError, TypeError, AttributeError):
        return None


def _ranges(found: Iterable[tuple[int, int]]) -> Ranges:
    return tuple((low, high) for low, high in found)


def digest(directory: Path, segment: Segment) -> str:
    """Return the SHA-256 of ids and filters in the `.ids` file, in hexadecimal; "" if it is missing or damaged."""
    found = _read(directory, segment)
    return hashlib.sha256(found.held + b"\n" + found.filters).hexdigest() if found else ""


def read_segment_sum(directory: Path, segment: Segment) -> Sum | None:
    """Return the expected size and checksum of the segment's file, None if they are not known."""
    found = _read(directory, segment)
    return Sum.parse(found.segment_sum.decode("ascii", "replace")) if found else None


def read_filters(directory: Path, segment: Segment) -> tuple[bytes, int] | None:
    """Return the filters in the `.ids` file and where they begin in it; None if it has none, is missing or damaged."""
    found = _read(directory, segment)
    return (found.filters, found.filters_at) if found and found.filters else None


class _Parts(NamedTuple):
    """What the checksum covers."""

    segment_sum: bytes
    held: bytes
    filters: bytes
    filters_at: int


def _read(directory: Path, segment: Segment) -> _Parts | None:
    try:
        data = (directory / segment.ids_name).read_bytes()
    except OSError:
        return None
    crc32, _, rest = data.partition(b" ")
    if crc32 != b"%08x" % zlib.crc32(rest):
        return None
    segment_sum, _, rest = rest.partition(b"\n")
    held, _, filters = rest.partition(b"\n")
    return _Parts(segment_sum, held, filters, len(data) - len(filters))


def rebuild(connection: duckdb.DuckDBPyConnection, rows: str) -> Ids:
    """Return the ids of the rows of a SELECT. duckdb.Error if it cannot be read."""
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
        """,  # noqa: S608 - only names of our files
        [EVENT_ID, SEQUENCE_LIMIT],
    ).fetchall()
    return merge(
        {
            life: Held(0, (), low_ns, high_ns, count, _ranges(some))
            if again
            else Held(count, _ranges(some), low_ns, high_ns)
        }
        for life, again, count, some, low_ns, high_ns in found
    )
