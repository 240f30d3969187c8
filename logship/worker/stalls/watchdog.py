"""The thread that watches the event loops of a worker. It is separate because the shipping thread may be busy.

While all loops are on time it wakes up four times per stall limit (`stall_seconds`), twice if no requests run, reads three
clocks, and sleeps. It ends when no loop is left."""

import contextlib
import threading
import time

from logship.worker import internal_errors
from logship.worker.fork import join_for_fork
from logship.worker.pipeline import Pipeline
from logship.worker.stalls.application import Application
from logship.worker.stalls.clocks import own_switches
from logship.worker.stalls.gc_pauses import GcPauses
from logship.worker.stalls.loops import RUNS_PER_LIMIT, WatchedLoop
from logship.worker.stalls.observer import LONG_NS, SLACK_NS, LoopObserver
from logship.worker.stalls.pool_observer import PoolObserver
from logship.worker.thread_pool import ThreadPool

# A stall of more than a second is sampled at this interval.
SLOW_SECONDS = 0.1


class Watchdog:
    """Owns the thread. `watch`, `pause` and `resume` may be called from any thread."""

    def __init__(self, pipeline: Pipeline, limit_ns: int) -> None:
        self.pipeline = pipeline
        self._interval_seconds = limit_ns / RUNS_PER_LIMIT / 1e9
        # In a stall as long as the limit, the thread must wake up after the timer is late, whose interval is then doubled.
        self._quiet_seconds = max(self._interval_seconds, (limit_ns / 2 - 1.2 * SLACK_NS) / 1e9)
        self._application = Application()
        self._pauses = GcPauses()
        self._loops: list[LoopObserver] = []
        self._pools: dict[LoopObserver, PoolObserver] = {}
        self._thread: threading.Thread | None = None
        self._paused = False
        self._start_lock = threading.Lock()
        # Held except to wake the thread: to wait for a lock costs less than for an event.
        self._wake = threading.Lock()
        self._wake.acquire()

    def watch(self, loop: WatchedLoop, pool: ThreadPool | None) -> None:
        """Watch this loop and its thread pool until the loop is closed."""
        if any(observer.loop.thread == loop.thread and not observer.loop.ended() for observer in self._loops):
            loop.stopped = True  # it is watched already
            return
        observer = LoopObserver(loop, self.pipeline, self._application, self._pauses)
        if pool is not None:
            self._pools[observer] = PoolObserver(pool, loop.thread, self.pipeline, self._application)
        self._loops.append(observer)
        self.start()

    def watches(self) -> bool:
        """Return whether a loop is left to watch."""
        return bool(self._loops)

    def start(self) -> None:
        """Start the thread if it does not run."""
        with self._start_lock:
            if self._paused or not self._loops or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, daemon=True, name="logship-watchdog")
            with contextlib.suppress(RuntimeError):  # no more threads are available, or the interpreter ends
                self._thread.start()

    def pause(self) -> None:
        """End the thread before a fork; `resume` starts it again. Waits half a second at most."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return
        self._paused = True
        with contextlib.suppress(RuntimeError):
            self._wake.release()
        join_for_fork(thread)

    def resume(self) -> None:
        """Start the thread again after `pause`. The time in between is not a stall."""
        if self._paused:
            self._paused = False
            for observer in self._loops:
                observer.loop.forget()
            self.start()

    def _run(self) -> None:
        self._pauses.start()
        try:
            wait, before = self._interval_seconds, own_switches()
            while True:
                due = time.monotonic_ns() + int(wait * 1e9)
                self._wake.acquire(timeout=wait)
                if self._ends():
                    return
                switches = own_switches()
                wait = self._turn(max(0, time.monotonic_ns() - due), switches - before)
                before = switches
        finally:
            self._pauses.stop()

    def _ends(self) -> bool:
        if self._paused:
            return True
        with self._start_lock:
            if not self._loops:
                self._thread = None
            return not self._loops

    def _turn(self, late_ns: int, switches: int) -> float:
        """Look at everything; return for how many seconds to sleep."""
        try:
            for ended in [observer for observer in self._loops if observer.loop.ended()]:
                self._loops.remove(ended)
                self._pools.pop(ended, None)
            age_ns = max((observer.look(late_ns, switches) for observer in self._loops), default=0)
            now_ns = time.monotonic_ns()
            for pool in tuple(self._pools.values()):
                pool.look(now_ns)
            if age_ns >= LONG_NS:
                return max(SLOW_SECONDS, self._interval_seconds)
            quiet = not age_ns and all(observer.loop.quiet for observer in self._loops)
            return self._quiet_seconds if quiet else self._interval_seconds
        except Exception as error:
            internal_errors.report(error)
            return 1.0
