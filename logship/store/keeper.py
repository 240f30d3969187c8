"""The background thread of a store: seals logs into Parquet, merges small segments, lets old ones go."""

import atexit
import contextlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from logship.store import ids
from logship.store.files import Segment, log_name, read_listing, sync_directory
from logship.store.schema import connect, relation

# Small row groups halve the memory of a needle search and cost 2 % of disk.
ROW_GROUP_ROWS = 24_576
MERGE_SEGMENTS = 10
MERGE_LIMIT_ROWS = 2_000_000
# read_json takes a buffer of 32 MB a thread: less than this fails.
MEMORY_LIMIT_BYTES = 256 * 2**20
RETRY_SECONDS = (1.0, 5.0, 30.0)
_TICK_SECONDS = 1.0
_RETENTION_EVERY_SECONDS = 60.0
_NICENESS = 10
# Superseded files stay for a while: a question that has listed them may still be reading.
GRACE_SECONDS = 3.0

_logger = logging.getLogger("logship.store")


@dataclass(frozen=True, slots=True)
class Retention:
    """What to keep; 0: no limit."""

    days: float = 0
    limit_bytes: int = 0


class Keeper:
    """Seals what `due` names, oldest first. Answers wait for nothing here: logs can be read until they are sealed.

    `due`: called about every second, returns the full logs; `failed`: why the last try did not work, or None."""

    def __init__(self, directory: Path, due: Callable[[], list[int]], retention: Retention) -> None:
        self.failed: BaseException | None = None
        self._directory, self._due, self._retention = directory, due, retention
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._done = threading.Condition()
        self._failures = 0
        self._next_retention = 0.0
        self._superseded: list[tuple[float, Path]] = []
        self._database: duckdb.DuckDBPyConnection | None = None
        self._thread = threading.Thread(target=self._run, name="logship-keeper", daemon=True)
        self._thread.start()
        # A thread inside DuckDB while the interpreter goes down would abort the process.
        atexit.register(self.stop)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def wait(self, done: Callable[[], bool], timeout_seconds: float) -> bool:
        """Return True when `done` holds, False when it does not in time or the thread is dead."""
        deadline = time.monotonic() + timeout_seconds
        with self._done:
            while not done():
                left = deadline - time.monotonic()
                if left <= 0 or not self.alive:
                    return False
                self._done.wait(min(left, 0.5))
        return True

    def stop(self) -> None:
        """Return when the thread has ended; a log that is being sealed is sealed first."""
        atexit.unregister(self.stop)
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # other systems have no priority of a thread
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        try:
            while not self._stopping.is_set():
                self._wake.wait(_TICK_SECONDS if not self._failures else self._pause_seconds())
                self._wake.clear()
                self._work()
        except BaseException as error:
            self.failed = error
            raise
        finally:
            with contextlib.suppress(OSError):
                self._clear(time.monotonic() + GRACE_SECONDS)
            if self._database is not None:
                self._database.close()
            with self._done:
                self._done.notify_all()

    def _pause_seconds(self) -> float:
        return RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1]

    def _work(self) -> None:
        try:
            self._clear(time.monotonic())
            for number in self._due():
                if self._stopping.is_set():
                    return
                self._seal(number)
                with self._done:
                    self._done.notify_all()
            while not self._stopping.is_set() and not self._due() and self._merge_once():
                pass
            if time.monotonic() >= self._next_retention:
                self._next_retention = time.monotonic() + _RETENTION_EVERY_SECONDS
                self.retain(time.time_ns())
        except (OSError, duckdb.Error) as error:  # a full disk: the logs stay readable, and it is tried again
            self._failures += 1
            if self.failed is None:
                tried = "%s: logs cannot be sealed and stay as they are, trying again: %s"
                _logger.error(tried, self._directory, error)  # noqa: TRY400 - a person reads it
            self.failed = error
        else:
            self._failures, self.failed = 0, None

    def _seal(self, number: int) -> None:
        log = self._directory / log_name(number)
        with log.open("rb") as file:
            lines = sum(1 for _ in file)
        rows = self._publish(f'{relation([], [log] if lines else [])} ORDER BY "@timestamp", _n', number, number)
        if rows == lines:
            self._supersede(log)
        else:
            log.rename(log.with_suffix(".bad"))
            _logger.error(
                "%s: %d of %d lines could not be read and are kept in %s",
                log,
                lines - rows,
                lines,
                log.with_suffix(".bad"),
            )

    def _merge_once(self) -> bool:
        """Turn ten neighbours of about the same size into one; False when there are none."""
        group = mergeable(read_listing(self._directory).segments)
        if not group:
            return False
        # Concatenated, not sorted: a sort of millions of rows spills, and segments hardly overlap in time.
        files = [self._directory / segment.name for segment in group]
        known = [ids.read(self._directory, segment) for segment in group]
        whole = ids.merge([one for one in known if one is not None]) if None not in known else None
        self._publish(relation(files, []), group[0].first, group[-1].last, whole)
        for segment in group:
            self._supersede(self._directory / segment.name, self._directory / segment.ids_name)
        return True

    def _publish(self, select: str, first: int, last: int, known: ids.Ids | None = None) -> int:
        """Write a segment for these logs; it is there as a whole or not at all. Returns its rows."""
        database = self._database = self._database or connect(MEMORY_LIMIT_BYTES, threads=1)
        temporary = self._directory / f"{first:08d}-{last:08d}.tmp"
        try:
            database.execute(
                f"COPY ({select}) TO '{str(temporary).replace(chr(39), chr(39) * 2)}'"
                f" (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
            )
            rows, oldest_ns, newest_ns = database.execute(
                'SELECT count(*), epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp")) FROM read_parquet(?)',
                [str(temporary)],
            ).fetchall()[0]
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            segment = Segment(first, last, rows, oldest_ns or 0, newest_ns or 0)
            ids.write(self._directory, segment, ids.rebuild(database, temporary) if known is None else known)
            temporary.rename(self._directory / segment.name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(self._directory)
        return int(rows)

    def retain(self, now_ns: int) -> list[Segment]:
        """Remove the oldest segments that are older or more than may be kept, and return them."""
        keep, removed = self._retention, []
        segments = read_listing(self._directory).segments
        sizes = [(self._directory / segment.name).stat().st_size for segment in segments]
        before_ns = now_ns - int(keep.days * 86400 * 10**9)
        # Only a prefix: the log numbers that are left must follow each other.
        for at, segment in enumerate(segments):
            old = keep.days > 0 and segment.newest_ns < before_ns
            if not old and not (keep.limit_bytes and sum(sizes[at:]) > keep.limit_bytes):
                break
            self._remove(segment)
            removed.append(segment)
        if removed:
            _logger.info(
                "%s: %d old segments were removed, %d rows", self._directory, len(removed), sum(s.rows for s in removed)
            )
        return removed

    def _supersede(self, *paths: Path) -> None:
        self._superseded += [(time.monotonic() + GRACE_SECONDS, path) for path in paths]

    def _clear(self, now: float) -> None:
        """Remove what was superseded long enough ago."""
        while self._superseded and self._superseded[0][0] <= now:
            self._superseded[0][1].unlink(missing_ok=True)
            self._superseded.pop(0)

    def _remove(self, segment: Segment) -> None:
        (self._directory / segment.name).unlink(missing_ok=True)
        (self._directory / segment.ids_name).unlink(missing_ok=True)


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
