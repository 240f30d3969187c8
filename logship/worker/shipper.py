"""The shipping thread: one daemon a process. It prepares segments, takes entries in order, ships them, beats, adopts.

Started lazily after fork and again if it died. It waits in one poll for the agent's socket, a wake-up pipe, or time."""

import contextlib
import logging
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import orjson
import ormsgpack

from logship.event import build
from logship.state.identity import Cell
from logship.state.journal import Journal
from logship.worker.feed import Bundle, Feed, OwnFeed
from logship.worker.logs import SERVER_LOGGERS

TICK_SECONDS = 0.2
WARN_AFTER_SECONDS = 10.0
FULL_DISK_PAUSE_SECONDS = 1.0
STUMBLED_SECONDS = 10.0

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
                if not self.alive():
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
        if not self._stopping and not self.alive():
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

    # The thread.

    def _run(self) -> None:
        began = time.monotonic()
        self.outlet.disconnect()  # a thread that died left it in the middle of something
        while not self._stopping:
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
        _logger.warning(
            "no acknowledgement from the agent at %s for %.0f s (%s); events are kept in %s up to the limit. "
            "Start the agent, or set LOGSHIP_AGENT",
            *(self._address, WARN_AFTER_SECONDS, trouble, where),
        )


class Pipe:
    """Writes to a descriptor without ever waiting: a pipe that polls as writable takes PIPE_BUF bytes at once.

    Whole lines at a time: all workers write into the same file or pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLOUT)
        self._file = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def write(self, data: memoryview) -> int:
        """Write what fits at once and return how many bytes; 0: nothing fits now. OSError if nobody reads any more."""
        if not self._poller.poll(0):
            return 0
        with contextlib.suppress(BlockingIOError):
            return os.write(self.descriptor, data if self._file else _lines(data))
        return 0


def _lines(data: memoryview) -> memoryview:
    """The whole lines that a pipe takes at once; a longer line in pieces."""
    if len(data) <= select.PIPE_BUF:
        return data
    return data[: bytes(data[: select.PIPE_BUF]).rfind(b"\n") + 1 or select.PIPE_BUF]


class Sink:
    """In the agent's place: JSON lines on stdout or in a file, or pretty lines on stderr. An outlet without a connection.

    A full pipe or disk stops only this: the journal keeps what could not be written yet."""

    def __init__(
        self, feed: Feed, where: str, show: Callable[[bytes], bytes], first_ack: Callable[[], object] = int
    ) -> None:
        """`where`: stdout, stderr, or a path; `show`: an entry as a line; `first_ack`: called once something is written."""
        self.acks = 0
        self.trouble = ""
        self._feed = feed
        self._where = where
        self._show = show
        self._first_ack = first_ack
        self._pipe: Pipe | None = None
        self._bundle: Bundle | None = None
        self._rest = memoryview(b"")
        self._retry_at = 0.0

    def wants(self) -> tuple[int, int] | None:
        """The descriptor to wait for while something is left to write."""
        return (self._pipe.descriptor, select.POLLOUT) if self._rest and self._pipe else None

    def deadline(self) -> float | None:
        return self._retry_at or None

    def room(self) -> bool:
        return self._bundle is None and not self._retry_at

    def disconnect(self) -> None:
        if self._pipe is not None and self._pipe.descriptor not in _STREAMS.values():
            os.close(self._pipe.descriptor)
        self._pipe = None

    def step(self, now: float) -> None:
        """Write until the feed is empty or the reader is full."""
        if now < self._retry_at:
            return
        self._retry_at = 0.0
        while True:
            if self._bundle is None:
                self._bundle = self._feed.next()
                if self._bundle is None:
                    return
                self._rest = memoryview(b"".join(_shown(self._bundle, self._show)))
            try:
                if self._pipe is None:
                    self._pipe = Pipe(self._open())
                while self._rest and (written := self._pipe.write(self._rest)):
                    self._rest = self._rest[written:]
            except OSError as error:
                self.trouble = f"{self._where}: {error.strerror}"
                self._retry_at = now + 1.0
                self.disconnect()
                return
            if self._rest:
                return
            self.acks += 1
            if self.acks == 1:
                self._first_ack()
            self._bundle.done()
            self._bundle = None

    def _open(self) -> int:
        if self._where in _STREAMS:
            return _never_waiting(_STREAMS[self._where])
        return os.open(Path(self._where), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


_STREAMS = {"stdout": 1, "stderr": 2}


def _never_waiting(descriptor: int) -> int:
    """The pipe behind `descriptor` opened once more: another worker may fill it between our question and our write.

    Only our own opening does not wait: setting the descriptor itself would change it for the application as well."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with contextlib.suppress(OSError):
            return os.open(f"/dev/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return descriptor


def _shown(bundle: Bundle, show: Callable[[bytes], bytes]) -> Iterator[bytes]:
    for record in bundle.entries():
        try:
            yield show(record)
        except Exception as error:
            # One record that cannot be shown (somebody wrote into the journal) must not stop those behind it.
            yield orjson.dumps({"message": f"a record of {len(record)} bytes cannot be read: {error}"}) + b"\n"


class Console:
    """Pretty lines of our own events on a terminal, beside the agent. What the terminal does not take at once is skipped."""

    def __init__(self, feed: Feed, color: bool) -> None:
        self._feed = feed
        self._pipe = Pipe(2)
        self._color = color

    def tick(self, now: float) -> float:
        with contextlib.suppress(OSError):
            while (bundle := self._feed.next()) is not None:
                shown = memoryview(b"".join(_shown(bundle, partial(pretty_line, color=self._color))))
                while shown and (written := self._pipe.write(shown)):
                    shown = shown[written:]
        return TICK_SECONDS


def unpack(record: bytes) -> tuple[int, dict[str, Any]]:
    """(time in ns, fields) of one entry."""
    time_ns, fields = ormsgpack.unpackb(record, ext_hook=_event_time, option=ormsgpack.OPT_NON_STR_KEYS)
    return time_ns, fields


def _event_time(tag: int, data: bytes) -> int:
    return int.from_bytes(data[:4], "big") * 1_000_000_000 + int.from_bytes(data[4:8], "big")


def json_line(record: bytes) -> bytes:
    """One event as a line of JSON, `@timestamp` first."""
    time_ns, fields = unpack(record)
    return orjson.dumps({"@timestamp": build.time_text(time_ns), **fields}, option=orjson.OPT_APPEND_NEWLINE)


_COLORS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


def pretty_line(record: bytes, color: bool) -> bytes:
    """One event for a person: local time, level, worker, message, the application's own fields, the stack trace."""
    time_ns, fields = unpack(record)
    if fields.get("event.action") == "worker-heartbeat" or fields.get("log.logger") in SERVER_LOGGERS:
        return b""  # the server's own lines are on stderr already
    clock = time.strftime("%H:%M:%S", time.localtime(time_ns // 1_000_000_000))
    level = str(fields.get("log.level", "info"))
    slot = fields.get("logship.worker.slot")
    own = {**(fields.get("labels") or {}), **(fields.get("numeric_labels") or {})}
    words = _printable("".join(f"  {name}={value}" for name, value in own.items()))
    shown, worker = f"{level:<8}", f"w{slot}" if slot is not None else "--"
    if color:
        shown, words = f"\x1b[{_COLORS.get(level, '0')}m{shown}\x1b[0m", f"\x1b[2m{words}\x1b[0m" if words else ""
    message = _printable(str(fields.get("message", "")))
    line = f"{clock}.{time_ns // 1_000_000 % 1000:03d} {shown} {worker:<3} {message}{words}\n"
    stack = str(fields.get("error.stack_trace", "")).splitlines()
    if fields.get("event.dataset") == build.REQUEST:
        stack = stack[-1:]  # the server has shown the rest
    line += "".join(f"    {_printable(part)}\n" for part in stack)
    return line.encode("utf-8", "replace")


def _printable(text: str) -> str:
    """`text` without control characters, which could rewrite a terminal."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
