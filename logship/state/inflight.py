"""The in-flight table: which requests are being answered, in mapped cells that outlive the process.

    cell = start u64 (wall ns, 0: free) | span 16s | request id 64s | method 16s | path 152s       256 bytes, 1,024 cells

A cell is written by one call when a request begins and its first eight bytes are cleared when the request has ended
(after its event is in the journal). Text is cut to its place and padded with zeros; the path is redacted before.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from logship.state import mapping

CELL_BYTES = 256
CELL_COUNT = 1024
SIZE_BYTES = CELL_BYTES * CELL_COUNT

CELL = struct.Struct("<Q16s64s16s152s")


@dataclass(frozen=True, slots=True)
class Running:
    """A request that had begun and not ended."""

    started_ns: int
    span: str
    request_id: str
    method: str
    path: str


class InFlight:
    """The table of one incarnation. `free` holds the offsets of free cells: pop one to begin, append it to end."""

    __slots__ = ("free", "map", "starts")

    def __init__(self, path: Path | None) -> None:
        """Make the table at `path`, or in memory. OSError if the disk is full."""
        self.map = mapping.make(path, SIZE_BYTES)
        # The first eight bytes of each cell as a number: one aligned store ends a request.
        self.starts = memoryview(self.map).cast("Q")
        # The first cells are used first, so few pages are touched.
        self.free = list(range(SIZE_BYTES - CELL_BYTES, -1, -CELL_BYTES))

    def running(self) -> list[Running]:
        """The requests that are being answered now, oldest first."""
        return parse(bytes(self.map))

    def count(self) -> int:
        """How many cells are taken."""
        return CELL_COUNT - len(self.free)


def read(directory: Path) -> list[Running]:
    """The requests in the table of the journal at `directory`, oldest first; none if it has no table."""
    try:
        return parse(mapping.read(directory / "inflight", SIZE_BYTES))
    except FileNotFoundError:
        return []


def parse(data: bytes) -> list[Running]:
    """The taken cells of a table's bytes, oldest first."""
    found = []
    for start, span, request_id, method, path in CELL.iter_unpack(data[: len(data) // CELL_BYTES * CELL_BYTES]):
        if start and any(span):  # a start alone is a flipped bit
            found.append(Running(start, _text(span), _text(request_id), _text(method), _text(path)))
    return sorted(found, key=lambda request: request.started_ns)


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("utf-8", "replace")
