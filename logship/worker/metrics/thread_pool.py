"""The thread pool in which frameworks run synchronous functions: AnyIO's default limiter."""

import sys
from typing import Any, NamedTuple


class ThreadPool(NamedTuple):
    """`busy`: threads in use; `total`: threads that may be in use; `waiting`: calls that wait for one."""

    busy: int
    total: int
    waiting: int


_BACKEND = "anyio._backends._asyncio"


def used() -> bool:
    """Return whether the application has used AnyIO on asyncio."""
    return _BACKEND in sys.modules


def limiter() -> Any | None:
    """Return the limiter of the running asyncio event loop; None if it cannot be had. Call it in a task."""
    try:
        return sys.modules[_BACKEND].AsyncIOBackend.current_default_thread_limiter()
    except Exception:  # another version of AnyIO, or no loop
        return None


def read(limiter: Any) -> ThreadPool | None:
    """Return the state of `limiter`; None if it cannot be read."""
    try:
        state = limiter.statistics()
        return ThreadPool(int(state.borrowed_tokens), int(limiter.total_tokens), int(state.tasks_waiting))
    except Exception:  # AnyIO's limiter is not thread-safe: a set may change while it is copied
        return None
