"""Watches the thread pool: records when all its threads are busy and calls wait for more than a second."""

import time
from typing import Final

from logship.event.stall import Exhaustion, exhausted
from logship.worker.pipeline import Pipeline
from logship.worker.stalls.application import Application
from logship.worker.stalls.place import place_of
from logship.worker.stalls.pool import busy_stacks
from logship.worker.stalls.stack import Stack
from logship.worker.thread_pool import ThreadPool

LEAST_NS: Final = 1_000_000_000
SAMPLE_NS: Final = 250_000_000
STACKS_KEPT = 1000


class PoolObserver:
    """Observes `pool` for the watchdog, whose thread alone calls it. `thread`: that of the loop, which is left out."""

    def __init__(self, pool: ThreadPool, thread: int, pipeline: Pipeline, application: Application) -> None:
        self._pool = pool
        self._thread = thread
        self._pipeline = pipeline
        self._application = application
        self._since_ns = self._start_ns = self._sampled_ns = self._most_waiting = 0
        self._stacks: list[Stack] = []
        self._announced = False

    def look(self, now_ns: int) -> None:
        """Look at the pool; `now_ns`: of the monotonic clock."""
        waiting = self._pool.waiting()
        if not waiting:
            if self._announced:
                self._record(now_ns, ended=True)
            self._forget()
            return
        self._since_ns = self._since_ns or now_ns
        self._most_waiting = max(self._most_waiting, waiting)
        if now_ns - self._sampled_ns >= SAMPLE_NS and len(self._stacks) < STACKS_KEPT:
            self._sampled_ns = now_ns
            self._stacks += busy_stacks(self._application, self._thread).values()
        if now_ns - self._since_ns >= LEAST_NS and not self._announced:
            self._record(now_ns, ended=False)
            self._announced = True

    def _forget(self) -> None:
        self._since_ns = self._start_ns = self._sampled_ns = self._most_waiting = 0
        self._stacks = []
        self._announced = False

    def _record(self, now_ns: int, ended: bool) -> None:
        duration_ns = now_ns - self._since_ns
        self._start_ns = self._start_ns or time.time_ns() - duration_ns
        place = place_of(self._stacks, self._application, self._pipeline.redactor)
        running = self._pipeline.journal.inflight.count()
        found = Exhaustion(self._start_ns, duration_ns, self._pool.size(), self._most_waiting, running, place, ended)
        self._pipeline.record(exhausted(found))
