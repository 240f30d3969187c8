"""Sinks: where events go when there is no agent. JSON lines on stdout or in a file, pretty lines on a terminal.

A file may be rotated (renamed, deleted, its directory moved away): before each write the path is compared with the open
file, as logging's WatchedFileHandler does, and after it the file must still have a name. Otherwise the lines are written
again to the file that the path names then. Events stay in the journal until they are written.
"""

import contextlib
import logging
import os
import select
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import orjson

from logship.worker.feed import Bundle, Feed
from logship.worker.render import pretty_line

RETRY_SECONDS = 1.0
CONSOLE_SECONDS = 0.2
_STREAMS = {"stdout": 1, "stderr": 2}

_logger = logging.getLogger("logship")


class Pipe:
    """Writes to a descriptor without ever waiting: a pipe that polls as writable takes PIPE_BUF bytes at once.

    Whole lines at a time: all workers write into the same file or pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLOUT)
        status = os.fstat(descriptor)
        self.inode = status.st_dev, status.st_ino
        self._file = stat.S_ISREG(status.st_mode)

    def write(self, data: memoryview) -> int:
        """Write what fits at once and return how many bytes; 0: nothing fits now. OSError if nobody reads any more."""
        if not self._poller.poll(0):
            return 0
        with contextlib.suppress(BlockingIOError):
            return os.write(self.descriptor, data if self._file else _lines(data))
        return 0

    def is_at(self, path: Path) -> bool:
        """Whether `path` names what is open here. False once it was renamed, replaced or deleted."""
        try:
            named = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (named.st_dev, named.st_ino) == self.inode

    def ends_at(self, position: int) -> bool:
        """Whether this is a file of so many bytes."""
        return self._file and os.fstat(self.descriptor).st_size == position

    def position(self) -> int:
        """Where in the file the last write ended; 0 for a pipe."""
        return os.lseek(self.descriptor, 0, os.SEEK_CUR) if self._file else 0

    def has_a_name(self) -> bool:
        """Whether any path still names what is open here: what is written to a deleted file is gone with it."""
        return os.fstat(self.descriptor).st_nlink > 0


def _lines(data: memoryview) -> memoryview:
    """The whole lines that a pipe takes at once; a longer line in pieces."""
    if len(data) <= select.PIPE_BUF:
        return data
    return data[: bytes(data[: select.PIPE_BUF]).rfind(b"\n") + 1 or select.PIPE_BUF]


class Sink:
    """An outlet without a connection: it takes bundles from the feed and writes them as lines.

    A full pipe, a full disk or a missing directory stops only this: the journal keeps what could not be written yet."""

    def __init__(
        self, feed: Feed, where: str, show: Callable[[bytes], bytes], first_ack: Callable[[], object] = int
    ) -> None:
        """`where`: stdout, stderr, or a path; `show`: an entry as a line; `first_ack`: called once something is written."""
        self.acks = 0
        self.trouble = ""
        self._feed = feed
        self._where = where
        self._path = None if where in _STREAMS else Path(where)
        self._show = show
        self._first_ack = first_ack
        self._pipe: Pipe | None = None
        self._bundle: Bundle | None = None
        self._text = b""
        self._rest = memoryview(b"")
        self._last: tuple[tuple[int, int], int] | None = None
        self._retry_at = 0.0

    def wants(self) -> tuple[int, int] | None:
        """The descriptor to wait for while something is left to write."""
        return (self._pipe.descriptor, select.POLLOUT) if self._rest and self._pipe else None

    def deadline(self) -> float | None:
        return self._retry_at or None

    def room(self) -> bool:
        return self._bundle is None and not self._retry_at

    def disconnect(self) -> None:
        if self._pipe is not None:
            self._last = self._pipe.inode, self._pipe.position()
            if self._pipe.descriptor not in _STREAMS.values():
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
                self._text = b"".join(_shown(self._bundle, self._show))
                self._rest = memoryview(self._text)
            try:
                if not self._written():
                    return
            except OSError as error:
                self._fail(error, now)
                return
            if self.trouble:
                _logger.warning("events are written to %s again", self._where)
                self.trouble = ""
            self.acks += 1
            if self.acks == 1:
                self._first_ack()
            self._bundle.done()
            self._bundle = None

    def _written(self) -> bool:
        """Write on. True once the whole bundle is in a file that has a name; False when the reader takes no more now."""
        while True:
            if self._pipe is not None and self._path is not None and not self._pipe.is_at(self._path):
                self.disconnect()
            if self._pipe is None:
                self._pipe = Pipe(self._open())
                self._begin_line_again(self._pipe)
            while self._rest and (written := self._pipe.write(self._rest)):
                self._rest = self._rest[written:]
            if self._rest:
                return False
            if self._path is None or self._pipe.has_a_name() or self._pipe.is_at(self._path):
                return True
            self._rest = memoryview(self._text)  # deleted while we wrote

    def _begin_line_again(self, pipe: Pipe) -> None:
        """A line of which only a part was written is written again, whole, unless it can simply be continued."""
        at = len(self._text) - len(self._rest)
        start = self._text.rfind(b"\n", 0, at) + 1
        if start == at or self._last is None:
            return
        inode, position = self._last
        if pipe.inode == inode and pipe.ends_at(position):
            return  # the same file, and nobody else has written to it meanwhile
        text = self._text[start:]
        self._text = b"\n" + text if pipe.inode == inode else text
        self._rest = memoryview(self._text)

    def _fail(self, error: OSError, now: float) -> None:
        if not self.trouble:
            _logger.warning(
                "events cannot be written to %s (%s); they are kept in the journal, up to its limit, until they can",
                self._where,
                error.strerror,
            )
        self.trouble = f"{self._where}: {error.strerror}"
        self._retry_at = now + RETRY_SECONDS
        self.disconnect()

    def _open(self) -> int:
        if self._path is None:
            return _never_waiting(_STREAMS[self._where])
        # O_NONBLOCK: without it the opening of a FIFO would wait until somebody reads.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        return os.open(self._path, flags, 0o600)


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
        return CONSOLE_SECONDS
