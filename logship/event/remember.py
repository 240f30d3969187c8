"""What is made from client input and used again: bounded in entries and in bytes, because clients choose the keys."""

from sys import getsizeof
from typing import Any, Final, TypeVar

Made = TypeVar("Made")

MOST_ENTRIES: Final = 4096
# An entry counts with its key. Larger ones are made each time: they are rare, or somebody makes them on purpose.
ENTRY_BYTES: Final = 4 * 1024
TOTAL_BYTES: Final = 1024 * 1024


class Remembered(dict[Any, Made]):
    """A dictionary that takes entries through `keep` alone. One that is full begins anew."""

    __slots__ = ("total_bytes",)

    def __init__(self) -> None:
        super().__init__()
        self.total_bytes = 0

    def keep(self, key: object, made: Made) -> Made:
        """Return `made`; it is remembered under `key` unless the two are larger than `ENTRY_BYTES`."""
        size = _size_bytes(key) + _size_bytes(made)
        if size <= ENTRY_BYTES:
            if len(self) >= MOST_ENTRIES or self.total_bytes + size > TOTAL_BYTES:
                self.clear()
                self.total_bytes = 0
            self[key] = made
            self.total_bytes += size
        return made


def _size_bytes(value: object) -> int:
    """Return the bytes of a value, and of a tuple's items: keys and entries are tuples of texts, bytes and numbers."""
    return getsizeof(value) + (sum(map(getsizeof, value)) if isinstance(value, tuple) else 0)
