"""Journal segments: fixed-size files of entries, mapped by their one writer.

    0        magic "LSHIPSG1" | number u64
    4096     index: 8,192 x u64, little-endian: end offset u32 (low half) | crc32 u32 (high half)
    69632    entries end to end, 1 MiB

Record n reaches from the end of record n-1 to its own end. Valid: the index word is not zero, the end lies within the
file and behind the one before, and the checksum matches. A record is published by its index word, one aligned store,
after its bytes. A crash of the process leaves whole records; a power cut may leave a word without its bytes: readers
stop at the first bad checksum. At a live tail a bad checksum means "not yet". Nobody truncates; the shipper unlinks.
"""

import contextlib
import mmap
import os
import zlib
from pathlib import Path

from logship.errors import JournalUnreadable
from logship.state import mapping

MAGIC = b"LSHIPSG1"
INDEX_AT = 4096
INDEX_COUNT = 8192
DATA_AT = INDEX_AT + 8 * INDEX_COUNT
DATA_BYTES = 1 << 20
SIZE_BYTES = DATA_AT + DATA_BYTES


class Segment:
    """A segment that this process writes. `count` records end at `position`; `view` and `index` are the mapping."""

    __slots__ = ("_map", "count", "index", "number", "path", "position", "view")

    def __init__(self, number: int, path: Path | None) -> None:
        """Make segment `number` at `path` (or in memory), prefaulted. OSError if the disk is full."""
        self.number = number
        self.path = path
        self._map: mmap.mmap = mapping.make(path, SIZE_BYTES)
        whole = memoryview(self._map)
        self.index = whole[INDEX_AT:DATA_AT].cast("Q")
        self.view = whole[DATA_AT:]
        self.count = 0
        self.position = 0
        self._map[: len(MAGIC) + 8] = MAGIC + number.to_bytes(8, "little")

    def renumber(self, number: int, path: Path | None) -> None:
        """Give a prepared, empty segment its place in the journal's order."""
        self.number = number
        self.path = path
        self._map[len(MAGIC) : len(MAGIC) + 8] = number.to_bytes(8, "little")

    def end(self, record: int) -> int:
        """Offset of the end of `record` (0 for record -1)."""
        return (self.index[record] & 0xFFFFFFFF) if record >= 0 else 0

    def recount(self) -> None:
        """Set `count` and `position` from the index, after an append was cut short by an exception."""
        while self.count < INDEX_COUNT and self.index[self.count]:
            self.position = self.index[self.count] & 0xFFFFFFFF
            self.count += 1

    def remove(self) -> None:
        """Unlink the file. Views that are still being sent stay valid. A file that cannot go goes with its directory."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()


def file_name(number: int) -> str:
    """The name of segment `number` in its journal's directory."""
    return f"{number:08d}.segment"


def numbers(directory: Path) -> list[int]:
    """The numbers of the segments that lie in `directory`, ascending."""
    return sorted(int(name[:8]) for name in os.listdir(directory) if name.endswith(".segment") and name[:8].isdigit())


def read(path: Path, start: int = 0) -> list[bytes]:
    """The valid records of a segment file from record `start` on. JournalUnreadable if it is not a segment of ours."""
    data = mapping.read(path)
    if len(data) < SIZE_BYTES or not any(data[: len(MAGIC)]):
        return []  # its maker was killed before it was whole: nothing was written to it
    if len(data) != SIZE_BYTES or data[: len(MAGIC)] != MAGIC:
        raise JournalUnreadable(f"{path} begins with {data[:8]!r}, not {MAGIC!r}: another version wrote it; it is kept")
    index = memoryview(data)[INDEX_AT:DATA_AT].cast("Q")
    found = []
    begin = 0
    for record, word in enumerate(index):
        end = word & 0xFFFFFFFF
        if end <= begin or end > DATA_BYTES:
            break
        entry = data[DATA_AT + begin : DATA_AT + end]
        if zlib.crc32(entry) != word >> 32:
            break
        if record >= start:
            found.append(entry)
        begin = end
    return found
