"""The shipping thread: one daemon thread per process. It prepares segments, delivers events in order, and runs tasks.

Started lazily after a fork, and again if it died. It waits in one poll for the outlet, a wake-up pipe, or time."""

import contextlib
import logging
import os
import select
import threading
import time
from typing import Protocol

from logship.state.identity import Cell
from logship.state.journal import Journal
from logship.state.segment import SIZE_BYTES
from logship.worker.fork import join_for_fork
from logship.worker.shipping.journal_feed import JournalFeed
from logship.worker.shipping.outlet import Outlet

TICK_SECONDS = 0.2
FLUSHING_SECONDS = 0.02
WARN_AFTER_SECONDS = 10.0
FULL_DISK_PAUSE_SECONDS = 1.0
FAILED_TASK_SECONDS = 10.0

_logger = logging.getLogger("logship")


class PeriodicTask(Protocol):
    """What the thread does between deliveries. `tick` returns after how many seconds it wants to be called again."""

    def tick(self, now: float) -> float: ...


class Shipper:
    """Owns the thread. All methods may be called from any thread."""

    def __init__(
        self, journal: Journal, feed: JournalFeed, outlet: Outlet, tasks: list[PeriodicTask], agent: str
    ) -> None:
        """`agent`: the setting, for messages."""
        self.outlet = outlet
        self._journal = journal
        self._feed = feed
        self._tasks = tasks
        self._due = [0.0] * len(tasks)
        self._agent = agent
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._paused = False
        self._paused_cleanly = False  # the thread ended between two steps: the connection can continue
        self._flushing = False
        self._start_lock = threading.Lock()
        self._warned = False
        self._disk_full_until = 0.0
        journal.wake = self.wake

    # From any thread.

    def start(self) -> None:
        """Start the thread if it does not run. Never waits for another caller: a signal handler may have interrupted it."""
        if self._start_lock.acquire(blocking=False):
            try:
                if not (self._paused or self.alive()):
                    self._stopping = False
                    self._thread = threading.Thread(target=self._run, daemon=True, name="logship-shipper")
                    self._thread.start()
            finally:
                self._start_lock.release()

    def alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def revive(self) -> None:
        """Start the thread again if it died. Not if it was stopped."""
        if not (self._stopping or self._paused or self.alive()):
            with contextlib.suppress(RuntimeError):  # no more threads are available, or the interpreter ends
                self.start()

    def wake(self) -> None:
        """Make the thread look for events now. Never blocks: a pipe that is full wakes it as well."""
        self.revive()
        self._notify()

    def _notify(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._writer, b"w")

    def flush(self, deadline_seconds: float) -> bool:
        """Wait until everything journalled so far is acknowledged; False after the deadline.

        Without an agent ("off") it returns True at once, on the shipping thread itself False."""
        until = time.monotonic() + deadline_seconds
        written = self._journal.written()
        if self._agent == "off" or threading.current_thread() is self._thread:
            return self._agent == "off"
        with contextlib.suppress(RuntimeError):
            self.start()
        self._flushing = True
        try:
            while self._journal.cells[Cell.MARK] < written:
                self.wake()
                if time.monotonic() >= until:
                    return False
                time.sleep(0.005)
            return True
        finally:
            self._flushing = False

    def stop(self, deadline_seconds: float) -> bool:
        """Flush, then end the thread. Return what `flush` returns: other events stay in the journal for an adopter."""
        flushed = self.flush(deadline_seconds)
        self.end()
        return flushed

    def end(self) -> None:
        """End the thread now, without flushing."""
        self._stopping = True
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def pause(self) -> None:
        """End the thread before a fork; `resume` starts it again. Waits half a second at most.

        Python 3.12 and newer warn of every fork of a process with several threads."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return
        self._paused = True
        self._notify()
        join_for_fork(thread)

    def resume(self) -> None:
        """Start the thread again after `pause`."""
        if self._paused:
            self._paused = False
            self.revive()

    # On the shipping thread.

    def _run(self) -> None:
        began = time.monotonic()
        if not self._paused_cleanly:
            self.outlet.disconnect()  # the previous thread died in the middle of a step
        self._paused_cleanly = False
        while not self._stopping:
            if self._paused:
                self._paused_cleanly = True
                return
            try:
                self._turn(began)
            except Exception:
                # The thread must survive every internal error: events still go to the journal. Logged once a second at most.
                _logger.exception("internal error in the shipping thread; it continues. Please report it")
                self.outlet.disconnect()
                time.sleep(1.0)
        self.outlet.disconnect()

    def _turn(self, began: float) -> None:
        now = time.monotonic()
        self._prepare(now)
        wait = self._run_tasks(now)
        self.outlet.step(now)
        if not self._warned and not self.outlet.acks and now - began > WARN_AFTER_SECONDS:
            self._warn()
        self._wait(min(wait, self._until_work()))

    def _wait(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._reader, select.POLLIN)
        wanted = self.outlet.wants()
        if wanted is not None:
            poller.register(*wanted)
        if self._reader in dict(poller.poll(max(0.0, seconds) * 1000)):
            os.read(self._reader, 4096)

    def _prepare(self, now: float) -> None:
        """Have segments ready; on a full disk, try again once a second."""
        if now < self._disk_full_until:
            return
        try:
            self._journal.prepare()
        except OSError as error:
            if not self._disk_full_until:
                _logger.warning(
                    "no room for the journal in %s (%s): events are dropped and counted until there is room",
                    self._journal.directory,
                    error.strerror,
                )
            self._disk_full_until = now + FULL_DISK_PAUSE_SECONDS
        else:
            if self._disk_full_until:
                _logger.warning("there is room for the journal in %s again", self._journal.directory)
            self._disk_full_until = 0.0

    def _run_tasks(self, now: float) -> float:
        """Run the tasks that are due; return the seconds until the next one is."""
        for index, task in enumerate(self._tasks):
            if now >= self._due[index]:
                try:
                    self._due[index] = now + task.tick(now)
                except Exception:
                    # Delivery must not wait for a task that fails.
                    _logger.exception(
                        "internal error in %s; next try in %g s. Please report it", type(task).__name__, FAILED_TASK_SECONDS
                    )
                    self._due[index] = now + FAILED_TASK_SECONDS
        return min((due - now for due in self._due), default=TICK_SECONDS)

    def _until_work(self) -> float:
        now = time.monotonic()
        wait = FLUSHING_SECONDS if self._flushing else TICK_SECONDS
        deadline = self.outlet.deadline()
        if deadline is not None:
            wait = min(wait, deadline - now)
        if self.outlet.room() and self._feed.backlog() and self._feed.paced_until > now:
            wait = min(wait, self._feed.paced_until - now)
        return wait

    def _warn(self) -> None:
        self._warned = True
        trouble = self.outlet.trouble or "no answer"
        advice = ". Start a collector (`logship up`) or point LOGSHIP_AGENT at yours" if self.outlet.unreachable else ""
        limit_mib = self._journal.limit_segments * SIZE_BYTES / 2**20
        _logger.warning(
            "no acknowledgement from the agent at %s for %.0f s (%s); events are buffered in %s (up to %.0f MiB per worker)%s",
            *(self._agent, WARN_AFTER_SECONDS, trouble, self._journal.directory or "memory", limit_mib, advice),
        )
