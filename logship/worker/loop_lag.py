"""Event loop lag: how late a timer of the loop fires."""

import asyncio
import contextlib
from collections.abc import Callable
from random import Random

INTERVAL_SECONDS = 0.25

# The application may seed the generator of the module.
random = Random().random


class LoopLag:
    """Measures the lag of `loop` with a timer that fires every 0.25 s on average. Call it for the values since the previous call.

    `on_tick`: called each time the timer fires; `late`: called with how late it fired, nanoseconds."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_tick: Callable[[], None] = lambda: None,
        late: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._loop = loop
        self._on_tick = on_tick
        self._late = late
        self._sum_ns = self._count = self._max_ns = 0
        self._due = 0.0
        self._schedule()

    def _schedule(self) -> None:
        # At random times, because the application may have a rhythm of its work.
        self._due = self._loop.time() + INTERVAL_SECONDS * (0.5 + random())
        self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        late_ns = max(0, int((self._loop.time() - self._due) * 1e9))
        self._sum_ns += late_ns
        self._count += 1
        self._max_ns = max(self._max_ns, late_ns)
        self._late(late_ns)
        self._on_tick()
        if not self._loop.is_closed():
            self._schedule()

    def __call__(self) -> tuple[int, int]:
        """Return (mean, maximum) in nanoseconds since the previous call. May be called from any thread.

        A loop that is blocked at this moment already counts as late."""
        with contextlib.suppress(RuntimeError):
            self._max_ns = max(self._max_ns, int((self._loop.time() - self._due) * 1e9))
        lag = (self._sum_ns // self._count if self._count else 0, self._max_ns)
        self._sum_ns = self._count = self._max_ns = 0
        return lag
