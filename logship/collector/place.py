"""The directory that a store was opened in: whether it is still there, and still the same.

A directory that is removed or unmounted takes with it what is written: the open files go on accepting lines that nobody
will find again. So it is looked at before a batch is acknowledged."""

import os
from pathlib import Path

from logship.errors import StoreMissing
from logship.store.files import LOCK

Identity = tuple[int, int]


class Place:
    """Remembers directory and lock file of a store as they are now. Any thread may ask."""

    def __init__(self, directory: Path) -> None:
        self._paths = (directory, directory / LOCK)
        self._found = [_identity(path) for path in self._paths]

    def missing(self) -> str:
        """Return what is wrong, as a sentence; empty if both are what they were."""
        for path, found in zip(self._paths, self._found, strict=True):
            now = _identity(path)
            if now is None:
                return f"{path} is gone, removed or unmounted; nothing is acknowledged until it is back"
            if now != found:
                return f"{path} is not the one that was opened; nothing is acknowledged. Restart the collector"
        return ""

    def check(self) -> None:
        """Raise StoreMissing if anything is."""
        if missing := self.missing():
            raise StoreMissing(missing)


def _identity(path: Path) -> Identity | None:
    try:
        told = os.stat(path)
    except OSError:
        return None
    return told.st_dev, told.st_ino
