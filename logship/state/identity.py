"""The identity table: who an incarnation is, and its counters, in one mapped page that outlives the process.

    0     magic "LSHIPID1"
    8     cells: 62 x u64, little-endian, each written by one aligned store (a kill cannot tear it)
    512   facts: length u32 | crc32 u32 | msgpack map (service, instance, host, boot, pid, supervisor, agent, start …)
    4096  end

The magic ends with the format's version; another one is reported and left alone. One writer: the owner, or who has
adopted the journal. Cells are written on the request path, facts once, before the directory gets its name.
"""

import struct
import zlib
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from pathlib import Path

import ormsgpack

from logship.errors import JournalUnreadable
from logship.state import mapping

MAGIC = b"LSHIPID1"
SIZE_BYTES = 4096
FACTS_AT = 512
CELLS_AT = 8
CELL_COUNT = 62

DROP_REASONS = ("journal_full", "segment_late", "refused", "state_limit", "internal_error")


class Cell(IntEnum):
    """Places of the counters in the table. New ones go to the end: an older journal holds 0 there."""

    SEQUENCE = 0  # events that passed level, sampling and probe filters, dropped ones too
    MARK = 1  # acknowledged: segment number << 32 | records of that segment
    ACKNOWLEDGED = 2  # events acknowledged by the agent
    CLOSING = 3  # 1 + the last sequence when the server began to shut down; 0 before
    SLOT = 4  # 1 + slot; 0 until claimed
    GENERATION = 5
    ALIVE_NS = 6  # wall time of the last sign of life
    PROBES = 7
    SAMPLED_OUT = 8
    IN_FLIGHT_OVERFLOW = 9
    BYTES = 10  # bytes appended
    DROPPED = 16  # first of the drop counters, in the order of DROP_REASONS


@dataclass(frozen=True, slots=True)
class Facts:
    """What never changes in one life of a worker. Times are wall clock nanoseconds."""

    service: str = ""
    version: str = ""
    environment: str = ""
    instance: str = ""
    host: str = ""
    boot: str = ""
    pid: int = 0
    supervisor: int = 0
    agent: str = ""
    started_ns: int = 0
    role: str = "worker"
    server: str = ""
    tells_closing: bool = False


_FACT_NAMES = frozenset(field.name for field in fields(Facts))


class Identity:
    """The mapped table of one incarnation. `cells[Cell.X]` reads and writes a counter."""

    __slots__ = ("_map", "cells", "facts", "incarnation")

    def __init__(self, incarnation: str, facts: Facts, path: Path | None) -> None:
        """Make the table at `path`, or in memory. OSError if the disk is full."""
        self.incarnation = incarnation
        self._map = mapping.make(path, SIZE_BYTES)
        self.cells = _cells(memoryview(self._map))
        self.facts = facts
        self.write_facts(facts)
        self._map[: len(MAGIC)] = MAGIC

    def write_facts(self, facts: Facts) -> None:
        """Put `facts` in place of those that are there (the instance becomes known with the server's address)."""
        packed = ormsgpack.packb(asdict(facts))[: SIZE_BYTES - FACTS_AT - 8]
        head = struct.pack("<II", len(packed), zlib.crc32(packed))
        self._map[FACTS_AT : FACTS_AT + 8 + len(packed)] = head + packed
        self.facts = facts

    def dropped(self) -> dict[str, int]:
        """Events lost so far, by reason."""
        return dropped(self.cells)


def dropped(cells: memoryview) -> dict[str, int]:
    """The drop counters of a table, by reason."""
    return {reason: cells[Cell.DROPPED + place] for place, reason in enumerate(DROP_REASONS)}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An identity table as it was when it was read."""

    incarnation: str
    facts: Facts
    cells: memoryview

    @property
    def slot(self) -> int | None:
        return self.cells[Cell.SLOT] - 1 if self.cells[Cell.SLOT] else None


def read(directory: Path) -> Snapshot:
    """Return the table of the journal at `directory`. JournalUnreadable if it is not ours or of an unknown version."""
    path = directory / "identity"
    try:
        data = mapping.read(path)
    except OSError as error:
        raise JournalUnreadable(f"{path}: {error.strerror}") from error
    if len(data) != SIZE_BYTES or data[: len(MAGIC)] != MAGIC:
        raise JournalUnreadable(f"{path} begins with {data[:8]!r}, not {MAGIC!r}: another version wrote it; it is kept")
    return Snapshot(directory.name, _facts(data), _cells(memoryview(bytearray(data))))


def _facts(data: bytes) -> Facts:
    length, checksum = struct.unpack_from("<II", data, FACTS_AT)
    packed = data[FACTS_AT + 8 : FACTS_AT + 8 + length]
    if zlib.crc32(packed) != checksum:
        return Facts()
    return Facts(**{name: value for name, value in ormsgpack.unpackb(packed).items() if name in _FACT_NAMES})


def _cells(view: memoryview) -> memoryview:
    return view[CELLS_AT : CELLS_AT + 8 * CELL_COUNT].cast("Q")


def reopen(directory: Path) -> memoryview:
    """Return the writable cells of a journal that we have adopted."""
    return _cells(memoryview(mapping.map_existing(directory / "identity")))
