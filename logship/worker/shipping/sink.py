"""Lines of events in place of an agent: on stdout or stderr, or in a file.

A file may be rotated (renamed, deleted, its directory moved): before each write the path is compared with the open file,
as logging's WatchedFileHandler does, and after it the file must still have a name. Otherwise the lines are written again,
to the file that the path names then. Events stay in the journal until they are written.
"""

import contextlib
import logging
import os
import select
import stat
from collections.abc import Callable
from pathlib import Path

from logship.worker.shipping.bundle import Bundle, Feed
from logship.worker.shipping.line_writer import LineWriter
from logship.worker.shipping.render import lines

RETRY_SECONDS = 1.0
_STREAMS = {"stdout": 1, "stderr": 2}

_logger = logging.getLogger("logship")


class LineSink:
    """An outlet that writes bundles as lines. For the shipping thread alone.

    A full pipe, a full disk or a missing directory stops only this: the journal keeps what could not be written yet."""

    def __init__(
        self, feed: Feed, target: str, render: Callable[[bytes], bytes], on_first_ack: Callable[[], object] = int
    ) -> None:
        """`target`: stdout, stderr, or a path; `render`: returns an entry as a line; `on_first_ack`: called after the
        first bundle is written."""
        self.acks = 0
        self.trouble = ""
        self.unreachable = False
        self._feed = feed
        self._target = target
        self._path = None if target in _STREAMS else Path(target)
        self._render = render
        self._on_first_ack = on_first_ack
        self._writer: LineWriter | None = None
        self._bundle: Bundle | None = None
        self._text = b""
        self._rest = memoryview(b"")
        self._last: tuple[tuple[int, int], int] | None = None
        self._retry_at = 0.0

    def wants(self) -> tuple[int, int] | None:
        return (self._writer.descriptor, select.POLLOUT) if self._rest and self._writer else None

    def deadline(self) -> float | None:
        return self._retry_at or None

    def room(self) -> bool:
        return self._bundle is None and not self._retry_at

    def disconnect(self) -> None:
        if self._writer is not None:
            self._last = self._writer.inode, self._writer.position()
            if self._writer.descriptor not in _STREAMS.values():
                os.close(self._writer.descriptor)
        self._writer = None

    def step(self, now: float) -> None:
        """Write until the feed is empty or the reader takes no more."""
        if now < self._retry_at:
            return
        self._retry_at = 0.0
        while self._bundle is not None or self._take():
            try:
                if not self._write():
                    return
            except OSError as error:
                self._fail(error, now)
                return
            self._finish()

    def _take(self) -> bool:
        """Take the next bundle from the feed; False if there is none."""
        self._bundle = self._feed.next()
        if self._bundle is None:
            return False
        self._text = lines(self._bundle, self._render)
        self._rest = memoryview(self._text)
        return True

    def _finish(self) -> None:
        if self.trouble:
            _logger.warning("events are written to %s again", self._target)
            self.trouble = ""
        self.acks += 1
        if self.acks == 1:
            self._on_first_ack()
        if self._bundle is not None:
            self._bundle.done()
        self._bundle = None

    def _write(self) -> bool:
        """Continue to write. True once the whole bundle is in a file that has a name; False if the reader takes no more."""
        while True:
            if self._writer is not None and self._path is not None and not self._writer.is_at(self._path):
                self.disconnect()
            if self._writer is None:
                self._writer = LineWriter(self._open())
                self._restart_line(self._writer)
            while self._rest and (written := self._writer.write(self._rest)):
                self._rest = self._rest[written:]
            if self._rest:
                return False
            if self._path is None or self._writer.has_a_name() or self._writer.is_at(self._path):
                return True
            self._rest = memoryview(self._text)  # the file was deleted while we wrote

    def _restart_line(self, writer: LineWriter) -> None:
        """Write a line again, whole, of which only a part was written, unless it can simply be continued."""
        at = len(self._text) - len(self._rest)
        start = self._text.rfind(b"\n", 0, at) + 1
        if start == at or self._last is None:
            return
        inode, position = self._last
        if writer.inode == inode and writer.ends_at(position):
            return  # the same file, and no other worker has written to it in the meantime
        text = self._text[start:]
        self._text = b"\n" + text if writer.inode == inode else text
        self._rest = memoryview(self._text)

    def _fail(self, error: OSError, now: float) -> None:
        if not self.trouble:
            _logger.warning(
                "cannot write events to %s (%s); they are buffered in the journal, up to its limit",
                self._target,
                error.strerror,
            )
        self.trouble = f"{self._target}: {error.strerror}"
        self._retry_at = now + RETRY_SECONDS
        self.disconnect()

    def _open(self) -> int:
        if self._path is None:
            return _nonblocking(_STREAMS[self._target])
        # O_NONBLOCK: without it, opening a FIFO would wait for a reader.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        return os.open(self._path, flags, 0o600)


def _nonblocking(descriptor: int) -> int:
    """Return a non-blocking descriptor of the pipe behind `descriptor`: another worker may fill it between poll and write.

    It is opened once more, because a flag set on `descriptor` itself would change it for the application as well."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with contextlib.suppress(OSError):
            return os.open(f"/dev/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return descriptor
