"""Fluent Bit's chunk files, read: those it gave up (`rejected/`), and those that it left behind in its storage.

    file    = 0xc1 0x00 | crc32 u32 | 4 bytes | length of the entries u32 | 8 bytes | length of the metadata u16
              | metadata | entries | zeros                                                          (big-endian)
    entries = msgpack [EventTime, record] or [[EventTime, metadata], record], end to end
    metadata = 0xf1 0x77 0x00 0x00 | tag; empty in rejected/, where the name is <tag>_<code>_<output>_<number>.flb

Valid is what parses within the length: Fluent Bit's checksum is stale for a chunk that was open at a kill. Files are grown
ahead of their entries, so zeros follow; the last entry may be torn, reading stops there and says how much is left. A length
of zero is not known: then everything up to the zeros is taken.
One process writes a chunk: read them when Fluent Bit is stopped, or from rejected/, which it does not touch again.
Source: Fluent Bit's chunkio, measured with 5.1.1."""

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgpack

from logship.errors import QuestionError, WireError
from logship.search.query import Record
from logship.search.times import rfc3339
from logship.wire.entries import EntryLimits, decode_entries

MAGIC: Final = b"\xc1\x00"
HEAD_BYTES: Final = 24
LENGTH_AT: Final = 10
TAG_MARK: Final = b"\xf1\x77\x00\x00"
REJECTED: Final = "rejected"
_REJECTED_NAME = re.compile(r"(?P<tag>.+)_(?P<code>\d+)_(?P<output>.+)_[^_]+\.flb")
_LIMITS = EntryLimits()


@dataclass(frozen=True, slots=True)
class Chunk:
    """One file. `output` and `code` are known of rejected ones; `damaged_bytes`: what could not be read at its end."""

    path: Path
    tag: str
    output: str = ""
    code: int | None = None
    records: tuple[Record, ...] = ()
    damaged_bytes: int = 0
    bad_records: int = field(default=0)

    @property
    def rejected(self) -> bool:
        """Given up by Fluent Bit, as against left over by a Fluent Bit that is not running."""
        return bool(self.output)


def find(storage: Path) -> list[Path]:
    """The chunk files below a storage directory of Fluent Bit, rejected ones first; QuestionError without the directory."""
    if not storage.is_dir():
        raise QuestionError(f"{storage} is not a directory: name the storage.path of Fluent Bit (FLB_STORAGE)")
    return sorted(storage.glob("**/*.flb"), key=lambda path: (path.parent.name != REJECTED, str(path)))


def read(path: Path) -> Chunk:
    """The content of one file; QuestionError if Fluent Bit did not write it."""
    data = path.read_bytes()
    if len(data) < HEAD_BYTES or not data.startswith(MAGIC):
        raise QuestionError(f"{path} is not a chunk of Fluent Bit: its header is different")
    (size,) = struct.unpack_from(">H", data, HEAD_BYTES - 2)
    (length,) = struct.unpack_from(">I", data, LENGTH_AT)
    metadata, content = data[HEAD_BYTES : HEAD_BYTES + size], data[HEAD_BYTES + size :]
    content = content[:length] if length else content.rstrip(b"\0")
    tag = metadata.removeprefix(TAG_MARK).decode(errors="replace")
    named = _REJECTED_NAME.fullmatch(path.name) if path.parent.name == REJECTED else None
    records, bad, end = _entries(content)
    return Chunk(
        path,
        named["tag"] if named else tag,
        named["output"] if named else "",
        int(named["code"]) if named else None,
        tuple(records),
        len(content) - end,
        bad,
    )


def _entries(content: bytes) -> tuple[list[Record], int, int]:
    """Records, the number of entries that are not records, and where reading ended."""
    if not content:
        return [], 0, 0
    records: list[Record] = []
    bad = end = 0
    walker = msgpack.Unpacker(read_size=len(content), max_buffer_size=len(content))
    walker.feed(content)
    while end < len(content):
        begun = end
        try:
            walker.skip()
        except (ValueError, msgpack.OutOfData):
            return records, bad, begun
        end = walker.tell()
        try:
            ((time_ns, record),) = decode_entries(content[begun:end], _LIMITS)
        except (WireError, ValueError):
            bad += 1
            continue
        records.append({"@timestamp": rfc3339(time_ns), **record})
    return records, bad, end
