"""Running a query so that Ctrl-C and a time limit can end it."""

import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any, TypeVar

import duckdb

from logship.errors import StoreError

# How long Ctrl-C may wait.
WAKE_SECONDS = 0.2

_T = TypeVar("_T")


def interruptible(cursor: duckdb.DuckDBPyConnection, answer: Callable[[], _T], limit_seconds: float = 0) -> _T:
    """Return `answer()`, run in another thread where necessary: DuckDB checks neither for Ctrl-C nor for a time limit.

    StoreError if it takes longer than `limit_seconds`; 0: no limit."""
    if not limit_seconds and threading.current_thread() is not threading.main_thread():
        return answer()
    answered: futures.Future[_T] = futures.Future()

    def work() -> None:
        try:
            answered.set_result(answer())
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            answered.set_exception(error)

    thread = threading.Thread(target=work, name="logship-query", daemon=True)
    try:
        thread.start()  # waits until it runs, which Ctrl-C may interrupt too
        finished = _wait(answered, limit_seconds)
    except BaseException:
        _interrupt(cursor, answered, thread)
        raise
    if finished:
        return answered.result()
    _interrupt(cursor, answered, thread)
    took = f"the query took longer than {limit_seconds:g} s and was cancelled"
    raise StoreError(f"{took}; use a shorter time window or fewer rows")


def _wait(answered: "futures.Future[Any]", limit_seconds: float) -> bool:
    """Return whether the answer came within the limit; 0: no limit.

    It wakes up now and then, because Ctrl-C is handled by the main thread, which another thread's signal does not wake."""
    until = time.monotonic() + limit_seconds if limit_seconds else None
    while not answered.done() and (until is None or time.monotonic() < until):
        futures.wait([answered], WAKE_SECONDS if until is None else min(WAKE_SECONDS, max(0.0, until - time.monotonic())))
    return answered.done()


def _interrupt(cursor: duckdb.DuckDBPyConnection, answered: "futures.Future[Any]", thread: threading.Thread) -> None:
    """Return when nothing runs on `cursor` any more: a query may be several statements, and each is interrupted."""
    while not answered.done() and thread.is_alive():
        cursor.interrupt()
        futures.wait([answered], 0.05)
