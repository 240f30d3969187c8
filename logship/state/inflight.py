"""The in-flight table: the requests that a worker is handling, in mapped cells that survive the process.

    cell = start u64 (wall ns, 0: free) | span 16s | request id 64s | method 16s | path 152s       256 bytes, 1,024 cells

A cell is written by one call when a request begins. Its first eight bytes are cleared when the request has ended and its
event is in the journal. Text is cut to the width of its field and padded with zeros; the path is redacted before.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from logship.state import mapping
from logship.state.identity import Cell

CELL_BYTES = 256
CELL_COUNT = 1024
SIZE_BYTES = CELL_BYTES * CELL_COUNT

CELL = struct.Struct("<Q16s64s16s152s")
# The place of a request for which there was no free cell.
NO_CELL = -1

_write = CELL.pack_into


@dataclass(frozen=True, slots=True)
class Running:
    """A request that has begun and not ended. `started_ns`: wall clock, nanoseconds since 1970."""

    started_ns: int
    span: str
    request_id: str
    method: str
    path: str


class InFlight:
    """The table of one incarnation. `begin` and `end` may be called by any thread."""

    __slots__ = ("_counters", "free", "map", "starts")

    def __init__(self, path: Path | None, counters: memoryview) -> None:
        """Make the table at `path`, or in memory. OSError if the disk is full.

        `counters`: the cells of the identity table, which hold the number of requests that did not fit."""
        self.map = mapping.make(path, SIZE_BYTES)
        # The first eight bytes of each cell as a number: one aligned store ends a request.
        self.starts = memoryview(self.map).cast("Q")
        # Offsets of the free cells. The first cells are used first, so that few pages are touched.
        self.free = list(range(SIZE_BYTES - CELL_BYTES, -1, -CELL_BYTES))
        self._counters = counters

    def begin(self, started_ns: int, span: bytes, request_id: bytes, method: bytes, path: bytes) -> int:
        """Enter a request and return its place, for `end`. A request for which there is no cell is only counted."""
        try:
            cell = self.free.pop()
        except IndexError:
            self._counters[Cell.IN_FLIGHT_OVERFLOW] += 1
            return NO_CELL
        _write(self.map, cell, started_ns, span, request_id, method, path)
        return cell

    def end(self, cell: int) -> None:
        """Remove the request that `begin` entered at `cell`."""
        if cell == NO_CELL:
            self._counters[Cell.IN_FLIGHT_OVERFLOW] -= 1
            return
        self.starts[cell >> 3] = 0
        self.free.append(cell)

    def count(self) -> int:
        """Return the number of requests that are running, with those for which there is no cell."""
        return CELL_COUNT - len(self.free) + self._counters[Cell.IN_FLIGHT_OVERFLOW]


def read(directory: Path) -> list[Running]:
    """Return the requests in the table of the journal at `directory`, oldest first; [] if it has no table."""
    try:
        return parse(mapping.read(directory / "inflight", SIZE_BYTES))
    except FileNotFoundError:
        return []


def parse(data: bytes) -> list[Running]:
    """Return the requests in the bytes of a table, oldest first."""
    requests = []
    for start, span, request_id, method, path in CELL.iter_unpack(data[: len(data) // CELL_BYTES * CELL_BYTES]):
        if start and any(span):  # a start alone is a flipped bit
            requests.append(Running(start, _text(span), _text(request_id), _text(method), _text(path)))
    return sorted(requests, key=lambda request: request.started_ns)


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("utf-8", "replace")
