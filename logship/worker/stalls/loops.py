"""The loops that are watched: each runs a timer of ours, and the gaps between its runs are the stalls.

`AsyncLoop` is for asyncio and uvloop; trio has a system task instead of a timer."""

import asyncio
import contextvars
import sys
import threading
from collections import deque
from time import monotonic_ns
from typing import Any

from logship.worker.stalls.clocks import Clocks
from logship.worker.stalls.stack import depth

# The timer runs so often within the time from which a stall counts, if requests run; half as often in a quiet worker. It
# is the precision of the beginning of a stall.
RUNS_PER_LIMIT = 4
QUIET_NS = 1_000_000_000
GAPS_KEPT = 64


class WatchedLoop:
    """A loop, seen by its own thread (`mark`) and by the watchdog. Make it on the thread of the loop.

    `seen_ns`: when the timer last ran; `quiet`: set by the watchdog if no request runs; `gaps`: (begin, end, interval of the
    timer) of stalls that have ended, for the watchdog to take out. Times are of the monotonic clock."""

    def __init__(self, limit_ns: int) -> None:
        self.thread = threading.get_ident()
        self.clocks = Clocks()
        self.limit_ns = limit_ns
        self.busy_interval_ns = limit_ns // RUNS_PER_LIMIT
        # Of the timer that runs next.
        self.interval_ns = self.busy_interval_ns
        self.quiet = False
        self.seen_ns = monotonic_ns()
        self.gaps: deque[tuple[int, int, int]] = deque(maxlen=GAPS_KEPT)
        # How many of the outermost frames belong to what runs the loop.
        self.base_depth = 0
        self.stopped = False

    def mark(self) -> None:
        """Note that the loop runs; called by the timer."""
        now = monotonic_ns()
        if now - self.seen_ns >= self.limit_ns:
            self.gaps.append((self.seen_ns, now, self.interval_ns))
        self.seen_ns = now
        self.interval_ns = self.busy_interval_ns * (2 if self.quiet else 1)
        if not self.base_depth:
            # This function and its caller, of the loop's callback, are not below a callback of the application.
            self.base_depth = depth(sys._getframe(2))

    def forget(self) -> None:
        """Begin anew: the time until now is not a stall."""
        self.gaps.clear()
        self.seen_ns = monotonic_ns()

    def runs(self) -> bool:
        """Return whether the loop runs; one that has been stopped may run again."""
        return not self.stopped

    def ended(self) -> bool:
        """Return whether it will never run again."""
        return self.stopped

    def asyncio_loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop if it is one of asyncio."""
        return None


class AsyncLoop(WatchedLoop):
    """A loop of asyncio or uvloop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_ns: int) -> None:
        super().__init__(limit_ns)
        self._loop = loop
        self._schedule()

    def _schedule(self) -> None:
        # An empty context: that of the caller may hold a request.
        self._loop.call_later(self.interval_ns / 1e9, self._run, context=contextvars.Context())

    def _run(self) -> None:
        self.mark()
        if not (self.stopped or self._loop.is_closed()):
            self._schedule()

    def runs(self) -> bool:
        return self._loop.is_running()

    def ended(self) -> bool:
        return self._loop.is_closed()

    def asyncio_loop(self) -> asyncio.AbstractEventLoop | None:
        return self._loop


class TrioLoop(WatchedLoop):
    """A run of trio."""

    def __init__(self, trio: Any, limit_ns: int) -> None:
        super().__init__(limit_ns)
        self._sleep = trio.sleep
        trio.lowlevel.spawn_system_task(self._repeat, name="logship-stalls")

    async def _repeat(self) -> None:
        try:
            while not self.stopped:
                self.mark()
                await self._sleep(self.interval_ns / 1e9)
        finally:
            self.stopped = True


def running_loop(limit_ns: int) -> WatchedLoop | None:
    """Return the loop that runs the caller, watched from now on; None if there is none."""
    try:
        return AsyncLoop(asyncio.get_running_loop(), limit_ns)
    except RuntimeError:
        pass
    trio = sys.modules.get("trio")
    try:
        return TrioLoop(trio, limit_ns) if trio is not None else None
    except RuntimeError:  # no run of trio
        return None
