"""Calls at the end of this process, whichever way Python ends it."""

import atexit
import contextlib
import sys
from collections.abc import Callable

_function: Callable[[], object] | None = None


def at_exit(function: Callable[[], object]) -> None:
    """Have `function` called when this process ends in order; what it raises is ignored. The last function counts."""
    global _function
    if _function is None:
        atexit.register(_run)
    _function = function


def at_child_exit() -> None:
    """Have the function of `at_exit` called in this process if it is a child of multiprocessing.

    Such children (granian's workers, process pools) end without atexit, and run finalizers instead."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _run, exitpriority=1)


def _run() -> None:
    if _function is not None:
        with contextlib.suppress(Exception):
            _function()
