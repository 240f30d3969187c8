"""Calls before and after a fork of this process, so that a thread can be away meanwhile.

Python 3.12 and newer warn of each fork of a process that has several threads. 3.12 counts them before it calls what was
registered for the parent, 3.13 afterwards: there what starts a thread has to come later, with the next bytecode of the
caller."""

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

COUNTS_LAST = 0x030D0000  # Python 3.13

_kept: list[Any] = []


def around_forks(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Have `before` called before each fork, and `after` in the parent when the fork is over. Neither may raise."""
    if sys.hexversion < COUNTS_LAST:
        os.register_at_fork(before=before, after_in_parent=after)
        return

    def first_before() -> None:
        if not _kept:
            os.register_at_fork(after_in_parent=_soon(after))
        before()

    os.register_at_fork(before=first_before)


def _soon(after: Callable[[], None]) -> Callable[[], object]:
    """Return a callable without bytecode of its own that has the main thread run `after` with its next bytecode."""
    try:
        import ctypes  # for processes that fork: it would be in every worker's start

        def run(_: object) -> int:
            after()
            return 0

        call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(run)
        _kept.append(call)
        return partial(ctypes.pythonapi.Py_AddPendingCall, call, None)
    except Exception:  # another kind of Python: it may warn
        _kept.append(after)
        return after
