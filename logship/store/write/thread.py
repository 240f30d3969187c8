"""A background thread with a DuckDB database, which survives errors."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb

from logship.errors import StoreError, StoreMissing
from logship.store.files import new_spill
from logship.store.schema import connect
from logship.store.write.parquet import MEMORY_LIMIT_BYTES

RETRY_SECONDS = (1.0, 5.0, 30.0)
_TICK_SECONDS = 1.0
# A low priority helps acknowledgements when cores are contested. A very low one harms them: the thread needs CPU time to
# release the interpreter's lock. At 5,000 records a second on two busy cores, p99 of an append was a third of that without
# niceness (median of five paired rounds). 10 was no better, and 19, beside a reading process, up to three times as slow.
_NICENESS = 5

_logger = logging.getLogger("logship.store")


class ThreadState:
    """What the background threads of a store share: when to stop, and the error of the last attempt.

    `in_place`: whether the directory is still the one that was opened."""

    def __init__(self, directory: Path, in_place: Callable[[], bool]) -> None:
        self.directory, self.in_place = directory, in_place
        self.stopping = threading.Event()
        self.changed = threading.Condition()
        self.failed: BaseException | None = None

    def notify(self) -> None:
        """Wake everyone who waits for a change."""
        with self.changed:
            self.changed.notify_all()


class BackgroundThread(threading.Thread):
    """Calls `work` about every second with a database of this thread, and again after a failure."""

    def __init__(self, name: str, work: Callable[[duckdb.DuckDBPyConnection], None], state: ThreadState) -> None:
        super().__init__(name=name, daemon=True)
        self.wake = threading.Event()
        self._work, self._state = work, state
        self._database: duckdb.DuckDBPyConnection | None = None
        self._failures = 0
        self.start()

    def interrupt(self) -> None:
        """Cancel the running statement. For work that can be done later."""
        if self._database is not None:
            with contextlib.suppress(duckdb.Error):  # closed meanwhile
                self._database.interrupt()

    def run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # other systems have no priority of a thread
            of_process = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(of_process + _NICENESS, 19))
        try:
            while not self._state.stopping.is_set():
                self.wake.wait(self._pause_seconds())
                self.wake.clear()
                self._try()
        except BaseException as error:
            self._state.failed = error
            raise
        finally:
            self._close_database()
            self._state.notify()

    def _pause_seconds(self) -> float:
        return RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1] if self._failures else _TICK_SECONDS

    def _try(self) -> None:
        """Work once. An exception does not end the thread: it is logged, and the work is retried after a pause."""
        directory = self._state.directory
        try:
            if not self._state.in_place():  # another directory there must not be sealed, merged or deleted
                raise StoreMissing(f"{directory} was removed, moved or unmounted")
            self._database = self._database or connect(MEMORY_LIMIT_BYTES, 1, new_spill(directory))
            self._work(self._database)
        except Exception as error:  # noqa: BLE001 - without this thread acknowledgements would stop until a restart
            if not self._state.stopping.is_set():
                self._note_failure(error)
        else:
            if self._failures:
                _logger.warning("%s in %s works again", self.name, directory)
                self._failures, self._state.failed = 0, None

    def _note_failure(self, error: Exception) -> None:
        if not self._failures:
            expected = isinstance(error, OSError | duckdb.Error | StoreError)
            sentence = "%s in %s failed; all files are kept unchanged, retrying: %s"
            _logger.error(sentence, self.name, self._state.directory, error, exc_info=None if expected else error)
        self._failures += 1
        self._state.failed = error
        # After some errors a DuckDB database refuses every statement.
        self._close_database()

    def _close_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
