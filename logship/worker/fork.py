"""Calls before and after a fork of this process, so that a thread can be stopped during the fork.

Python 3.12 and newer warn of each fork of a process that has several threads. 3.12 counts the threads before it calls the
functions registered for the parent, 3.13 after it: there a thread must be started later, with the caller's next bytecode."""

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

COUNTS_LAST = 0x030D0000  # Python 3.13

_kept: list[Any] = []


def around_forks(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call `before` before each fork, and `after` in the parent process when the fork is done. Neither may raise."""
    if sys.hexversion < COUNTS_LAST:
        os.register_at_fork(before=before, after_in_parent=after)
        return

    def first_before() -> None:
        if not _kept:
            os.register_at_fork(after_in_parent=_soon(after))
        before()

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
