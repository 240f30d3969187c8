"""Writes lines to a descriptor that several workers share, without ever waiting."""

import contextlib
import os
import select
import stat
from pathlib import Path


class LineWriter:
    """Writes whole lines to a file, pipe or terminal. A pipe that polls as writable takes PIPE_BUF bytes at once."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLOUT)
        status = os.fstat(descriptor)
        self.inode = status.st_dev, status.st_ino
        self._is_file = stat.S_ISREG(status.st_mode)

    def write(self, data: memoryview) -> int:
        """Write what fits now, and return how many bytes; 0: nothing fits. OSError if the reader has closed the pipe."""
        if not self._poller.poll(0):
            return 0
        with contextlib.suppress(BlockingIOError):
            return os.write(self.descriptor, data if self._is_file else _whole_lines(data))
        return 0

    def is_at(self, path: Path) -> bool:
        """Return whether `path` names the open file. False once that was renamed, replaced or deleted."""
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (status.st_dev, status.st_ino) == self.inode

    def ends_at(self, position: int) -> bool:
        """Return whether this is a file of `position` bytes."""
        return self._is_file and os.fstat(self.descriptor).st_size == position

    def position(self) -> int:
        """Return where the last write ended in the file; 0 for a pipe."""
        return os.lseek(self.descriptor, 0, os.SEEK_CUR) if self._is_file else 0

    def has_a_name(self) -> bool:
        """Return whether any path names the open file. What is written to a deleted file is lost with it."""
        return os.fstat(self.descriptor).st_nlink > 0


def _whole_lines(data: memoryview) -> memoryview:
    """Return the whole lines that a pipe takes at once, or a part of a line that is longer."""
    if len(data) <= select.PIPE_BUF:
        return data
    return data[: bytes(data[: select.PIPE_BUF]).rfind(b"\n") + 1 or select.PIPE_BUF]
