"""The log that is being appended to."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from logship.store.files import POSITION_BITS, log_name, sync_directory
from logship.store.handles import sync, write_all


class ActiveLog:
    """The log with the highest number. Its user keeps other threads away from it while it is written or rolled.

    `number`, `lines`, `size_bytes`: of the log as it is on disk; `began`: monotonic seconds of its first line.
    `broken`: why it cannot be written any more until the store is opened again; `refused`: the error of the last write."""

    def __init__(self, directory: Path, number: int, lines: int, size_bytes: int) -> None:
        self._directory = directory
        self.number, self.lines, self.size_bytes = number, lines, size_bytes
        self.began = time.monotonic()
        self.broken: OSError | None = None
        self.refused: BaseException | None = None
        # After a failed write positions start in a new log: a tail may have seen the lines that were removed again.
        self._must_roll = False
        self._handle = self._open(number)

    @property
    def next_position(self) -> int:
        """The position of the next line."""
        return (self.number << POSITION_BITS) + self.lines

    @property
    def age_seconds(self) -> float:
        """How long ago the first line was written; 0 for an empty log."""
        return time.monotonic() - self.began if self.lines else 0.0

    def begin(self) -> int | None:
        """Prepare for writing. Return the number of the log that was completed, None if this one continues."""
        return self.roll() if self._must_roll else None

    def write(self, lines: list[bytes], in_place: Callable[[], bool]) -> None:
        """Append lines and sync, or leave the log as it was. OSError when the disk refuses.

        `in_place`: whether the directory is still the one that was opened."""
        data = b"".join(lines)
        try:
            write_all(self._handle, data)
            sync(self._handle)
            if not os.fstat(self._handle).st_nlink or not in_place():
                raise FileNotFoundError(errno.ENOENT, "the store was removed while it was written", str(self._directory))
        except BaseException as error:
            self._must_roll, self.refused = True, error
            try:
                os.ftruncate(self._handle, self.size_bytes)
            except OSError as uncut:
                # These lines were not acknowledged but would be sealed. Opening the store again takes them in.
                self.broken = uncut
            raise
        self.lines += len(lines)
        self.size_bytes += len(data)

    def roll(self) -> int:
        """Begin the next log and return the number of this one. OSError if it cannot be created; then this one continues."""
        handle = self._open(self.number + 1)
        os.close(self._handle)
        self._handle = handle
        self.number += 1
        self.lines = self.size_bytes = 0
        self._must_roll = False
        self.began = time.monotonic()
        return self.number - 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _open(self, number: int) -> int:
        handle = os.open(self._directory / log_name(number), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        sync_directory(self._directory)
        return handle
