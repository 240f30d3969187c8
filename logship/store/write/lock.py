"""The lock of the one writer of a store."""

import fcntl
import os
from pathlib import Path

from logship.errors import StoreError, StoreLocked
from logship.store.files import LOCK


class WriterLock:
    """Holds the lock of a store for this process, until it is closed or the process ends.

    StoreError if the directory cannot be created, StoreLocked if another process has the lock."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._handle = _locked(directory)

    def in_place(self) -> bool:
        """Return whether the directory is still the one that was locked. What is written elsewhere is lost."""
        try:
            found, ours = os.stat(self._directory / LOCK), os.fstat(self._handle)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)

    def close(self) -> None:
        """Let the next writer in."""
        os.close(self._handle)


def _locked(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreError(f"the store directory {directory} cannot be created or written: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise StoreLocked(
            f"the store in {directory} is used by process {holder}: stop that process or choose another directory"
        ) from None
    # The pid is for people; the lock ends with the process.
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle
