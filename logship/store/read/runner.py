"""One question at a store's directory: which files it needs, on which cursor, for how long."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from logship.errors import StoreError
from logship.search import sql
from logship.search.kql import And, Is, Node, Or, Text
from logship.search.names import check_names
from logship.search.query import Query, Record, SetAside, bounded
from logship.search.sql import Sql
from logship.store import ids
from logship.store.files import POSITION_BITS, Listing, Segment, log_name, log_of, new_spill, read_listing, unreadable
from logship.store.read.budget import WINDOW_BYTES, first_rows, narrowed
from logship.store.read.checks import CHECK_BYTES, Checks
from logship.store.read.interrupt import interruptible
from logship.store.schema import connect, record, relation, select_row

_TRIES = 8
# A log that is read takes 32 MB or more for each thread, so that two questions may be too many.
_TRIES_WHEN_SHORT = 40
_KNOWN_SEGMENTS = 1_000
_KNOWN_NAMES = 100
_LABEL_NAMES = 10_000
# A window is sorted by DuckDB and in memory as records: 10,000 of the usual size are 30 MB. Smaller ones would read each row
# group, which is 24,576 rows, too often.
WINDOW_ROWS = 10_000
_BUCKETS = 4_096
# Who writes them has these in memory as text as well.
_PIECE_ROWS = 1_000

_T = TypeVar("_T")


class Snapshot:
    """The directory as it was listed for one question, and a cursor to ask its files."""

    def __init__(self, runner: "QueryRunner", cursor: duckdb.DuckDBPyConnection, listing: Listing) -> None:
        self._runner, self.cursor, self.listing = runner, cursor, runner.checks.known(listing)
        self._budget = [CHECK_BYTES]
        # Segments that were read; after an error they are looked at.
        self.read: set[Segment] = set()
        self.directory = runner.directory
        self.beats = runner.known_beats
        self._labels: dict[str, bool] = {}

    def all(self, text: str, *params: Any) -> list[Any]:
        """Return all rows of a statement."""
        return self.cursor.execute(text, list(params)).fetchall()

    def segments(self, query: Query) -> list[Segment]:
        """Return the segments that may hold what is asked for, by their times and by the event ids they hold."""
        within = [
            one
            for one in self.listing.segments
            if (query.since_ns is None or one.newest_ns >= query.since_ns)
            and (query.until_ns is None or one.oldest_ns < query.until_ns)
        ]
        wanted = wanted_ids(query.where)
        if wanted is None:
            return within
        parsed = [identity for identity in map(ids.parse, wanted) if identity]
        if len(parsed) < len(wanted):
            return within
        return [one for one in within if self.holds_any(one, parsed)]

    def holds_any(self, segment: Segment, identities: Iterable[tuple[str, int]]) -> bool:
        """Whether the segment holds an event with one of these (incarnation, sequence); True if that is not known."""
        known = self.ids(segment)
        return known is None or any(
            known[life].holds(sequence) for life, sequence in identities if life in known
        )

    def ids(self, segment: Segment) -> ids.Ids | None:
        """Return the event ids of a segment, None when its sidecar cannot be read."""
        known = self._runner.known_ids.get(segment.stem)
        if known is None and (known := ids.read(self.directory, segment)) is not None:
            if len(self._runner.known_ids) >= _KNOWN_SEGMENTS:
                self._runner.known_ids.clear()
            self._runner.known_ids[segment.stem] = known
        return known

    def relation(
        self,
        segments: Iterable[Segment] | None = None,
        logs: Collection[int] | None = None,
        rows: Mapping[Path, list[int]] | None = None,
    ) -> str:
        """Return a SELECT of these files; None: of all. `rows`: numbers of rows of other segments."""
        chosen = self.sound(self.listing.segments if segments is None else segments)
        numbers = self.listing.logs if logs is None else logs
        for number in numbers:
            self._runner.checks.see_log(number)
        written = [path for path in (self.log(number) for number in numbers) if path.stat().st_size]
        return relation(map(self.path, chosen), written, rows)

    def sound(self, segments: Iterable[Segment]) -> list[Segment]:
        """Return the segments that are not damaged."""
        found = [one for one in segments if self._runner.checks.sound(one, self._budget)]
        self.read.update(found)
        return found

    def row_numbers(self, segment: Segment, positions: str) -> list[int]:
        """Return where in a segment the rows with these positions are; the positions are parted by commas."""
        text = f"SELECT file_row_number FROM read_parquet(?, file_row_number = true) WHERE _n IN ({positions})"  # noqa: S608
        return [number for (number,) in self.all(text, str(self.path(segment)))]

    def path(self, segment: Segment) -> Path:
        """Return the path of a segment."""
        return self.directory / segment.name

    def log(self, number: int) -> Path:
        """Return the path of a log."""
        return self.directory / log_name(number)

    def is_label(self, name: str) -> bool:
        """Whether some event has a label of this name. Segments never change: each is looked through once."""
        if name not in self._labels:
            self._labels[name] = self._find_label(name)
        return self._labels[name]

    def _find_label(self, name: str) -> bool:
        without = self._runner.known_without.setdefault(name, set())
        unread = [one for one in self.listing.segments if one.stem not in without]
        held = "map_contains(labels, ?) OR map_contains(numeric_labels, ?)"
        if self.all(f"SELECT 1 FROM ({self.relation(unread)}) WHERE {held} LIMIT 1", name, name):  # noqa: S608
            return True
        if len(self._runner.known_without) > _KNOWN_NAMES:
            self._runner.known_without.clear()
        without.clear()  # segments that were merged away
        without.update(one.stem for one in self.listing.segments)
        return False

    def label_names(self) -> list[str]:
        """Return the names of labels, the first `_LABEL_NAMES`: among them is what somebody meant."""
        keys = "SELECT unnest(map_keys(labels)) FROM (SELECT * FROM rows) UNION SELECT unnest(map_keys(numeric_labels))"
        found = self.all(f"WITH rows AS ({self.relation()}) SELECT DISTINCT * FROM ({keys} FROM rows) LIMIT {_LABEL_NAMES}")  # noqa: S608
        return [name for (name,) in found]

    def condition(self, query: Query) -> Sql:
        """Return the condition for `where` and the times of a query."""
        now_ns = self._runner.clock_ns()
        where = sql.where(query.where, now_ns, self._runner.zone, self.is_label)
        text, params = where.text, where.params
        for limit_ns, operator in ((query.since_ns, ">="), (bounded(query, now_ns).until_ns, "<")):
            if limit_ns is not None:
                text += f' AND "@timestamp" {operator} make_timestamp_ns(?)'
                params += (limit_ns,)
        return Sql(f"({text})", params)


class QueryRunner:
    """Looks at the directory anew for each question. Any number of threads may ask."""

    def __init__(
        self,
        directory: Path,
        zone: tzinfo,
        clock_ns: Callable[[], int],
        memory_limit_bytes: int,
        threads: int,
        limit_seconds: float,
    ) -> None:
        self.directory, self.zone, self.clock_ns = directory, zone, clock_ns
        # Sidecars never change; of a segment that is gone nobody asks again.
        self.known_ids: dict[str, ids.Ids] = {}
        # Heartbeats and last reports by incarnation and sequence.
        self.known_beats: dict[tuple[str, int], Record] = {}
        # By name of a label: the segments in which no event has it.
        self.known_without: dict[str, set[str]] = {}
        self.checks = Checks(directory)
        self._limit_seconds = limit_seconds
        self._threads = self._used_threads = threads
        self._database = connect(memory_limit_bytes, threads, new_spill(directory))
        self._opening = threading.Lock()
        self._begun = self._running = 0
        self._one_by_one = threading.Lock()

    def close(self) -> None:
        with self._opening:
            self._database.close()

    def ask(self, where: Node | None, answer: Callable[[Snapshot], _T]) -> _T:
        """Ask on a cursor of this call. A file that was merged away since the listing means: list again.

        Memory that others have meanwhile means: once more, after those who wait for the same."""
        try:
            return self._ask(where, answer, self._threads)
        except duckdb.OutOfMemoryException as error:
            problem: duckdb.Error = error
        with self._one_by_one:
            short_alone = 0
            for attempt in range(_TRIES_WHEN_SHORT):
                time.sleep(0.02 * attempt)
                alone, begun = self._running == 0, self._begun
                try:
                    return self._ask(where, answer, 1)
                except duckdb.OutOfMemoryException as error:
                    problem = error
                # Once proves nothing: what the one before had is given back a moment later.
                short_alone += alone and self._begun == begun + 1
                if short_alone == 3:
                    raise StoreError(
                        f"the answer needs more memory than it may take; ask for less time: {problem}"
                    ) from None
        raise StoreError("too many questions are asked at once for the memory they may take; ask again in a moment")

    def _ask(self, where: Node | None, answer: Callable[[Snapshot], _T], threads: int) -> _T:
        with self._opening:
            self._begun += 1
            self._running += 1
        try:
            return self._answered(where, answer, threads)
        finally:
            with self._opening:
                self._running -= 1

    def _answered(self, where: Node | None, answer: Callable[[Snapshot], _T], threads: int) -> _T:
        problem: Exception
        for attempt in range(_TRIES):
            listing = read_listing(self.directory)
            with self._opening:
                self._use_threads(1 if len(listing.logs) > 1 else threads)
                cursor = self._database.cursor()
            look = Snapshot(self, cursor, listing)
            try:
                return interruptible(cursor, partial(self._checked, look, where, answer), self._limit_seconds)
            except (duckdb.IOException, FileNotFoundError) as error:
                gone, problem = read_listing(self.directory) != listing, error
                if not gone and attempt > 1 and not self.checks.look_again(look.read):
                    break
                time.sleep(0.01 * attempt)
            except PermissionError as error:
                raise unreadable(self.directory, error) from error
            except duckdb.InterruptException:
                raise StoreError("the question was interrupted") from None
            except duckdb.OutOfMemoryException:
                raise
            except duckdb.Error as error:
                problem = error
                if self.checks.look_again(look.read):
                    continue
                raise StoreError(f"the store in {self.directory} cannot answer: {error}") from error
            finally:
                cursor.close()
        raise StoreError(f"a file of the store in {self.directory} cannot be read: {problem}")

    def set_aside(self) -> list[SetAside]:
        return self.checks.set_aside(read_listing(self.directory))

    def _use_threads(self, threads: int) -> None:
        # Each that reads logs takes 32 MB, and keeps them when it goes on to another log: with five unsealed logs two
        # threads took more than 170, and one takes 40.
        if threads != self._used_threads:
            self._database.execute(f"SET threads = {threads}")
            self._used_threads = threads

    def every(self, query: Query) -> Iterator[list[Record]]:
        """Yield all that is stored now and fits, in the order of a search, oldest first, some at a time.

        Each window of time is a question of its own: files may be sealed and merged between two. Memory is that of one."""
        held = self.ask(query.where, _Held.of)
        for window in _windows(self, held, query):
            after: tuple[int, int] | None = None
            while True:
                records, after = self.ask(None, partial(_window, held, window, after))
                for start in range(0, len(records), _PIECE_ROWS):
                    yield records[start : start + _PIECE_ROWS]
                if after is None:
                    break

    @staticmethod
    def _checked(look: Snapshot, where: Node | None, answer: Callable[[Snapshot], _T]) -> _T:
        check_names(where, look)
        return answer(look)



@dataclass(frozen=True, slots=True)
class _Held:
    """What is stored at one moment: up to the position `last`; `logs`: first and last time of each that is unsealed."""

    last: int
    logs: Mapping[int, tuple[int, int]]

    @classmethod
    def of(cls, look: Snapshot) -> "_Held":
        times = look.all(
            f'SELECT _n >> {POSITION_BITS}, epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp")), max(_n)'  # noqa: S608
            f" FROM ({look.relation([])}) GROUP BY 1"
        )
        sealed = max((one.last + 1 for one in look.listing.segments), default=0)
        last = max([last for *_, last in times] + [(sealed << POSITION_BITS) - 1])
        return cls(last, {log: (oldest_ns, newest_ns) for log, oldest_ns, newest_ns, _ in times})

    def rows(self, look: Snapshot, query: Query) -> Sql:
        """What fits the query, from the files it may be in, as FROM and WHERE."""
        logs = [
            log
            for log, (oldest_ns, newest_ns) in self.logs.items()
            if log in look.listing.logs
            and (query.since_ns is None or newest_ns >= query.since_ns)
            and (query.until_ns is None or oldest_ns < query.until_ns)
        ]
        segments = [one for one in look.segments(query) if one.first <= log_of(self.last)]
        condition = look.condition(query)
        text = f'FROM ({look.relation(segments, logs)}) WHERE {condition.text} AND _n <= ? AND "@timestamp" IS NOT NULL'
        return Sql(text, (*condition.params, self.last))


def _windows(runner: QueryRunner, held: _Held, query: Query) -> Iterator[Query]:
    """The query cut into times that have at most WINDOW_ROWS events each, unless they have the same nanosecond."""
    low_ns, high_ns, events = runner.ask(None, partial(_extent, held, query))
    if events <= WINDOW_ROWS or low_ns == high_ns:
        if events:
            yield query
        return
    step_ns = (high_ns - low_ns) // _BUCKETS + 1
    begin_ns, within = low_ns, 0
    for bucket, count in [*runner.ask(None, partial(_buckets, held, query, low_ns, step_ns)), (_BUCKETS, 0)]:
        bucket_ns = low_ns + bucket * step_ns
        if within and (within + count > WINDOW_ROWS or not count):
            yield replace(query, since_ns=begin_ns, until_ns=bucket_ns)
            begin_ns, within = bucket_ns, 0
        within += count
        if within > WINDOW_ROWS:
            end_ns = bucket_ns + step_ns
            yield from _windows(runner, held, replace(query, since_ns=bucket_ns, until_ns=end_ns))
            begin_ns, within = end_ns, 0


def _extent(held: _Held, query: Query, look: Snapshot) -> tuple[int, int, int]:
    """First and last time, and how many."""
    rows = held.rows(look, query)
    select = 'SELECT epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp")), count(*)'
    low_ns, high_ns, events = look.all(f"{select} {rows.text}", *rows.params)[0]
    return low_ns, high_ns, events


def _buckets(held: _Held, query: Query, low_ns: int, step_ns: int, look: Snapshot) -> list[tuple[int, int]]:
    """How many are in each step from `low_ns` on, without empty ones."""
    rows = held.rows(look, query)
    # From 1678 to 2262 is more than 64 bits of nanoseconds.
    bucket = f'((epoch_ns("@timestamp")::HUGEINT - {low_ns}) // {step_ns})::INTEGER'
    return look.all(f"SELECT {bucket}, count(*) {rows.text} GROUP BY 1 ORDER BY 1", *rows.params)


def _window(
    held: _Held, query: Query, after: tuple[int, int] | None, look: Snapshot
) -> tuple[list[Record], tuple[int, int] | None]:
    """The first records of a window after a time and position, and where the next begin."""
    query = query if after is None else replace(query, since_ns=after[0])
    rows = held.rows(look, query)
    beyond, params = ("", ()) if after is None else (' AND (epoch_ns("@timestamp"), _n) > (?, ?)', after)

    def first(limit: int) -> tuple[list[Record], tuple[int, int] | None]:
        text = f'SELECT {select_row()} {rows.text}{beyond} ORDER BY "@timestamp", _n LIMIT {limit}'
        look.cursor.execute(text, [*rows.params, *params])
        found, whole = first_rows(look.cursor, WINDOW_BYTES)
        stops = not whole or len(found) == limit
        return [record(row) for row in found], ((found[-1][1], found[-1][0]) if stops else None)

    return narrowed(WINDOW_ROWS, first)


def wanted_ids(where: Node | None) -> set[str] | None:
    """Return the event ids of which an event must have one to fit, None when others fit as well."""
    match where:
        case Is(Text("event.id"), Text(id_)):
            return {id_}
        case And(parts):
            return next((found for found in map(wanted_ids, parts) if found is not None), None)
        case Or(parts):
            every = [wanted_ids(part) for part in parts]
            return None if None in every else {one for found in every if found for one in found}
    return None
