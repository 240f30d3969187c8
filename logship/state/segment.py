"""Journal segments: files of a fixed size that hold entries, mapped by their one writer.

    0        magic "LSHIPSG1" | number u64
    4096     index: 8,192 x u64, little-endian: end offset u32 (low half) | crc32 u32 (high half)
    69632    entries end to end, 1 MiB

Record n begins at the end of record n-1. It is valid if its index word is not zero, its end lies within the file and after
the previous one, and the checksum matches. A record is published by its index word, one aligned store, after its bytes. A
crash of the process leaves complete records. A power cut may leave an index word without the bytes, a disk may flip a bit:
such a record is unreadable, and reading continues at the next one whose beginning can be found (from the index, or by the
first bytes of an entry) and whose checksum matches. Segments are never truncated; the shipper unlinks them.
"""

import contextlib
import mmap
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from logship.errors import JournalUnreadable
from logship.event.entry import HEAD_START
from logship.state import mapping

MAGIC = b"LSHIPSG1"
INDEX_AT = 4096
INDEX_COUNT = 8192
DATA_AT = INDEX_AT + 8 * INDEX_COUNT
DATA_BYTES = 1 << 20
SIZE_BYTES = DATA_AT + DATA_BYTES

# Limit of the bytes that are searched again for readable records after damage: 0.1 s, whatever the index holds.
RESYNC_BYTES = 64 << 20
# The first bytes of an entry may also occur within one, in a number: so many places are tried for each record.
MOST_HEADS = 4


class JournalSegment:
    """A segment that this process writes. Its `count` records end at `position`; `view` and `index` are the mapping."""

    __slots__ = ("_map", "count", "index", "number", "path", "position", "view")

    def __init__(self, number: int, path: Path | None, present: bool = True) -> None:
        """Make segment `number` at `path`, or in memory, prefaulted if `present`. OSError if the disk is full."""
        self.number = number
        self.path = path
        self._map: mmap.mmap = mapping.make(path, SIZE_BYTES, present)
        whole = memoryview(self._map)
        self.index = whole[INDEX_AT:DATA_AT].cast("Q")
        self.view = whole[DATA_AT:]
        self.count = 0
        self.position = 0
        self._map[: len(MAGIC) + 8] = MAGIC + number.to_bytes(8, "little")

    def renumber(self, number: int, path: Path | None) -> None:
        """Give a prepared, empty segment a higher number. OSError if it cannot be renamed."""
        if self.path is not None and path is not None:
            self.path.rename(path)
        self.number = number
        self.path = path
        self._map[len(MAGIC) : len(MAGIC) + 8] = number.to_bytes(8, "little")

    def end(self, record: int) -> int:
        """Return the offset of the end of record `record`; 0 for -1."""
        return (self.index[record] & 0xFFFFFFFF) if record >= 0 else 0

    def recount(self) -> None:
        """Set `count` and `position` from the index, after an exception interrupted an append."""
        while self.count < INDEX_COUNT and self.index[self.count]:
            self.position = self.index[self.count] & 0xFFFFFFFF
            self.count += 1

    def remove(self) -> None:
        """Unlink the file. Views that are being sent stay valid. A file that cannot be unlinked is removed with its directory."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()


def file_name(number: int) -> str:
    """Return the file name of segment `number`."""
    return f"{number:08d}.segment"


def numbers(directory: Path) -> list[int]:
    """Return the numbers of the segments in `directory`, ascending."""
    return sorted(int(name[:8]) for name in os.listdir(directory) if name.endswith(".segment") and name[:8].isdigit())


@dataclass(frozen=True, slots=True)
class Gap:
    """An unreadable part of a segment: records `first` to `first + events - 1`, `size_bytes` in total."""

    first: int
    events: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Content:
    """The records of a segment in order; None for an unreadable one. `gaps`: the unreadable parts."""

    records: list[bytes | None] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def read(path: Path, start: int = 0) -> list[bytes]:
    """Return the readable records of a segment file from record `start` on. JournalUnreadable if it is not a segment."""
    return [record for record in scan(path).records[start:] if record is not None]


def scan(path: Path) -> Content:
    """Return the content of a segment file, including damage. JournalUnreadable if it is not a segment of this version."""
    data = mapping.read(path, SIZE_BYTES)
    if not any(data[:DATA_AT]):
        return Content()  # its maker was killed before it was complete, or nothing was written to it
    if data[: len(MAGIC)] != MAGIC and data[: len(MAGIC) - 1] == MAGIC[:-1] and data[len(MAGIC) - 1 : len(MAGIC)].isdigit():
        raise JournalUnreadable(f"{path} begins with {data[:8]!r}, not {MAGIC!r}: another version wrote it; it is kept")
    content = _Reader(data).content()
    if data[: len(MAGIC)] != MAGIC and not any(content.records):
        raise JournalUnreadable(f"{path} begins with {data[:8]!r}, not {MAGIC!r}, and holds nothing readable; it is kept")
    return content


class _Reader:
    """Reads the records in the bytes of a segment; after damage it searches for the next valid record."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        index = data[INDEX_AT : INDEX_AT + (min(len(data), DATA_AT) - INDEX_AT) // 8 * 8] if len(data) > INDEX_AT else b""
        words = memoryview(index).cast("Q")
        count = len(words)
        while count and not words[count - 1]:
            count -= 1
        self._words = words[:count]
        self._budget = RESYNC_BYTES

    def content(self) -> Content:
        content = Content()
        begin = 0  # of the next record, or of the damage
        damaged = -1  # number of the first damaged record
        farthest = 0
        for place, word in enumerate(self._words):
            end = word & 0xFFFFFFFF
            at = begin
            if damaged >= 0:
                at = self._beginning(place, begin)
            record = self._record(at, word)
            content.records.append(record)
            if record is None:
                if damaged < 0:
                    damaged = place
                farthest = max(farthest, end if end <= DATA_BYTES else 0)
                continue
            if damaged >= 0:
                content.gaps.append(Gap(damaged, place - damaged, at - begin))
                damaged = -1
            begin = end
        missing = SIZE_BYTES - len(self._data)
        if damaged >= 0:
            content.gaps.append(Gap(damaged, len(self._words) - damaged, max(0, farthest - begin)))
        elif missing:  # files are created with their full size before anything is written: this one was truncated
            content.gaps.append(Gap(len(self._words), 0, missing))
        return content

    def _record(self, begin: int, word: int) -> bytes | None:
        end = word & 0xFFFFFFFF
        if not 0 <= begin < end <= DATA_BYTES:
            return None
        record = self._data[DATA_AT + begin : DATA_AT + end]
        return record if zlib.crc32(record) == word >> 32 else None

    def _beginning(self, place: int, damage: int) -> int:
        """Return where record `place` begins if it is readable, else -1. `damage`: where the damage begins."""
        word = self._words[place]
        end = word & 0xFFFFFFFF
        if end > DATA_BYTES:
            return -1
        at = self._words[place - 1] & 0xFFFFFFFF  # right unless the index itself is damaged
        if damage < at < end and self._spend(end - at) and self._record(at, word) is not None:
            return at
        at = end
        for _ in range(MOST_HEADS):
            before, at = at, self._data.rfind(HEAD_START, DATA_AT + damage, DATA_AT + at) - DATA_AT
            if not self._spend(before - max(at, damage) + end - max(at, damage)) or at < 0:
                return -1
            if self._record(at, word) is not None:
                return at
        return -1

    def _spend(self, size_bytes: int) -> bool:
        self._budget -= size_bytes
        return self._budget >= 0
