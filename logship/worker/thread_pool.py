"""AnyIO's thread pool, which runs the synchronous endpoints of Starlette and FastAPI."""

import sys
from typing import Any

_MODULE = "anyio.to_thread"


class ThreadPool:
    """The default limiter of AnyIO. Make it on the thread of the loop, in a task."""

    def __init__(self, limiter: Any) -> None:
        self._limiter = limiter

    def waiting(self) -> int:
        """Return how many calls wait because all threads are busy. May be called from any thread."""
        if self._limiter.available_tokens > 0:
            return 0
        return int(self._limiter.statistics().tasks_waiting)

    def busy(self) -> int:
        """Return how many threads run a call. May be called from any thread."""
        return int(self._limiter.borrowed_tokens)

    def size(self) -> int:
        """Return how many calls may run at the same time."""
        return int(self._limiter.total_tokens)


def is_used() -> bool:
    """Return whether the application has imported AnyIO's threads."""
    return _MODULE in sys.modules


def thread_pool() -> ThreadPool | None:
    """Return the pool of the running loop; None if the application does not use AnyIO, or no task runs."""
    module = sys.modules.get(_MODULE)
    if module is None:
        return None
    try:
        return ThreadPool(module.current_default_thread_limiter())
    except Exception:
        return None
