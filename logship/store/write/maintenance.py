"""The background work on a store: one thread seals logs, another checks, merges and removes segments.

There are two threads because merging two million rows takes half a minute, and every query reads the unsealed logs again.
Acknowledgements wait for neither: DuckDB releases the interpreter's lock and uses one thread for each.
"""

import atexit
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from logship.store.chain.writer import Chain
from logship.store.files import Segment, read_listing, remove_left_spills
from logship.store.write.hourly import HourlyTotals
from logship.store.write.integrity import IntegrityCheck
from logship.store.write.merging import Merger
from logship.store.write.removal import Remover
from logship.store.write.retention import Retention
from logship.store.write.sealing import Sealer
from logship.store.write.superseded import Superseded
from logship.store.write.thread import BackgroundThread, ThreadState

# Logs that are sealed as one segment when sealing is behind.
SEAL_LOGS = 8
# Sealing goes first: merging waits while more logs than this do, until there are so many segments that queries slow down.
MERGE_WAITS_LOGS = 4
MERGE_ANYWAY_SEGMENTS = 100
_RETENTION_EVERY_SECONDS = 60.0
HOURS_EVERY_SECONDS = 60.0


class Maintenance:
    """Seals full logs, oldest first, and keeps the segments in order. Queries read logs until they are sealed.

    `chain`: records what they do; `due`: called about every second, returns the numbers of full logs; `sealed`: called with each
    log that was sealed;
    `in_place`: whether `directory` is still the one that was opened."""

    def __init__(
        self,
        directory: Path,
        due: Callable[[], list[int]],
        sealed: Callable[[int], None],
        retention: Retention,
        chain: Chain,
        in_place: Callable[[], bool] = lambda: True,
    ) -> None:
        self._directory, self._due, self._sealed = directory, due, sealed
        self._state = ThreadState(directory, in_place)
        self.superseded = Superseded()
        self.integrity = IntegrityCheck(directory, self.superseded)
        self._sealer = Sealer(directory, self.superseded, self.integrity, chain)
        self._merger = Merger(directory, self.superseded, self.integrity, chain)
        self.remover = Remover(directory, retention, self.superseded, chain)
        self._chain = chain
        self._hourly = HourlyTotals(directory)
        self._waiting_logs = 0
        self._next_retention = 0.0
        # Not at once: an import or a test opens a store for seconds.
        self._next_hours = time.monotonic() + HOURS_EVERY_SECONDS
        self.sealing = BackgroundThread("logship-seal", self._seal_all, self._state)
        self.merging = BackgroundThread("logship-merge", self._tidy, self._state)
        # A thread inside DuckDB while the interpreter shuts down would abort the process.
        atexit.register(self.stop)

    @property
    def failed(self) -> BaseException | None:
        """The error of the last attempt, None if it succeeded."""
        return self._state.failed

    @property
    def alive(self) -> bool:
        """Whether both threads run."""
        return self.sealing.is_alive() and self.merging.is_alive()

    def wake(self) -> None:
        """Look for logs to seal now."""
        self.sealing.wake.set()

    def wait(self, done: Callable[[], bool], timeout_seconds: float) -> bool:
        """Return True as soon as `done()` is true, False after the timeout or if a thread has ended."""
        deadline = time.monotonic() + timeout_seconds
        with self._state.changed:
            while not done():
                left = deadline - time.monotonic()
                if left <= 0 or not self.alive:
                    return False
                self._state.changed.wait(min(left, 0.5))
        return True

    def stop(self) -> None:
        """Return when the threads have ended. Sealing that has begun is completed, a merge is cancelled."""
        atexit.unregister(self.stop)
        self._state.stopping.set()
        self.sealing.wake.set()
        self.merging.wake.set()
        while self.merging.is_alive():
            self.merging.interrupt()
            self.merging.join(0.2)
        self.sealing.join()
        with contextlib.suppress(OSError):
            self.superseded.remove_all()

    def retain(self, now_ns: int) -> list[Segment]:
        """Remove the segments that retention does not keep, and return them."""
        return self.remover.remove(now_ns)

    def _seal_all(self, database: duckdb.DuckDBPyConnection) -> None:
        while (due := self._due()) and not self._state.stopping.is_set():
            # When sealing is behind, several logs become one segment: that waits for the disk once instead of each time.
            logs = due[: max(1, min(SEAL_LOGS, len(due) // 2))]
            self._waiting_logs = len(due) - len(logs)
            for number in self._sealer.seal(database, logs):
                self._sealed(number)
            self._state.notify()
            self.merging.wake.set()

    def _tidy(self, database: duckdb.DuckDBPyConnection) -> None:
        """Run each kind of work; if one fails, the others run all the same."""
        failures: list[Exception] = []
        for work in (
            self._remove_superseded, self._check_some, self._complete_chain, self._merge_all, self._add_hours, self._retain_now,
        ):
            try:
                work(database)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
        if failures:
            raise failures[0]

    def _remove_superseded(self, _: duckdb.DuckDBPyConnection) -> None:
        self.superseded.remove_due()

    def _check_some(self, _: duckdb.DuckDBPyConnection) -> None:
        self.integrity.check_some(self._state.stopping.is_set)

    def _complete_chain(self, _: duckdb.DuckDBPyConnection) -> None:
        self._chain.complete_some(self._state.stopping.is_set)

    def _merge_all(self, database: duckdb.DuckDBPyConnection) -> None:
        while not self._state.stopping.is_set() and not self._sealing_goes_first():
            if not self._merger.merge_once(database):
                return
            self.superseded.remove_due()  # many merges in a row must not keep everything that they replaced

    def _sealing_goes_first(self) -> bool:
        return self._waiting_logs > MERGE_WAITS_LOGS and len(read_listing(self._directory).segments) < MERGE_ANYWAY_SEGMENTS

    def _add_hours(self, _: duckdb.DuckDBPyConnection) -> None:
        if time.monotonic() >= self._next_hours:
            self._next_hours = time.monotonic() + HOURS_EVERY_SECONDS
            self._hourly.update(time.time_ns())

    def _retain_now(self, _: duckdb.DuckDBPyConnection) -> None:
        if time.monotonic() >= self._next_retention:
            self._next_retention = time.monotonic() + _RETENTION_EVERY_SECONDS
            self.retain(time.time_ns())
            remove_left_spills(self._directory)
