"""The two background threads of a store: one seals logs into Parquet, one merges segments and lets old ones go.

They are apart because a merge of two million rows takes half a minute, and a log that waits to be sealed is read again by
every question. Acknowledgements wait for neither: DuckDB works without the interpreter's lock, on one thread each.
"""

import atexit
import contextlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from logship.errors import StoreError, StoreMissing
from logship.store import ids
from logship.store.damage import damage, damage_when_read, set_aside
from logship.store.files import Segment, log_name, new_spill, number_of, read_listing, remove_left_spills
from logship.store.lines import keep_lines, split
from logship.store.schema import as_stored, connect, no_rows, to_store
from logship.store.write.parquet import SLICE_BYTES, convert, copy, count_rows, of_the_disk, publish
from logship.store.write.retention import Retention, plausible, room

SEAL_LOGS = 8
MERGE_SEGMENTS = 10
MERGE_LIMIT_ROWS = 2_000_000
MERGE_LIMIT_BYTES = 2**30
# Logs of rows this large, or with more bytes in all, are sealed one by one, and in slices.
SEAL_ROW_BYTES = 4096
SEAL_BYTES = 64 * 2**20
# A log that fails so often is set aside, so that those behind it are sealed.
SEAL_TRIES = 3
# What the background check reads in one go: a quarter of a second. Each segment is checked after opening and once a day.
CHECK_BYTES = 256 * 2**20
CHECK_EVERY_SECONDS = 86_400.0
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

_logger = logging.getLogger("logship.store")


class Maintenance:
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
        # When each segment is due for its next check. Both threads put entries in, one looks them through.
        self._checked: dict[Segment, float] = {}
        self._unmergeable: set[Segment] = set()
        self._newest: dict[Segment, int | None] = {}
        self._tries: dict[int, int] = {}
        self._seals = _Worker("logship-seal", self._seal_all, self)
        self._merges = _Worker("logship-merge", self._tidy, self)
        # A thread inside DuckDB while the interpreter goes down would abort the process.
        atexit.register(self.stop)

    @property
    def alive(self) -> bool:
        return self._seals.is_alive() and self._merges.is_alive()

    def wake(self) -> None:
        """Snapshot for work now."""
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
            if not self._seal_together(database, logs):
                self._seal(database, due[0])
                logs = due[:1]
            for number in logs:
                self._sealed(number)
            with self._done:
                self._done.notify_all()
            self._merges.wake.set()

    def _tidy(self, database: duckdb.DuckDBPyConnection) -> None:
        """Clear, check, merge and let go; one that fails does not keep the others from working."""
        failures: list[Exception] = []
        for work in (self._clear_now, self._check_some, self._merge_all, self._retain_now):
            try:
                work(database)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
        if failures:
            raise failures[0]

    def _clear_now(self, _: duckdb.DuckDBPyConnection) -> None:
        self._clear(time.monotonic())

    def _merge_all(self, database: duckdb.DuckDBPyConnection) -> None:
        while not self.stopping.is_set() and self._merge_once(database):
            self._clear(time.monotonic())  # many merges in a row must not keep all that they replaced

    def _retain_now(self, database: duckdb.DuckDBPyConnection) -> None:
        if time.monotonic() >= self._next_retention:
            self._next_retention = time.monotonic() + _RETENTION_EVERY_SECONDS
            self.retain(time.time_ns())
            remove_left_spills(self.directory)

    def _check_some(self, _: duckdb.DuckDBPyConnection) -> None:
        """Compare some segments with their checksums, the newest first, and set damaged ones aside."""
        segments, left = read_listing(self.directory).segments, CHECK_BYTES
        self._checked = {one: self._checked[one] for one in segments if one in self._checked}
        for segment in reversed(segments):
            if time.monotonic() < self._checked.get(segment, 0.0) or left <= 0 or self.stopping.is_set():
                continue
            left -= self._size(segment)
            self._sound(segment)

    def _sound(self, segment: Segment) -> bool:
        """Whether a segment is as it was written; it is set aside otherwise."""
        if reason := damage(self.directory, segment):
            self._set_aside(segment, reason)
            return False
        self._checked[segment] = time.monotonic() + CHECK_EVERY_SECONDS
        return True

    def _set_aside(self, segment: Segment, reason: str) -> None:
        # What it superseded a moment ago holds the same events, and counts again.
        held = range(segment.first, segment.last + 1)
        self._superseded = [one for one in self._superseded if number_of(one[1].name) not in held]
        _logger.error("%s", set_aside(self.directory, segment, reason))

    def _seal_together(self, database: duckdb.DuckDBPyConnection, numbers: list[int]) -> bool:
        """Seal logs in one go; False, and nothing done, when a line is damaged or memory is too small for that."""
        logs = [self.directory / log_name(number) for number in numbers]
        try:
            lines, size = 0, 0
            for log in logs:
                good, bad = split(log.read_bytes())
                lines, size = lines + len(good), size + sum(map(len, good))
                if bad or (len(logs) > 1 and size > SEAL_BYTES):
                    return False
            if size > SLICE_BYTES and size > lines * SEAL_ROW_BYTES:
                return False
        except OSError:  # `_seal` finds out which and why
            return False
        try:
            if self._publish(database, to_store(logs), numbers[0], numbers[-1], None, lines) is None:
                return False
        except duckdb.Error as error:
            if of_the_disk(error):
                raise
            return False
        self._supersede(*logs)
        return True

    def _seal(self, database: duckdb.DuckDBPyConnection, number: int) -> None:
        """Seal one log whatever is in it; lines that cannot be sealed are set aside, or all of it in the end."""
        log = self.directory / log_name(number)
        try:
            good, bad = split(log.read_bytes())
        except FileNotFoundError:
            _logger.error("%s was removed before it was sealed: its events are lost", log)  # noqa: TRY400
            self._publish(database, no_rows(), number, number)
            return
        except OSError as error:
            self._give_up(database, log, number, error)
            return
        written = self.directory / f"{number:08d}-{number:08d}.tmp"
        try:
            lines = len(good) + len(bad)
            bad += convert(database, good, written)
            if bad:
                kept = keep_lines(log, bad)
                unread = "%s: %d of %d lines could not be read and are kept in %s"
                _logger.error(unread, log, len(bad), lines, kept.name)
            publish(database, written, number, number)
        except duckdb.Error as error:
            if of_the_disk(error):
                raise
            self._give_up(database, log, number, error)
            return
        finally:
            written.unlink(missing_ok=True)
        self._supersede(log)

    def _give_up(self, database: duckdb.DuckDBPyConnection, log: Path, number: int, error: Exception) -> None:
        """Set a log aside that failed too often; before that raise the error, so that it is tried again."""
        self._tries[number] = self._tries.get(number, 0) + 1
        if self._tries[number] < SEAL_TRIES:
            raise error
        self._publish(database, no_rows(), number, number)
        log.rename(log.with_suffix(".bad"))
        kept = "%s cannot be sealed: %s; it is kept as %s, and its events are missing in all answers"
        _logger.error(kept, log, error, log.with_suffix(".bad").name)

    def _merge_once(self, database: duckdb.DuckDBPyConnection) -> bool:
        """Turn ten neighbours of about the same size into one; False when there are none, or sealing goes first."""
        segments = read_listing(self.directory).segments
        if self._waiting_logs > MERGE_WAITS_LOGS and len(segments) < MERGE_ANYWAY_SEGMENTS:
            return False
        group = mergeable(segments, lambda some: not self._unmergeable.intersection(some) and self._has_room(some))
        if not group:
            return False
        # A damaged one would pass on what is wrong in it, under a new checksum.
        if [segment for segment in group if not self._sound(segment)]:
            return True
        known = [ids.read(self.directory, segment) for segment in group]
        whole = ids.merge([one for one in known if one is not None]) if None not in known else None
        # Concatenated, not sorted: a sort of millions of rows spills, and segments hardly overlap in time.
        together = as_stored(self.directory / segment.name for segment in group)
        rows = sum(segment.rows for segment in group)
        try:
            if self._publish(database, together, group[0].first, group[-1].last, whole, rows) is None:
                raise duckdb.DataError(f"the merged segment does not have the {rows} rows of its parts")
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            if self._damaged_aside(group):
                return True
            if of_the_disk(error):
                raise
            self._unmergeable.update(group)
            stay = "%s: %s to %s cannot be merged and stay as they are: %s"
            _logger.error(stay, self.directory, group[0].name, group[-1].name, error)  # noqa: TRY400
            return True
        for segment in group:
            self._supersede(self.directory / segment.name, self.directory / segment.ids_name)
        return True

    def _damaged_aside(self, group: tuple[Segment, ...]) -> bool:
        """Set aside those that cannot be read, and return whether there is one."""
        found = False
        for segment in group:
            # A database of its own: an error inside DuckDB can make one useless.
            with contextlib.closing(connect(MEMORY_LIMIT_BYTES, 1, new_spill(self.directory))) as database:
                if reason := damage_when_read(database, self.directory, segment):
                    self._set_aside(segment, reason)
                    found = True
        return found

    def _has_room(self, group: tuple[Segment, ...]) -> bool:
        """Whether a merge is of a size that the disk and a question can bear."""
        size, (free, floor) = sum(map(self._size, group)), room(self.directory)
        return size <= MERGE_LIMIT_BYTES and size + floor < free

    def _size(self, segment: Segment) -> int:
        return (self.directory / segment.name).stat().st_size

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
        written = self.directory / f"{first:08d}-{last:08d}.tmp"
        try:
            copy(database, select, written)
            if rows_wanted is not None and count_rows(database, written) != rows_wanted:
                return None
            segment = publish(database, written, first, last, known)
        finally:
            written.unlink(missing_ok=True)
        self._checked[segment] = time.monotonic() + CHECK_EVERY_SECONDS
        return segment.rows

    def retain(self, now_ns: int) -> list[Segment]:
        """Let go of segments that are older or more than may be kept, and return them; nothing else deletes events."""
        before_ns, most = self._retention.before_ns(now_ns), self._retention.most_bytes(self.directory)
        segments = read_listing(self.directory).segments
        self._newest = {one: self._newest[one] for one in segments if one in self._newest}
        left = sum(map(self._size, segments))
        removed: list[Segment] = []
        oldest = True
        for segment in segments:
            size = self._size(segment)
            old = before_ns is not None and self._is_old(segment, before_ns, now_ns)
            if not old and not (oldest and most and left > most):
                oldest = False
                continue
            if segment.rows or oldest:
                removed.append(segment)
            # The log numbers that are left must follow each other.
            if oldest:
                # Without the segment, what it superseded would count again.
                self._clear(time.monotonic() + GRACE_SECONDS)
                (self.directory / segment.name).unlink(missing_ok=True)
                (self.directory / segment.ids_name).unlink(missing_ok=True)
            elif segment.rows:
                self._reduce(segment, "false")
            left -= size
        if events := sum(one.rows for one in removed):
            limits = f"{self._retention.days:g} days" * (before_ns is not None)
            limits += " and " * bool(limits and most) + f"{most // 2**20} MiB" * bool(most)
            gone = "%s: retention (%s) removed %d events in %d segments"
            _logger.warning(gone, self.directory, limits, events, len(removed))
        return removed

    def _is_old(self, segment: Segment, before_ns: int, now_ns: int) -> bool:
        """Whether all of a segment is too old. Where that holds for all but implausible times, only those are kept."""
        first_ns, last_ns = plausible(now_ns)
        if not segment.rows or (first_ns <= segment.oldest_ns and segment.newest_ns <= last_ns):
            return segment.newest_ns < before_ns
        times = f'"@timestamp" BETWEEN make_timestamp_ns({first_ns}) AND make_timestamp_ns({last_ns})'
        if segment not in self._newest:
            with contextlib.closing(connect(MEMORY_LIMIT_BYTES, 1)) as database:
                newest = f'SELECT epoch_ns(max("@timestamp")) FROM read_parquet(?) WHERE {times}'  # noqa: S608
                self._newest[segment] = database.execute(newest, [str(self.directory / segment.name)]).fetchall()[0][0]
        newest_ns = self._newest[segment]
        if newest_ns is not None and newest_ns >= before_ns:
            return False
        if (self.directory / segment.name).stat().st_mtime_ns < before_ns:
            return True
        if newest_ns is not None:
            self._reduce(segment, f'NOT ({times}) OR "@timestamp" >= make_timestamp_ns({before_ns})')
        return False

    def _reduce(self, segment: Segment, where: str) -> None:
        """Replace a segment by one that has only some of its rows."""
        kept = f"SELECT * FROM ({as_stored([self.directory / segment.name])}) WHERE {where}"  # noqa: S608
        with contextlib.closing(connect(MEMORY_LIMIT_BYTES, 1, new_spill(self.directory))) as database:
            rows = self._publish(database, kept, segment.first, segment.last) or 0
        (self.directory / segment.name).unlink(missing_ok=True)
        (self.directory / segment.ids_name).unlink(missing_ok=True)
        if where != "false":
            part = "%s: retention removed %d events of %s; %d with implausible times are kept"
            _logger.warning(part, self.directory, segment.rows - rows, segment.name, rows)

    def _supersede(self, *paths: Path) -> None:
        gone_at = time.monotonic() + GRACE_SECONDS
        self._superseded += [(gone_at, path) for path in paths]

    def _clear(self, now: float) -> None:
        """Remove what was superseded long enough ago. Belongs to the thread that merges."""
        while self._superseded and self._superseded[0][0] <= now:
            self._superseded[0][1].unlink(missing_ok=True)
            self._superseded.pop(0)


class _Worker(threading.Thread):
    """A thread with a database of its own that calls `work` about every second, and again after a failure."""

    def __init__(self, name: str, work: Callable[[duckdb.DuckDBPyConnection], None], maintenance: Maintenance) -> None:
        super().__init__(name=name, daemon=True)
        self.wake = threading.Event()
        self._work, self._maintenance = work, maintenance
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
            while not self._maintenance.stopping.is_set():
                self.wake.wait(self._pause_seconds())
                self.wake.clear()
                self._try()
        except BaseException as ended:
            error = ended
            raise
        finally:
            if self._database is not None:
                self._database.close()
            self._maintenance.ended(error)

    def _pause_seconds(self) -> float:
        return RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1] if self._failures else _TICK_SECONDS

    def _try(self) -> None:
        """Work once. No exception ends the thread: it is logged, and the work is tried again after a pause."""
        try:
            if not self._maintenance.in_place():  # what is in its place is not ours to seal, merge or delete
                raise StoreMissing(f"{self._maintenance.directory} was removed, moved or unmounted")
            self._database = self._database or connect(MEMORY_LIMIT_BYTES, 1, new_spill(self._maintenance.directory))
            self._work(self._database)
        except Exception as error:  # a thread that ends would stop acknowledgements until a restart
            if self._maintenance.stopping.is_set():
                return
            if not self._failures:
                expected = isinstance(error, OSError | duckdb.Error | StoreError)
                failed = "%s in %s failed; all files stay as they are and it is tried again: %s"
                trace = None if expected else error
                _logger.error(failed, self.name, self._maintenance.directory, error, exc_info=trace)  # noqa: TRY400
            self._failures += 1
            self._maintenance.failed = error
            # After some errors DuckDB refuses everything.
            if self._database is not None:
                self._database.close()
                self._database = None
        else:
            if self._failures:
                _logger.warning("%s in %s works again", self.name, self._maintenance.directory)
                self._failures, self._maintenance.failed = 0, None


def mergeable(
    segments: tuple[Segment, ...], may: Callable[[tuple[Segment, ...]], bool] = lambda _: True
) -> tuple[Segment, ...]:
    """Return ten neighbours none of which is much larger than the others, the smallest kind first, or ().

    Kinds are powers of ten of rows, so that a row is rewritten once for each. `may`: whether these may be merged."""
    kinds = [len(str(segment.rows)) for segment in segments]
    for kind in sorted(set(kinds)):
        for at in range(len(segments) - MERGE_SEGMENTS + 1):
            group = segments[at : at + MERGE_SEGMENTS]
            follow = all(one.last + 1 == other.first for one, other in itertools.pairwise(group))
            if (
                follow
                and max(kinds[at : at + MERGE_SEGMENTS]) == kind
                and sum(s.rows for s in group) <= MERGE_LIMIT_ROWS
                and may(group)
            ):
                return group
    return ()
