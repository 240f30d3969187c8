"""AnyIO's thread pool, which runs the synchronous endpoints of Starlette and FastAPI: exhausted, or not."""

import sys
import threading
from typing import Any

from logship.worker.stalls.application import Application
from logship.worker.stalls.stack import Stack, stacks_of_others


class ThreadPool:
    """The default limiter of AnyIO. Make it on the thread of the loop, in a task."""

    def __init__(self, limiter: Any) -> None:
        self._limiter = limiter

    def waiting(self) -> int:
        """Return how many calls wait because all threads are busy. May be called from any thread."""
        if self._limiter.available_tokens > 0:
            return 0
        return int(self._limiter.statistics().tasks_waiting)

    def size(self) -> int:
        """Return how many calls may run at the same time."""
        return int(self._limiter.total_tokens)


def thread_pool() -> ThreadPool | None:
    """Return the pool of the running loop; None if the application does not use AnyIO, or no task runs."""
    module = sys.modules.get("anyio.to_thread")
    if module is None:
        return None
    try:
        return ThreadPool(module.current_default_thread_limiter())
    except Exception:
        return None


def busy_stacks(application: Application, *without: int | None) -> dict[str, Stack]:
    """Return the stacks of the threads that execute code of the application, by the name of the thread and its number."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        f"{names.get(thread, 'thread')}\0{thread}": stack
        for thread, stack in stacks_of_others(*without).items()
        if not names.get(thread, "").startswith("logship-") and application.owns_any(stack)
    }
