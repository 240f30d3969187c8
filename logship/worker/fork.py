"""Calls before and after a fork of this process, so that a thread can be stopped during the fork.

Python 3.12 and newer warn of each fork of a process that has several threads. 3.12 counts the threads before it calls the
functions registered for the parent, 3.13 after it: there a thread must be started later, with the caller's next bytecode."""

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

COUNTS_LAST = 0x030D0000  # Python 3.13
PAUSE_SECONDS = 0.5

_kept: list[Any] = []
_calls: list[tuple[Callable[[], None], Callable[[], None]]] = []


def around_forks(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call `before` before each fork, and `after` in the parent process when the fork is done. Neither may raise."""
    if not _calls:
        _register()
    _calls.append((before, after))


def join_for_fork(thread: threading.Thread) -> None:
    """Wait until `thread`, which ends soon, has ended also for the system; half a second at most."""
    until = time.monotonic() + PAUSE_SECONDS
    thread.join(PAUSE_SECONDS)
    # Python counts the system's threads before it warns, and the system's thread ends a little later than Python's.
    while os.path.exists(f"/proc/self/task/{thread.native_id}") and time.monotonic() < until:
        time.sleep(0.0002)


def _before() -> None:
    for before, _ in _calls:
        before()


def _after() -> None:
    for _, after in _calls:
        after()


def _register() -> None:
    if sys.hexversion < COUNTS_LAST:
        os.register_at_fork(before=_before, after_in_parent=_after)
        return

    def first_before() -> None:
        if not _kept:
            os.register_at_fork(after_in_parent=_soon(_after))
        _before()

    os.register_at_fork(before=first_before)


def _soon(after: Callable[[], None]) -> Callable[[], object]:
    """Return a callable, itself without bytecode, that makes the main thread call `after` with its next bytecode."""
    try:
        import ctypes  # only for processes that fork: it slows the start

        def run(_: object) -> int:
            after()
            return 0

        call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(run)
        _kept.append(call)
        return partial(ctypes.pythonapi.Py_AddPendingCall, call, None)
    except Exception:  # not CPython: it may warn
        _kept.append(after)
        return after
