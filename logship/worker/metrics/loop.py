"""What the metrics need of the event loop: how late it was, how busy its thread is, and its thread pool."""

import asyncio
import threading
import time
from bisect import bisect_left
from typing import Any, Final

from logship.state.metric_file import LAG_BOUNDS_NS, Cell
from logship.worker.metrics import thread_pool
from logship.worker.pipeline import Pipeline

# The application may import AnyIO later: look again after so many timers.
LIMITER_TICKS: Final = 8
# A timer of the loop is a little late in every case.
ON_TIME_NS: Final = 5_000_000


class LoopWatch:
    """Counts the lag of a loop in the metrics of `pipeline`. Create it, and call `late`, in the thread of the loop."""

    def __init__(self, pipeline: Pipeline, loop: asyncio.AbstractEventLoop) -> None:
        self.limiter: Any | None = None
        self._pipeline = pipeline
        self._loop = loop
        self._clock = time.pthread_getcpuclockid(threading.get_ident()) if hasattr(time, "pthread_getcpuclockid") else None
        self._late_ns = self._ticks = 0
        self._tasks: set[asyncio.Task[None]] = set()  # a task without a reference may be collected while it runs

    def late(self, late_ns: int) -> None:
        """Count how late a timer fired."""
        cells = self._pipeline.metrics.cells
        cells[Cell.LAG_BUCKETS + bisect_left(LAG_BOUNDS_NS, late_ns)] += 1
        cells[Cell.LAG_SUM_NS] += late_ns
        self._late_ns += late_ns if late_ns > ON_TIME_NS else 0
        if self.limiter is None and self._ticks % LIMITER_TICKS == 0 and thread_pool.used():
            task = self._loop.create_task(self._find_limiter())  # the limiter is known to tasks only
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._ticks += 1

    async def _find_limiter(self) -> None:
        self.limiter = thread_pool.limiter()

    def busy_ns(self) -> tuple[int, int]:
        """Return the CPU time of the loop's thread, and the sum of its lag, in nanoseconds. May be called from any thread."""
        try:
            cpu_ns = 0 if self._clock is None else time.clock_gettime_ns(self._clock)
        except OSError:  # the thread has ended
            cpu_ns = 0
        return cpu_ns, self._late_ns
