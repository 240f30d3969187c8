"""The two background threads of a store: one seals logs into Parquet, one merges segments and lets old ones go.

They are apart because a merge of two million rows takes half a minute, and a log that waits to be sealed is read again by
every question. Acknowledgements wait for neither: DuckDB works without the interpreter's lock, on one thread each.
"""

import atexit
import contextlib
import itertools
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from logship.errors import StoreError, StoreMissing
from logship.store import ids
from logship.store.files import (
    Segment,
    log_name,
    new_spill,
    private,
    read_listing,
    remove_left_spills,
    sync_directory,
)
from logship.store.schema import as_stored, connect, quoted, to_store
from logship.store.sums import Sum

# Small row groups halve the memory of a needle search and cost 2 % of disk.
ROW_GROUP_ROWS = 24_576
SEAL_LOGS = 8
MERGE_SEGMENTS = 10
MERGE_LIMIT_ROWS = 2_000_000
# Sealing goes first: merging waits while logs do, until there are so many segments that every question feels it.
MERGE_WAITS_LOGS = 4
MERGE_ANYWAY_SEGMENTS = 100
# What a thread of ours may take; read_json alone needs 4 MB a thread, writing a row group some 50.
MEMORY_LIMIT_BYTES = 128 * 2**20
RETRY_SECONDS = (1.0, 5.0, 30.0)
_TICK_SECONDS = 1.0
_RETENTION_EVERY_SECONDS = 60.0
# Low priority helps acknowledgements where cores are contested; too low harms them, for a thread that has the interpreter's
# lock must run to give it back. At 5,000 records a second on two busy cores the 99th percentile was a third of that
# without niceness (median of five paired rounds); 10 was no better, and 19, beside a process that asks, up to three times.
_NICENESS = 5
# Superseded files stay for a while: a question that has listed them may still be reading.
GRACE_SECONDS = 3.0
# Below this much free space the oldest segments go: a full disk would stop everybody on the machine. Of a small disk it is
# a tenth, or else nothing could ever be kept on it.
FLOOR_BYTES = 256 * 2**20
FLOOR_SHARE = 0.1

_logger = logging.getLogger("logship.store")


@dataclass(frozen=True, slots=True)
class Retention:
    """What to keep; 0: no limit."""

    days: float = 0
    limit_bytes: int = 0


class Keeper:
    """Seals what `due` names, oldest first. Answers wait for nothing here: logs can be read until they are sealed.

    `due`: called about every second, returns the full logs; `sealed` is told of each. `in_place`: whether `directory` is
    still the one that was opened. `failed`: why the last try did not work, or None."""

    def __init__(
        self,
        directory: Path,
        due: Callable[[], list[int]],
        sealed: Callable[[int], None],
        retention: Retention,
        in_place: Callable[[], bool] = lambda: True,
    ) -> None:
        self.failed: BaseException | None = None
        self.directory, self.stopping = directory, threading.Event()
        self._due, self._sealed, self._retention = due, sealed, retention
        self.in_place = in_place
        self._done = threading.Condition()
        self._waiting_logs = 0
        self._next_retention = 0.0
        self._superseded: list[tuple[float, Path]] = []
        self._seals = _Worker("logship-seal", self._seal_all, self)
        self._merges = _Worker("logship-merge", self._tidy, self)
        # A thread inside DuckDB while the interpreter goes down would abort the process.
        atexit.register(self.stop)

    @property
    def alive(self) -> bool:
        return self._seals.is_alive() and self._merges.is_alive()

    def wake(self) -> None:
        """Look for work now."""
        self._seals.wake.set()

    def wait(self, done: Callable[[], bool], timeout_seconds: float) -> bool:
        """Return True when `done` holds, False when it does not in time or a thread is dead."""
        deadline = time.monotonic() + timeout_seconds
        with self._done:
            while not done():
                left = deadline - time.monotonic()
                if left <= 0 or not self.alive:
                    return False
                self._done.wait(min(left, 0.5))
        return True

    def stop(self) -> None:
        """Return when the threads have ended; a log that is being sealed is sealed first, a merge is given up."""
        atexit.unregister(self.stop)
        self.stopping.set()
        self._seals.wake.set()
        self._merges.wake.set()
        while self._merges.is_alive():
            self._merges.interrupt()
            self._merges.join(0.2)
        self._seals.join()
        with contextlib.suppress(OSError):
            self._clear(time.monotonic() + GRACE_SECONDS)

    def ended(self, error: BaseException | None) -> None:
        """One of the threads ends, with an error of ours or without."""
        if error is not None:
            self.failed = error
        with self._done:
            self._done.notify_all()

    def _seal_all(self, database: duckdb.DuckDBPyConnection) -> None:
        while (due := self._due()) and not self.stopping.is_set():
            # Where sealing is behind, several logs become one segment: that waits for the disk once, not once for each.
            logs = due[: max(1, min(SEAL_LOGS, len(due) // 2))]
            self._waiting_logs = len(due) - len(logs)
            if len(logs) == 1 or not self._seal_together(database, logs):
                self._seal(database, due[0])
                logs = due[:1]
            for number in logs:
                self._sealed(number)
            with self._done:
                self._done.notify_all()
            self._merges.wake.set()

    def _tidy(self, database: duckdb.DuckDBPyConnection) -> None:
        self._clear(time.monotonic())
        while not self.stopping.is_set() and self._merge_once(database):
            self._clear(time.monotonic())  # many merges in a row must not keep all that they replaced
        if time.monotonic() >= self._next_retention:
            self._next_retention = time.monotonic() + _RETENTION_EVERY_SECONDS
            self.retain(time.time_ns())
            remove_left_spills(self.directory)
        disk = shutil.disk_usage(self.directory)
        self.make_room(disk.free, min(FLOOR_BYTES, int(disk.total * FLOOR_SHARE)))

    def _seal_together(self, database: duckdb.DuckDBPyConnection, numbers: list[int]) -> bool:
        """Seal logs that follow each other; False, and nothing done, when one has a line that cannot be read."""
        logs = [self.directory / log_name(number) for number in numbers]
        lines = sum(map(count_lines, logs))
        if self._publish(database, to_store(logs), numbers[0], numbers[-1], None, lines) is None:
            return False
        self._supersede(*logs)
        return True

    def _seal(self, database: duckdb.DuckDBPyConnection, number: int) -> None:
        log = self.directory / log_name(number)
        lines = count_lines(log)
        rows = self._publish(database, to_store([log]), number, number) or 0
        if rows == lines:
            self._supersede(log)
        else:
            log.rename(log.with_suffix(".bad"))
            unread = "%s: %d of %d lines could not be read and are kept in %s"
            _logger.error(unread, log, lines - rows, lines, log.with_suffix(".bad"))

    def _merge_once(self, database: duckdb.DuckDBPyConnection) -> bool:
        """Turn ten neighbours of about the same size into one; False when there are none, or sealing goes first."""
        segments = read_listing(self.directory).segments
        if self._waiting_logs > MERGE_WAITS_LOGS and len(segments) < MERGE_ANYWAY_SEGMENTS:
            return False
        group = mergeable(segments)
        if not group:
            return False
        # Concatenated, not sorted: a sort of millions of rows spills, and segments hardly overlap in time.
        files = [self.directory / segment.name for segment in group]
        known = [ids.read(self.directory, segment) for segment in group]
        whole = ids.merge([one for one in known if one is not None]) if None not in known else None
        self._publish(database, as_stored(files), group[0].first, group[-1].last, whole)
        for segment in group:
            self._supersede(self.directory / segment.name, self.directory / segment.ids_name)
        return True

    def _publish(
        self,
        database: duckdb.DuckDBPyConnection,
        select: str,
        first: int,
        last: int,
        known: ids.Ids | None = None,
        rows_wanted: int | None = None,
    ) -> int | None:
        """Write a segment for these logs and return its rows; it is there as a whole or not at all.

        None, and it is not there, if they are not as many as are wanted."""
        temporary = self.directory / f"{first:08d}-{last:08d}.tmp"
        try:
            # DuckDB would make it readable for others; without USE_TMP_FILE it writes into the file that is there.
            os.close(private(temporary, os.O_CREAT | os.O_WRONLY))
            database.execute(
                f"COPY ({select}) TO {quoted(temporary)} (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2,"
                f" ROW_GROUP_SIZE {ROW_GROUP_ROWS}, USE_TMP_FILE false)"
            )
            rows, oldest_ns, newest_ns = database.execute(
                'SELECT count(*), epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp")) FROM read_parquet(?)',
                [str(temporary)],
            ).fetchall()[0]
            if rows_wanted is not None and rows != rows_wanted:
                temporary.unlink()
                return None
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            segment = Segment(first, last, rows, oldest_ns or 0, newest_ns or 0)
            held = ids.rebuild(database, as_stored([temporary])) if known is None else known
            ids.write(self.directory, segment, held, Sum.of(temporary))
            temporary.rename(self.directory / segment.name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(self.directory)
        return int(rows)

    def retain(self, now_ns: int) -> list[Segment]:
        """Remove the oldest segments that are older or more than may be kept, and return them."""
        keep, removed = self._retention, []
        segments = read_listing(self.directory).segments
        sizes = [(self.directory / segment.name).stat().st_size for segment in segments]
        before_ns = now_ns - int(keep.days * 86400 * 10**9)
        # Only a prefix: the log numbers that are left must follow each other.
        for at, segment in enumerate(segments):
            old = keep.days > 0 and segment.newest_ns < before_ns
            if not old and not (keep.limit_bytes and sum(sizes[at:]) > keep.limit_bytes):
                break
            self._remove(segment)
            removed.append(segment)
        if removed:
            rows = sum(one.rows for one in removed)
            _logger.info("%s: %d old segments were removed, %d rows", self.directory, len(removed), rows)
        return removed

    def make_room(self, free_bytes: int, floor_bytes: int = FLOOR_BYTES) -> list[Segment]:
        """Remove the oldest segments until the disk has that much free, the newest segment never; return them."""
        removed: list[Segment] = []
        if free_bytes >= floor_bytes:
            return removed
        self._clear(time.monotonic() + GRACE_SECONDS)
        for segment in read_listing(self.directory).segments[:-1]:
            if free_bytes >= floor_bytes:
                break
            free_bytes += (self.directory / segment.name).stat().st_size
            self._remove(segment)
            removed.append(segment)
        if removed:
            short = "%s: the disk has less than %d MiB free, so the %d oldest segments were removed, %d rows"
            rows = sum(one.rows for one in removed)
            _logger.warning(short, self.directory, floor_bytes // 2**20, len(removed), rows)
        return removed

    def _supersede(self, *paths: Path) -> None:
        gone_at = time.monotonic() + GRACE_SECONDS
        self._superseded += [(gone_at, path) for path in paths]

    def _clear(self, now: float) -> None:
        """Remove what was superseded long enough ago. Belongs to the thread that merges."""
        while self._superseded and self._superseded[0][0] <= now:
            self._superseded[0][1].unlink(missing_ok=True)
            self._superseded.pop(0)

    def _remove(self, segment: Segment) -> None:
        (self.directory / segment.name).unlink(missing_ok=True)
        (self.directory / segment.ids_name).unlink(missing_ok=True)


class _Worker(threading.Thread):
    """A thread with a database of its own that calls `work` about every second, and again after a failure."""

    def __init__(self, name: str, work: Callable[[duckdb.DuckDBPyConnection], None], keeper: Keeper) -> None:
        super().__init__(name=name, daemon=True)
        self.wake = threading.Event()
        self._work, self._keeper = work, keeper
        self._database: duckdb.DuckDBPyConnection | None = None
        self._failures = 0
        self.start()

    def interrupt(self) -> None:
        """Give up what runs; for work that can be done later."""
        if self._database is not None:
            with contextlib.suppress(duckdb.Error):  # closed meanwhile
                self._database.interrupt()

    def run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # other systems have no priority of a thread
            of_process = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(of_process + _NICENESS, 19))
        error: BaseException | None = None
        try:
            while not self._keeper.stopping.is_set():
                self.wake.wait(self._pause_seconds())
                self.wake.clear()
                self._try()
        except BaseException as ended:
            error = ended
            raise
        finally:
            if self._database is not None:
                self._database.close()
            self._keeper.ended(error)

    def _pause_seconds(self) -> float:
        return RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1] if self._failures else _TICK_SECONDS

    def _try(self) -> None:
        """Work once. No exception ends the thread: it is logged, and the work is tried again after a pause."""
        try:
            if not self._keeper.in_place():  # what is in its place is not ours to seal, merge or delete
                raise StoreMissing(f"{self._keeper.directory} was removed, moved or unmounted")
            self._database = self._database or connect(MEMORY_LIMIT_BYTES, 1, new_spill(self._keeper.directory))
            self._work(self._database)
        except Exception as error:  # a thread that ends would stop acknowledgements until a restart
            if self._keeper.stopping.is_set():
                return
            if not self._failures:
                expected = isinstance(error, OSError | duckdb.Error | StoreError)
                failed = "%s in %s failed; all files stay as they are and it is tried again: %s"
                trace = None if expected else error
                _logger.error(failed, self.name, self._keeper.directory, error, exc_info=trace)  # noqa: TRY400
            self._failures += 1
            self._keeper.failed = error
        else:
            if self._failures:
                _logger.warning("%s in %s works again", self.name, self._keeper.directory)
                self._failures, self._keeper.failed = 0, None


def count_lines(log: Path) -> int:
    """Return how many line ends a log has."""
    with log.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))


def mergeable(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Return ten neighbours none of which is much larger than the others, the smallest kind first, or ().

    Kinds are powers of ten of rows, so that a row is rewritten once for each."""
    kinds = [len(str(segment.rows)) for segment in segments]
    for kind in sorted(set(kinds)):
        for at in range(len(segments) - MERGE_SEGMENTS + 1):
            group = segments[at : at + MERGE_SEGMENTS]
            follow = all(one.last + 1 == other.first for one, other in itertools.pairwise(group))
            if (
                follow
                and max(kinds[at : at + MERGE_SEGMENTS]) == kind
                and sum(s.rows for s in group) <= MERGE_LIMIT_ROWS
            ):
                return group
    return ()
