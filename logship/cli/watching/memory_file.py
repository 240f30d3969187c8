"""The memory of `logship watch` on disk: one JSON file with mode 0600, replaced as a whole.

<name>        the memory, see `logship/forensics/watch/memory.py`
.<name>.lock  held by the watch that uses it"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import orjson

from logship.errors import QuestionError
from logship.forensics.watch.memory import Memory, as_json, from_json

LIMIT_BYTES = 64 * 2**20
FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class MemoryFile:
    """The memory at `path`, for one process at a time. QuestionError if another one has it, or if it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lock = path.with_name(f".{path.name}.lock")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | FLAGS, 0o600)
        except OSError as error:
            raise QuestionError(f"cannot write memory file {path}: {error.strerror}; name another file with --memory") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise QuestionError(f"another logship watch uses {path}; name another file with --memory") from None

    def load(self) -> Memory:
        """Return the memory; an empty one if there is no file."""
        try:
            with open(os.open(self.path, os.O_RDONLY | FLAGS), "rb") as file:
                return from_json(orjson.loads(file.read(LIMIT_BYTES)))
        except FileNotFoundError:
            return Memory()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            raise QuestionError(
                f"{self.path} is not a memory file of logship watch ({reason}); remove it, or name another file with --memory"
            ) from None

    def save(self, memory: Memory) -> None:
        """Replace the file. OSError if it cannot be written; the old one is then still there."""
        unfinished = self.path.with_name(f".{self.path.name}-{os.getpid()}")
        try:
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | FLAGS, 0o600), "wb") as file:
                file.write(orjson.dumps(as_json(memory)))
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self.path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)
