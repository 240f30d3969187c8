"""What the metrics need of the event loop: how late it was, how busy its thread is, and its thread pool."""

import asyncio
from bisect import bisect_left
from typing import Final

from logship.state.metric_file import LAG_BOUNDS_NS, MetricCell
from logship.worker import thread_pool
from logship.worker.loop_lag import INTERVAL_SECONDS
from logship.worker.pipeline import ObservedLoop, Pipeline
from logship.worker.thread_clock import own_clock, own_wait
from logship.worker.thread_pool import ThreadPool

# The application may import AnyIO later: look again after so many timers.
POOL_TICKS: Final = 8
# A timer of the loop is a little late in every case.
ON_TIME_NS: Final = 5_000_000
TIMER_NS: Final = int(INTERVAL_SECONDS * 1e9)


class LoopWatch:
    """Counts the lag of a loop in the metrics of `pipeline`. Create it, and call `late`, in the thread of the loop."""

    def __init__(self, pipeline: Pipeline, loop: asyncio.AbstractEventLoop) -> None:
        self.pool: ThreadPool | None = None
        self._pipeline = pipeline
        self._loop = loop
        self._cpu_ns = own_clock() or (lambda: 0)
        self._wait_ns = own_wait()
        self._late_ns = self._ticks = 0
        self._waited_ns = self._wait_ns()
        self._tasks: set[asyncio.Task[None]] = set()  # a task without a reference may be collected while it runs

    def late(self, late_ns: int) -> None:
        """Count how late a timer fired."""
        cells = self._pipeline.metrics.cells
        cells[MetricCell.LAG_BUCKETS + bisect_left(LAG_BOUNDS_NS, late_ns)] += 1
        cells[MetricCell.LAG_SUM_NS] += late_ns
        # Timers fire at random times: the share of late ones is the share of time in which the loop was blocked. A thread that
        # waits for a core, behind other processes, is late without being blocked.
        before, self._waited_ns = self._waited_ns, self._wait_ns()
        blocked_ns = late_ns - (self._waited_ns - before)
        self._late_ns += max(blocked_ns, TIMER_NS) if blocked_ns > ON_TIME_NS else 0
        if self.pool is None and self._ticks % POOL_TICKS == 0 and thread_pool.is_used():
            task = self._loop.create_task(self._find_pool())  # only tasks know it
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._ticks += 1

    async def _find_pool(self) -> None:
        self.pool = thread_pool.thread_pool()

    def busy_ns(self) -> tuple[int, int]:
        """Return the CPU time of the loop's thread, and an estimate of the time in which it was blocked, in nanoseconds.

        May be called from any thread."""
        return self._cpu_ns(), self._late_ns


class Utilization:
    """The share of time in which a loop was busy, between two calls of `since`."""

    def __init__(self) -> None:
        self._before: tuple[float, int, int] | None = None

    def since(self, loop: ObservedLoop | None, now: float) -> float:
        """Return the share, 0 to 1, since the call before; 0 for the first call. `now`: monotonic seconds.

        The loop's thread uses CPU, or something on the loop blocks it; a computation does both at once."""
        if loop is None:
            return 0.0
        cpu_ns, late_ns = loop.busy_ns()
        before, self._before = self._before, (now, cpu_ns, late_ns)
        if before is None or now <= before[0]:
            return 0.0
        return min(1.0, max(0, cpu_ns - before[1], late_ns - before[2]) / ((now - before[0]) * 1e9))
