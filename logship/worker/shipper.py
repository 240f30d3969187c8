"""The shipping thread: one daemon a process. It prepares segments, takes entries in order, ships them, beats, adopts.

Started lazily after fork and again if it died. It waits in one poll for the agent's socket, a wake-up pipe, or time."""

import contextlib
import logging
import os
import select
import threading
import time
from typing import Protocol

from logship.state.identity import Cell
from logship.state.journal import Journal
from logship.worker.feed import OwnFeed

TICK_SECONDS = 0.2
WARN_AFTER_SECONDS = 10.0
FULL_DISK_PAUSE_SECONDS = 1.0
STUMBLED_SECONDS = 10.0
PAUSE_SECONDS = 0.5

_logger = logging.getLogger("logship")


class Outlet(Protocol):
    """Where bundles go: the agent's connection, or a sink. It takes bundles from the feed that it was made with."""

    acks: int
    trouble: str

    def wants(self) -> tuple[int, int] | None: ...
    def deadline(self) -> float | None: ...
    def step(self, now: float) -> None: ...
    def room(self) -> bool: ...
    def disconnect(self) -> None: ...


class Chore(Protocol):
    """Something that the thread does between shipments: returns seconds until it wants to be called again."""

    def tick(self, now: float) -> float: ...


class Shipper:
    """Owns the thread. `wake`, `flush` and `stop` may be called from anywhere."""

    def __init__(self, journal: Journal, feed: OwnFeed, outlet: Outlet, chores: list[Chore], address: str) -> None:
        self._journal = journal
        self._feed = feed
        self.outlet = outlet
        self._chores = chores
        self._due = [0.0] * len(chores)
        self._address = address
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._paused = False
        self._stands = False  # a pause ended the thread between two steps: the connection is whole
        self._flushing = False
        self._start_lock = threading.Lock()
        self._warned = False
        self._disk_full_until = 0.0
        journal.wake = self.wake

    # From anywhere.

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
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def revive(self) -> None:
        """Start the thread again if it died, and was not told to end."""
        if not (self._stopping or self._paused or self.alive()):
            with contextlib.suppress(RuntimeError):  # no more threads now, or the interpreter ends
                self.start()

    def wake(self) -> None:
        """Make the thread look now. Never blocks: the pipe holds one byte or is full, both will do."""
        self.revive()
        with contextlib.suppress(OSError):
            os.write(self._writer, b"w")

    def flush(self, deadline_seconds: float) -> bool:
        """Wait until everything journalled so far is acknowledged. False when the deadline passed before.

        Without an agent ("off") there is nothing to wait for: True."""
        until = time.monotonic() + deadline_seconds
        written = self._journal.written()
        if self._address == "off" or threading.current_thread() is self._thread:
            return self._address == "off"
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
        """Flush, then end the thread. What is not acknowledged stays in the journal for an adopter."""
        flushed = self.flush(deadline_seconds)
        self.end()
        return flushed

    def end(self) -> None:
        """End the thread now."""
        self._stopping = True
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def pause(self) -> None:
        """End the thread for a moment, so that the process can be forked with one thread less. `resume` starts it again.

        Python 3.12 and newer warn of every fork of a process with several threads. Waits half a second at most."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return
        self._paused = True
        with contextlib.suppress(OSError):
            os.write(self._writer, b"w")
        until = time.monotonic() + PAUSE_SECONDS
        thread.join(PAUSE_SECONDS)
        # Python's thread has ended; the system's, which it counts before it warns, ends a little later.
        while os.path.exists(f"/proc/self/task/{thread.native_id}") and time.monotonic() < until:
            time.sleep(0.0002)

    def resume(self) -> None:
        """Start the thread again after `pause`."""
        if self._paused:
            self._paused = False
            self.revive()

    # The thread.

    def _run(self) -> None:
        began = time.monotonic()
        if not self._stands:
            self.outlet.disconnect()  # a thread that died left it in the middle of something
        self._stands = False
        while not self._stopping:
            if self._paused:
                self._stands = True
                return
            try:
                now = time.monotonic()
                self._prepare(now)
                wait = self._chore(now)
                self.outlet.step(now)
                if not self._warned and not self.outlet.acks and now - began > WARN_AFTER_SECONDS:
                    self._warn()
                wait = min(wait, self._until_work())
                poller = select.poll()
                poller.register(self._reader, select.POLLIN)
                wanted = self.outlet.wants()
                if wanted is not None:
                    poller.register(*wanted)
                if self._reader in dict(poller.poll(max(0.0, wait) * 1000)):
                    os.read(self._reader, 4096)
            except Exception:
                # The thread must outlive any mistake of ours: events go on into the journal, and this is said once a second.
                _logger.exception("the shipping thread stumbled and goes on")
                self.outlet.disconnect()
                time.sleep(1.0)
        self.outlet.disconnect()

    def _prepare(self, now: float) -> None:
        if now < self._disk_full_until:
            return
        try:
            self._journal.prepare()
        except OSError as error:
            if not self._disk_full_until:
                _logger.warning(
                    "no room for the journal in %s (%s): events are dropped and counted until there is",
                    self._journal.directory,
                    error.strerror,
                )
            self._disk_full_until = now + FULL_DISK_PAUSE_SECONDS
        else:
            if self._disk_full_until:
                _logger.warning("there is room for the journal in %s again", self._journal.directory)
            self._disk_full_until = 0.0

    def _chore(self, now: float) -> float:
        for place, chore in enumerate(self._chores):
            if now >= self._due[place]:
                try:
                    self._due[place] = now + chore.tick(now)
                except Exception:
                    # What ships must not wait for what stumbles.
                    _logger.exception("%s stumbled and is tried again later", type(chore).__name__)
                    self._due[place] = now + STUMBLED_SECONDS
        return min((due - now for due in self._due), default=TICK_SECONDS)

    def _until_work(self) -> float:
        now = time.monotonic()
        wait = 0.02 if self._flushing else TICK_SECONDS
        deadline = self.outlet.deadline()
        if deadline is not None:
            wait = min(wait, deadline - now)
        if self.outlet.room() and self._feed.backlog():
            wait = min(wait, self._feed.paced_until - now if self._feed.paced_until > now else TICK_SECONDS)
        return wait

    def _warn(self) -> None:
        self._warned = True
        trouble, where = self.outlet.trouble or "it does not answer", self._journal.directory or "memory"
        # A trouble that names a setting says itself what to do.
        advice = "" if "LOGSHIP_" in trouble else ". Start a collector (logship up) or point LOGSHIP_AGENT at yours"
        _logger.warning(
            "no acknowledgement from the agent at %s for %.0f s (%s); events are kept in %s up to the limit%s",
            *(self._address, WARN_AFTER_SECONDS, trouble, where, advice),
        )
