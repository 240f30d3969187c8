"""All events of a query as of one moment, in constant memory: windows of time, one query for each."""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from logship.search.query import Query, Record
from logship.search.sql import Sql
from logship.store.files import POSITION_BITS, log_of
from logship.store.read.budget import WINDOW_BYTES, first_rows, narrowed
from logship.store.read.runner import QueryRunner
from logship.store.read.snapshot import Snapshot
from logship.store.schema import record, select_row

# A window is sorted by DuckDB and held in memory as records: 10,000 of the usual size take 30 MB. Smaller windows would read
# each row group, which has 24,576 rows, too often.
WINDOW_ROWS = 10_000
_BUCKETS = 4_096
# The caller may also hold these as text.
_PIECE_ROWS = 1_000


def export(runner: QueryRunner, query: Query) -> Iterator[list[Record]]:
    """Yield everything that is stored now and matches, oldest first as in a search, some records at a time.

    Files may be sealed and merged between two windows. Memory is that of one window."""
    extent = runner.run(query.where, _StoredExtent.of)
    for window in _windows(runner, extent, query):
        after: tuple[int, int] | None = None
        while True:
            records, after = runner.run(None, partial(_window, extent, window, after))
            for start in range(0, len(records), _PIECE_ROWS):
                yield records[start : start + _PIECE_ROWS]
            if after is None:
                break


@dataclass(frozen=True, slots=True)
class _StoredExtent:
    """What is stored at one moment: everything up to the position `last`.

    `logs`: the first and last time of each unsealed log."""

    last: int
    logs: Mapping[int, tuple[int, int]]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "_StoredExtent":
        times = snapshot.all(
            f'SELECT _n >> {POSITION_BITS}, epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp")), max(_n)'
            f" FROM ({snapshot.relation([])}) GROUP BY 1"
        )
        sealed = max((segment.last + 1 for segment in snapshot.listing.segments), default=0)
        last = max([last for *_, last in times] + [(sealed << POSITION_BITS) - 1])
        return cls(last, {log: (oldest_ns, newest_ns) for log, oldest_ns, newest_ns, _ in times})

    def rows(self, snapshot: Snapshot, query: Query) -> Sql:
        """Return FROM and WHERE that select the events of the query from the files that may hold them."""
        there = snapshot.candidates(query)
        logs = [
            log
            for log, (oldest_ns, newest_ns) in self.logs.items()
            if log in there.logs
            and (query.since_ns is None or newest_ns >= query.since_ns)
            and (query.until_ns is None or oldest_ns < query.until_ns)
        ]
        segments = [segment for segment in there.segments if segment.first <= log_of(self.last)]
        condition = snapshot.condition(query)
        rows = snapshot.relation(segments, logs, spans=there.spans)
        text = f'FROM ({rows}) WHERE {condition.text} AND _n <= ? AND "@timestamp" IS NOT NULL'
        return Sql(text, (*condition.params, self.last))


def _windows(runner: QueryRunner, extent: _StoredExtent, query: Query) -> Iterator[Query]:
    """The query split by time so that each part has at most WINDOW_ROWS events, unless they share one nanosecond."""
    low_ns, high_ns, events = runner.run(None, partial(_extent, extent, query))
    if events <= WINDOW_ROWS or low_ns == high_ns:
        if events:
            yield query
        return
    step_ns = (high_ns - low_ns) // _BUCKETS + 1
    begin_ns, within = low_ns, 0
    for bucket, count in [*runner.run(None, partial(_buckets, extent, query, low_ns, step_ns)), (_BUCKETS, 0)]:
        bucket_ns = low_ns + bucket * step_ns
        if within and (within + count > WINDOW_ROWS or not count):
            yield replace(query, since_ns=begin_ns, until_ns=bucket_ns)
            begin_ns, within = bucket_ns, 0
        within += count
        if within > WINDOW_ROWS:
            end_ns = bucket_ns + step_ns
            yield from _windows(runner, extent, replace(query, since_ns=bucket_ns, until_ns=end_ns))
            begin_ns, within = end_ns, 0


def _extent(extent: _StoredExtent, query: Query, snapshot: Snapshot) -> tuple[int, int, int]:
    """The first and last time of the events, and their number."""
    rows = extent.rows(snapshot, query)
    select = 'SELECT epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp")), count(*)'
    low_ns, high_ns, events = snapshot.all(f"{select} {rows.text}", *rows.params)[0]
    return low_ns, high_ns, events


def _buckets(
    extent: _StoredExtent, query: Query, low_ns: int, step_ns: int, snapshot: Snapshot
) -> list[tuple[int, int]]:
    """The number of events in each step from `low_ns` on, without empty steps."""
    rows = extent.rows(snapshot, query)
    # From 1678 to 2262 is more than 64 bits of nanoseconds.
    bucket = f'((epoch_ns("@timestamp")::HUGEINT - {low_ns}) // {step_ns})::INTEGER'
    return snapshot.all(f"SELECT {bucket}, count(*) {rows.text} GROUP BY 1 ORDER BY 1", *rows.params)


def _window(
    extent: _StoredExtent, query: Query, after: tuple[int, int] | None, snapshot: Snapshot
) -> tuple[list[Record], tuple[int, int] | None]:
    """The first records of a window after a time and position, and where the next ones begin."""
    query = query if after is None else replace(query, since_ns=after[0])
    rows = extent.rows(snapshot, query)
    beyond, params = ("", ()) if after is None else (' AND (epoch_ns("@timestamp"), _n) > (?, ?)', after)

    def first(limit: int) -> tuple[list[Record], tuple[int, int] | None]:
        text = f'SELECT {select_row()} {rows.text}{beyond} ORDER BY "@timestamp", _n LIMIT {limit}'
        snapshot.cursor.execute(text, [*rows.params, *params])
        rows_read, whole = first_rows(snapshot.cursor, WINDOW_BYTES)
        stops = not whole or len(rows_read) == limit
        return [record(row) for row in rows_read], ((rows_read[-1][1], rows_read[-1][0]) if stops else None)

    return narrowed(WINDOW_ROWS, first)
