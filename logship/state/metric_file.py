"""The metrics of one run of a worker: counters and gauges in a mapped file that survives the process.

    0      magic "LSHIPMX1"
    8      cells: 127 x u64, `MetricCell`
    1024   facts: length u32 | crc32 u32 | msgpack map
    4096   series: length u16 | method NUL route NUL status, padded to 256 bytes | 32 x u64, `SERIES_*`

One writer: the worker. It adds to a cell with one load and one store, and does not call anything between them, so that no
other thread of it runs meanwhile (CPython switches threads at calls and jumps). A reader in another process sees each cell as it
was at some moment. A new series is published by its length, which is written last. Bounds of durations are those of the
OpenTelemetry semantic conventions for HTTP (`http.server.request.duration`).
"""

import struct
import zlib
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import Final

import ormsgpack

from logship.errors import JournalUnreadable
from logship.event import stall
from logship.event.fields import DROP_REASONS
from logship.state import mapping

MAGIC: Final = b"LSHIPMX1"
FACTS_AT: Final = 1024
SERIES_AT: Final = 4096
SERIES_BYTES: Final = 512
LABEL_BYTES: Final = 254
SERIES_COUNT: Final = 1020
SIZE_BYTES: Final = SERIES_AT + SERIES_COUNT * SERIES_BYTES

MILLISECOND: Final = 1_000_000
DURATION_BOUNDS_NS: Final = tuple(
    ms * MILLISECOND for ms in (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)
)
LAG_BOUNDS_NS: Final = tuple(ms * MILLISECOND for ms in (1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000))

# Cells of one series, after its labels: as many buckets as there are bounds, and one for longer durations.
SERIES_BUCKETS: Final = len(DURATION_BOUNDS_NS) + 1
SERIES_DURATION_NS: Final = SERIES_BUCKETS
SERIES_REQUEST_BYTES: Final = SERIES_BUCKETS + 1
SERIES_RESPONSE_BYTES: Final = SERIES_BUCKETS + 2
SERIES_COUNTERS: Final = SERIES_BUCKETS + 3
# The exemplar: a duration, when the request ended, and its trace id as 32 hex digits.
EXEMPLAR_DURATION_NS: Final = SERIES_COUNTERS
EXEMPLAR_TIME_NS: Final = SERIES_COUNTERS + 1
EXEMPLAR_TRACE: Final = SERIES_COUNTERS + 2

# How a request ended, `event.reason` of its event.
REASONS: Final = (
    "complete", "client_disconnected", "server_error", "cancelled", "background_failed", "background_cancelled",
)  # fmt: skip


class MetricCell(IntEnum):
    """Places of the numbers of a worker. New ones go to the end of their group, where an older file holds 0."""

    SLOT = 1  # 1 + slot; 0 until claimed
    GENERATION = 2
    PID = 3
    STARTED_NS = 4
    UPDATED_NS = 5
    CLOSED = 6  # 1 after an orderly shutdown
    EXIT_CODE = 7  # `EXIT_CODE_ZERO` + the exit status as its supervisor saw it, negative for a signal; 0: unknown
    OUT_OF_MEMORY = 8  # 1 if the kernel killed a process of its control group at that time
    # Counters.
    BEGUN = 16
    ENDED = 17
    WEBSOCKETS_BEGUN = 18
    WEBSOCKETS_ENDED = 19
    EMITTED = 20
    ACKNOWLEDGED = 21
    CPU_NS = 22
    GC_COLLECTIONS = 23  # of the three generations
    LAG_SUM_NS = 26
    LAG_BUCKETS = 27
    REASON = 40
    DROPPED = 48
    STALLS = 56  # by reason
    STALLED_NS = 63  # by reason
    # Gauges.
    JOURNAL_BYTES = 72
    RESIDENT_BYTES = 73
    OPEN_FDS = 74
    MAX_FDS = 75
    THREADS = 76
    UTILIZATION_PPM = 77  # parts per million
    ACCEPT_QUEUE = 78  # 1 + connections; 0: unknown
    ACCEPT_QUEUE_LIMIT = 79
    POOL_BUSY = 80
    POOL_SIZE = 81  # 0: the application has no AnyIO thread pool
    POOL_WAITING = 82
    JOURNAL_LIMIT_BYTES = 83  # 0: no journal on disk, or a run of an older version


EXIT_CODE_ZERO: Final = 1000
COUNTERS: Final = range(MetricCell.BEGUN, MetricCell.JOURNAL_BYTES)
CELL_COUNT: Final = FACTS_AT // 8
DROP_CELLS: Final = {reason: MetricCell.DROPPED + place for place, reason in enumerate(DROP_REASONS)}
# By `event.reason` of a stall: (how many, nanoseconds in them).
STALL_CELLS: Final = {
    reason: (MetricCell.STALLS + place, MetricCell.STALLED_NS + place) for place, reason in enumerate(stall.REASONS)
}
REASON_CELLS: Final = {reason: MetricCell.REASON + place for place, reason in enumerate(REASONS)}


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """Whose metrics they are. `tells_closing`: the server notifies logship before it shuts a worker down."""

    service: str = ""
    instance: str = ""
    host: str = ""
    version: str = ""
    server: str = ""
    supervisor: int = 0
    tells_closing: bool = False


_FACT_NAMES = frozenset(field.name for field in fields(MetricFacts))


class MetricFile:
    """The metrics of this process. `cells` are all numbers of the file; a series is an index into it.

    The request path reads and writes `cells` directly."""

    __slots__ = ("_map", "_series", "cells", "path")

    def __init__(self, path: Path | None, facts: MetricFacts) -> None:
        """Make the file at `path`, or in memory. OSError if the disk is full."""
        self.path = path
        self._map = mapping.make(path, SIZE_BYTES, present=False)
        self._map[: len(MAGIC)] = MAGIC
        self.cells = memoryview(self._map).cast("Q")
        self._series: dict[bytes, int] = {}
        self.write_facts(facts)

    def write_facts(self, facts: MetricFacts) -> None:
        """Store whose metrics they are."""
        values = {name: value[:200] if isinstance(value, str) else value for name, value in asdict(facts).items()}
        packed = ormsgpack.packb(values)
        self._map[FACTS_AT : FACTS_AT + 8 + len(packed)] = struct.pack("<II", len(packed), zlib.crc32(packed)) + packed

    def series(self, labels: bytes) -> int | None:
        """Return the index of the first cell of the series with these labels, made now if it is new; None if there is no room."""
        index = self._series.get(labels)
        if index is None and len(self._series) < SERIES_COUNT and len(labels) <= LABEL_BYTES:
            at = SERIES_AT + SERIES_BYTES * len(self._series)
            index = self._series[labels] = (at + 256) // 8
            self._map[at + 2 : at + 2 + len(labels)] = labels
            self._map[at : at + 2] = struct.pack("<H", len(labels))
        return index

    def room(self) -> int:
        """Return how many more series fit."""
        return SERIES_COUNT - len(self._series)

    def copy(self) -> "MetricCopy":
        """Return a copy of all numbers."""
        return parse(self._map[:], self.path or Path("metrics"))

    def exemplar(self, index: int, duration_ns: int, time_ns: int, trace: bytes) -> None:
        """Remember a request as the example of a series. `trace`: 32 hex digits."""
        at = index + EXEMPLAR_DURATION_NS
        self.cells[at] = duration_ns
        self.cells[at + 1] = time_ns
        self._map[(at + 2) * 8 : (at + 6) * 8] = trace


@dataclass(frozen=True, slots=True)
class MetricCopy:
    """A copy of a metric file. `series`: the cells of each by its labels."""

    facts: MetricFacts
    cells: tuple[int, ...]
    series: dict[bytes, tuple[int, ...]]

    @property
    def slot(self) -> int | None:
        return self.cells[MetricCell.SLOT] - 1 if self.cells[MetricCell.SLOT] else None


_ROW = struct.Struct("<H254s32Q")  # eight cells are not used yet
_CELLS = struct.Struct(f"<{CELL_COUNT}Q")


def read(path: Path) -> MetricCopy:
    """Return a copy of the file at `path`. JournalUnreadable if it is not a metric file of this version; OSError."""
    return parse(mapping.read(path, SIZE_BYTES), path)


def reopen(path: Path) -> memoryview:
    """Return the writable cells of the file of another process. JournalUnreadable if it has another size; OSError."""
    return memoryview(mapping.map_existing(path, SIZE_BYTES)).cast("Q")


def parse(data: bytes, path: Path) -> MetricCopy:
    """Return the metrics in the bytes of the file at `path`. JournalUnreadable if they are not of this version."""
    if len(data) < SERIES_AT or data[: len(MAGIC)] != MAGIC:
        raise JournalUnreadable(f"{path} is not a metric file of this version; it is ignored")
    series = {}
    for length, labels, *cells in _ROW.iter_unpack(data[SERIES_AT : len(data) - (len(data) - SERIES_AT) % SERIES_BYTES]):
        if not 0 < length <= LABEL_BYTES:
            break
        series[labels[:length]] = tuple(cells)
    return MetricCopy(_facts(data, path), _CELLS.unpack_from(data), series)


def _facts(data: bytes, path: Path) -> MetricFacts:
    length, checksum = struct.unpack_from("<II", data, FACTS_AT)
    packed = data[FACTS_AT + 8 : FACTS_AT + 8 + length]
    if zlib.crc32(packed) != checksum or not length:
        raise JournalUnreadable(f"{path} is damaged (the checksum of its facts is wrong); it is ignored")
    values = ormsgpack.unpackb(packed)
    return MetricFacts(**{name: value for name, value in values.items() if name in _FACT_NAMES})


def labels_of(method: str, route: str, status: int) -> bytes:
    """Return the labels of a series. A route that is too long is cut."""
    end = b"\0%d" % status
    begin = method.encode("utf-8", "replace") + b"\0"
    room = LABEL_BYTES - len(begin) - len(end)
    return begin + route.replace("\0", "").encode("utf-8", "replace")[:room].decode("utf-8", "ignore").encode() + end


def label_values(labels: bytes) -> tuple[str, str, str]:
    """Return (method, route, status) of the labels of a series."""
    method, route, status = labels.decode("utf-8", "replace").split("\0")
    return method, route, status
