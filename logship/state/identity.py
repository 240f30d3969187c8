"""The identity table: facts about an incarnation and its counters, in one mapped page that survives the process.

    0     magic "LSHIPID1"
    8     cells: 62 x u64, little-endian, each written by one aligned store (a kill cannot tear it)
    512   facts: length u32 | crc32 u32 | msgpack map (service, instance, host, boot, pid, supervisor, agent, start …)
    2304  the facts again: the two places are written in turn, and the valid one with the higher `serial` counts
    4096  end

The magic ends with the version of the format; a file of another version is reported and not changed. One writer: the
owner, or the process that has adopted the journal. Cells are written on the request path. Facts are written before the
directory gets its name, and again when more is known; a kill during that leaves the previous ones. The acknowledged mark is
stored twice and the lower one counts, so that damage makes an adopter send too much rather than too little.
"""

import struct
import zlib
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from pathlib import Path

import ormsgpack

from logship.errors import JournalUnreadable
from logship.event.cut import safe_text
from logship.event.fields import DROP_REASONS
from logship.state import mapping

MAGIC = b"LSHIPID1"
SIZE_BYTES = 4096
FACTS_AT = (512, 2304)
FACTS_BYTES = 2304 - 512
CELLS_AT = 8
CELL_COUNT = 62
# A higher number was not counted: the cell is damaged.
MOST = 1 << 53

# `logship.worker.slot` is a short; a higher number is a damaged cell.
MOST_SLOTS = 1 << 15

class Cell(IntEnum):
    """Places of the counters in the table. New ones go to the end, where an older journal holds 0. 10 is no longer used."""

    SEQUENCE = 0  # events that passed level, sampling and probe filters, dropped ones too
    MARK = 1  # acknowledged: segment number << 32 | records of that segment; see `move_mark`
    ACKNOWLEDGED = 2  # events acknowledged by the agent
    CLOSING = 3  # 1 when the server begins to shut down, 1 + the sequence of the closing event once that is written; 0 before
    SLOT = 4  # 1 + slot; 0 until claimed
    GENERATION = 5
    ALIVE_NS = 6  # wall time of the last sign of life
    PROBES = 7
    SAMPLED_OUT = 8
    IN_FLIGHT_OVERFLOW = 9
    MARK_AGAIN = 11
    ADOPTED_FROM = 12  # 1 + the mark at which the first adopter began to read; 0 before the first adoption
    UNREADABLE_EVENTS = 13  # those in segments that were removed
    UNREADABLE_BYTES = 14
    DROPPED = 16  # first of the drop counters, see `drop_cell`


_DROP_CELLS = {reason: Cell.DROPPED + place for place, reason in enumerate(DROP_REASONS)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What does not change during one run of a worker. Times are wall clock, nanoseconds since 1970.

    `tells_closing`: the server notifies logship before it shuts the worker down."""

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

    __slots__ = ("_map", "_serial", "cells", "facts", "incarnation")

    def __init__(self, incarnation: str, facts: Facts, path: Path | None) -> None:
        """Make the table at `path`, or in memory. OSError if the disk is full."""
        self.incarnation = incarnation
        self._map = mapping.make(path, SIZE_BYTES)
        self._serial = 0
        self.cells = _cells(memoryview(self._map))
        self.facts = facts
        self.write_facts(facts)
        self._map[: len(MAGIC)] = MAGIC

    def write_facts(self, facts: Facts) -> None:
        """Store `facts` in the other of the two places, and use them from now on."""
        self._serial += 1
        packed = _packed(facts, self._serial)
        at = FACTS_AT[self._serial % 2]
        self._map[at : at + 8 + len(packed)] = struct.pack("<II", len(packed), zlib.crc32(packed)) + packed
        self.facts = facts

    def dropped(self) -> dict[str, int]:
        """Return the numbers of dropped events, by reason."""
        return dropped(self.cells)


def _packed(facts: Facts, serial: int) -> bytes:
    """Return `facts` packed; names that are too long for their place are cut."""
    values = asdict(facts) | {"serial": serial}
    for most in (FACTS_BYTES, 256, 64):
        # A path of the agent may have bytes that are not UTF-8.
        cut = {name: safe_text(value[:most]) if isinstance(value, str) else value for name, value in values.items()}
        packed = ormsgpack.packb(cut)
        if len(packed) <= FACTS_BYTES - 8:
            break
    return packed


def move_mark(cells: memoryview, mark: int) -> None:
    """Set the mark: all events up to it are acknowledged, or counted as dropped."""
    cells[Cell.MARK] = mark
    cells[Cell.MARK_AGAIN] = mark


def mark_of(cells: memoryview) -> int:
    """Return the acknowledged mark, the lower one if its two copies differ."""
    return min(cells[Cell.MARK], cells[Cell.MARK_AGAIN])


def drop_cell(reason: str) -> int:
    """Return the place of the counter of dropped events for `reason`, a key of `DROP_REASONS`.

    The order of `DROP_REASONS` is part of the format: new reasons go to its end."""
    return _DROP_CELLS[reason]


def dropped(cells: memoryview) -> dict[str, int]:
    """Return the numbers of dropped events of a table, by reason."""
    return {reason: counted(cells, cell) for reason, cell in _DROP_CELLS.items()}


def counted(cells: memoryview, cell: int) -> int:
    """Return the number in a cell; 0 for a damaged cell, whose number is impossible."""
    return cells[cell] if cells[cell] < MOST else 0


@dataclass(frozen=True, slots=True)
class IdentitySnapshot:
    """A copy of an identity table; the missing part of a truncated file is zeros.

    `damaged`: neither copy of the facts is readable, and `facts` is empty. `lost_bytes`: the size of the missing part."""

    incarnation: str
    facts: Facts
    cells: memoryview
    damaged: bool = False
    lost_bytes: int = 0

    @property
    def slot(self) -> int | None:
        """The slot; None before one was claimed, and for a damaged cell."""
        return self.cells[Cell.SLOT] - 1 if 0 < self.cells[Cell.SLOT] <= MOST_SLOTS else None


def read(directory: Path) -> IdentitySnapshot:
    """Return the table of the journal at `directory`, even if damaged. JournalUnreadable for a table of another version."""
    path = directory / "identity"
    try:
        found = mapping.read(path, SIZE_BYTES)
    except OSError as error:
        raise JournalUnreadable(f"{path}: {error.strerror}") from error
    data = found.ljust(SIZE_BYTES, b"\0")
    facts = _facts(data)
    magic = data[: len(MAGIC)]
    if magic != MAGIC and magic[:-1] == MAGIC[:-1] and (facts is None or magic[-1:].isdigit()):
        raise JournalUnreadable(f"{path} begins with {magic!r}, not {MAGIC!r}: another version wrote it; it is kept")
    cells = _cells(memoryview(bytearray(data)))
    return IdentitySnapshot(directory.name, facts or Facts(), cells, facts is None, SIZE_BYTES - len(found))


def _facts(data: bytes) -> Facts | None:
    """Return the newer readable copy of the facts; None if neither is readable."""
    found: list[tuple[int, Facts]] = []
    for at in FACTS_AT:
        length, checksum = struct.unpack_from("<II", data, at)
        packed = data[at + 8 : at + 8 + length]
        if not length or zlib.crc32(packed) != checksum:
            continue
        values = ormsgpack.unpackb(packed)
        facts = Facts(**{name: value for name, value in values.items() if name in _FACT_NAMES})
        found.append((values.get("serial", 0), facts))
    return max(found, key=lambda one: one[0])[1] if found else None


def _cells(view: memoryview) -> memoryview:
    return view[CELLS_AT : CELLS_AT + 8 * CELL_COUNT].cast("Q")


def reopen(directory: Path) -> memoryview:
    """Return the writable cells of an adopted journal. A truncated table is filled with zeros.

    JournalUnreadable if the file is not a table of this version."""
    path = directory / "identity"
    lost_bytes = read(directory).lost_bytes
    if lost_bytes:
        _fill_up(path)
    cells = _cells(memoryview(mapping.map_existing(path, SIZE_BYTES)))
    if lost_bytes > SIZE_BYTES - CELLS_AT - 8 * CELL_COUNT:  # counters are missing, and with them the numbers of lost events
        cells[Cell.UNREADABLE_BYTES] += lost_bytes
    return cells


def _fill_up(path: Path) -> None:
    data = mapping.read(path, SIZE_BYTES).ljust(SIZE_BYTES, b"\0")
    whole = path.with_name(".identity")
    whole.unlink(missing_ok=True)
    made = mapping.make(whole, SIZE_BYTES)
    made[:] = data
    made.close()
    whole.rename(path)
