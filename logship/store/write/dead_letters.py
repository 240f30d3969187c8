"""Records that the store cannot hold, kept in `dead.ndjson` with the reason."""

import logging
import os
from pathlib import Path

import orjson

from logship.store.files import DEAD_LETTERS, OLD_DEAD_LETTERS, sync_directory
from logship.store.handles import sync, write_all
from logship.store.write.values import encodable

# A sender of only hostile records must not fill the disk: one older file is kept beside this one.
DEAD_LETTERS_LIMIT_BYTES = 64 * 2**20

_logger = logging.getLogger("logship.store")


def dead_letter(time_ns: object, record: object, reason: str) -> bytes:
    """Return the line that keeps a record which cannot be stored, newline included."""
    letter = {"@timestamp": str(time_ns), "reason": reason, "record": repr(record)}
    return orjson.dumps(encodable(letter), option=orjson.OPT_APPEND_NEWLINE)


class DeadLetters:
    """The file of dead letters of a store, opened at the first one. Belongs to one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._path = directory, directory / DEAD_LETTERS
        self._handle: int | None = None

    def append(self, lines: list[bytes]) -> None:
        """Append lines; they are durable when it returns. OSError when the disk refuses."""
        if self._handle is not None and os.fstat(self._handle).st_size > DEAD_LETTERS_LIMIT_BYTES:
            self.close()
            self._path.replace(self._directory / OLD_DEAD_LETTERS)
            _logger.warning("%s was full and replaces %s", self._path, OLD_DEAD_LETTERS)
        if self._handle is None:
            self._handle = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            sync_directory(self._directory)
            _logger.warning("records that cannot be stored are kept in %s", self._path)
        write_all(self._handle, b"".join(lines))
        sync(self._handle)

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
