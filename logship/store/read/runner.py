"""Running queries on a store that is being written: listing, retries, memory and time limits."""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb

from logship.errors import StoreError
from logship.search.kql import Node
from logship.search.names import check_names
from logship.search.query import SetAside
from logship.store.files import new_spill, read_listing, unreadable
from logship.store.read.checks import Checks
from logship.store.read.filters import FilterLookup
from logship.store.read.interrupt import interruptible
from logship.store.read.snapshot import Context, Snapshot
from logship.store.schema import connect

_ATTEMPTS = 8
# Reading a log takes 32 MB or more for each thread, so that two queries at once may need too much memory.
_ATTEMPTS_WHEN_SHORT = 40

_T = TypeVar("_T")


class QueryRunner:
    """Runs functions of a `Snapshot`, with a new listing for each. Any number of threads may use it."""

    def __init__(
        self,
        directory: Path,
        zone: tzinfo,
        clock_ns: Callable[[], int],
        memory_limit_bytes: int,
        threads: int,
        limit_seconds: float,
    ) -> None:
        self.directory = directory
        self._context = Context(directory, zone, clock_ns, Checks(directory), FilterLookup(directory))
        self._limit_seconds = limit_seconds
        self._threads = self._used_threads = threads
        self._database = connect(memory_limit_bytes, threads, new_spill(directory))
        # Only for queries, which read the same files again. It keeps 0.2 MiB for each file that was ever read, up to the limit of
        # the database: a writer, which reads each file once, would fill its memory with files that no longer exist.
        self._database.execute("SET parquet_metadata_cache = true")
        self._opening = threading.Lock()
        self._started = self._running = 0
        self._one_by_one = threading.Lock()

    def close(self) -> None:
        """Release memory and threads. Running queries end with an error."""
        with self._opening:
            self._database.close()

    def drop(self, table: str) -> None:
        """Release the memory of a table. Without a listing, and without an error that would hide one of a query."""
        with self._opening, contextlib.suppress(duckdb.Error):  # the database is closed
            self._database.execute(f"DROP TABLE IF EXISTS {table}")

    def run(self, where: Node | None, query: Callable[[Snapshot], _T]) -> _T:
        """Return `query(snapshot)`. `where`: the condition whose names are checked first.

        If a file was merged away since the listing, the query runs again on a new one. If memory is short because of other
        queries, it runs again after them. StoreError if the store cannot be read, KqlError for a misspelled name."""
        try:
            return self._run(where, query, self._threads)
        except duckdb.OutOfMemoryException:
            with self._one_by_one:
                return self._run_when_memory_allows(where, query)

    def _run_when_memory_allows(self, where: Node | None, query: Callable[[Snapshot], _T]) -> _T:
        short_alone = 0
        for attempt in range(_ATTEMPTS_WHEN_SHORT):
            time.sleep(0.02 * attempt)
            alone, started = self._running == 0, self._started
            try:
                return self._run(where, query, 1)
            except duckdb.OutOfMemoryException as error:
                # Once proves nothing: the memory of the query before may be released a moment later.
                short_alone += alone and self._started == started + 1
                if short_alone == 3:
                    raise StoreError(f"the query needs too much memory; use a shorter time window: {error}") from None
        raise StoreError("too many queries run at once for the available memory; retry in a moment")

    def _run(self, where: Node | None, query: Callable[[Snapshot], _T], threads: int) -> _T:
        with self._opening:
            self._started += 1
            self._running += 1
        try:
            return self._run_on_listings(where, query, threads)
        finally:
            with self._opening:
                self._running -= 1

    def _run_on_listings(self, where: Node | None, query: Callable[[Snapshot], _T], threads: int) -> _T:
        problem: Exception
        for attempt in range(_ATTEMPTS):
            snapshot = self._snapshot(threads)
            try:
                return interruptible(snapshot.cursor, partial(_checked, snapshot, where, query), self._limit_seconds)
            except (duckdb.IOException, FileNotFoundError) as error:
                problem = error
                if not self._is_worth_a_retry(snapshot, attempt):
                    break
                time.sleep(0.01 * attempt)
            except PermissionError as error:
                raise unreadable(self.directory, error) from error
            except duckdb.InterruptException:
                raise StoreError("the query was interrupted") from None
            except duckdb.OutOfMemoryException:
                raise
            except duckdb.Error as error:
                problem = error
                if not self._context.checks.look_again(snapshot.read):
                    raise StoreError(f"the store in {self.directory} cannot be queried: {error}") from error
            finally:
                snapshot.cursor.close()
        raise StoreError(f"a file of the store in {self.directory} cannot be read: {problem}")

    def _snapshot(self, threads: int) -> Snapshot:
        listing = read_listing(self.directory)
        with self._opening:
            self._use_threads(1 if len(listing.logs) > 1 else threads)
            cursor = self._database.cursor()
        return Snapshot(self._context, cursor, listing)

    def _is_worth_a_retry(self, snapshot: Snapshot, attempt: int) -> bool:
        """Whether the files have changed since the listing, or one of those that were read is now known to be damaged."""
        changed = self._context.checks.known(read_listing(self.directory)) != snapshot.listing
        return changed or attempt <= 1 or self._context.checks.look_again(snapshot.read)

    def set_aside(self) -> list[SetAside]:
        """Return the damaged files that are known, which results leave out."""
        return self._context.checks.set_aside(read_listing(self.directory))

    def _use_threads(self, threads: int) -> None:
        # Each thread that reads logs takes 32 MB, and keeps them for the next log: with five unsealed logs two threads took
        # more than 170 MB, and one takes 40.
        if threads != self._used_threads:
            self._database.execute(f"SET threads = {threads}")
            self._used_threads = threads


def _checked(snapshot: Snapshot, where: Node | None, query: Callable[[Snapshot], _T]) -> _T:
    check_names(where, snapshot)
    return query(snapshot)
