"""A cache of values made from client input, bounded in entries and in bytes because clients choose the keys."""

from sys import getsizeof
from typing import Any, Final, TypeVar

Made = TypeVar("Made")

MOST_ENTRIES: Final = 4096
# The limit of one entry with its key. Larger values are not cached: they are rare, or an attack.
ENTRY_BYTES: Final = 4 * 1024
TOTAL_BYTES: Final = 1024 * 1024


class Remembered(dict[Any, Made]):
    """A dictionary whose entries are added only by `keep`. A full one is cleared."""

    __slots__ = ("total_bytes",)

    def __init__(self) -> None:
        super().__init__()
        self.total_bytes = 0

    def keep(self, key: object, made: Made) -> Made:
        """Return `made`, and cache it under `key` unless both together are larger than `ENTRY_BYTES`."""
        size = _size_bytes(key) + _size_bytes(made)
        if size <= ENTRY_BYTES:
            if len(self) >= MOST_ENTRIES or self.total_bytes + size > TOTAL_BYTES:
                self.clear()
                self.total_bytes = 0
            self[key] = made
            self.total_bytes += size
        return made


def _size_bytes(value: object) -> int:
    """Return the bytes of a value, including the items of a tuple: keys and entries are tuples of simple values."""
    return getsizeof(value) + (sum(map(getsizeof, value)) if isinstance(value, tuple) else 0)
