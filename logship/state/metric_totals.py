"""The metrics of all workers of a state directory: a sum for each slot over its runs, those that have ended included.

    metrics/<service>@<instance>/<incarnation>.metrics   `state/metric_file.py`, written by a worker
    metrics/<service>@<instance>/<slot>.total            crc32 u32 | msgpack: what ended runs of the slot have counted

Counters continue after a crash: the worker that holds a slot folds the files of ended runs into its total. It replaces the total,
which names the files that are in it, and then removes them. A reader reads the files first and the total last, and leaves out
files that the total names; whenever a fold happens, it counts each run once.
"""

import contextlib
import os
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import ormsgpack

from logship.errors import JournalUnreadable
from logship.state import identity, locks, mapping, metric_file
from logship.state.home import Home, make_directory, safe_name
from logship.state.metric_file import (
    COUNTERS,
    EXIT_CODE_ZERO,
    REASON_CELLS,
    SERIES_COUNTERS,
    MetricCell,
    MetricCopy,
    MetricFacts,
)
from logship.state.processes import STOP_SIGNALS, exit_name, is_running

SUFFIX: Final = ".metrics"
TOTAL_SUFFIX: Final = ".total"
# The directory beside them for metrics of the application, `prometheus/application.py`.
APPLICATION: Final = "application"
TOTAL_BYTES: Final = 16 * 1024 * 1024
# A worker updates its file every second. Its supervisor may need several seconds to notice that it ended: uvicorn queries a
# worker and waits 5 s for the answer. A reason must not change once it is counted.
SETTLED_NS: Final = 30 * 10**9
ADOPTED_NS: Final = 10 * 60 * 10**9
# A total names the runs of so many folds, for readers that listed the files before.
NAMES_KEPT: Final = 256


@dataclass(slots=True)
class SlotMetrics:
    """What the runs of one slot have counted. `slot`: None for runs that ended before they had one.

    `counters`: sums of the cells `COUNTERS`; `series`: sums by labels, and the exemplar of the newest; `interrupted`: requests
    in flight at crashes; `deaths`: crashes by reason; `runs`: the living ones, usually one."""

    facts: MetricFacts
    slot: int | None
    counters: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))
    series: dict[bytes, list[int]] = field(default_factory=dict)
    interrupted: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    generation: int = 0
    ended_ns: int = 0
    runs: list[MetricCopy] = field(default_factory=list)

    def counter(self, cell: int) -> int:
        """Return the sum of a counter."""
        return self.counters[cell - COUNTERS.start]

    def add(self, copy: MetricCopy, alive: bool) -> None:
        """Add one run."""
        cells = copy.cells
        self.facts = copy.facts
        _add(self.counters, cells[COUNTERS.start : COUNTERS.stop])
        for labels, values in copy.series.items():
            self._add_series(labels, values)
        self.generation = max(self.generation, cells[MetricCell.GENERATION])
        if alive:
            self.runs.append(copy)
            return
        # Killed between the count of its reason and that of its end, a request is counted once: by its reason.
        ended = max(cells[MetricCell.ENDED], sum(cells[cell] for cell in REASON_CELLS.values()))
        self.interrupted += max(0, cells[MetricCell.BEGUN] - ended)
        self.ended_ns = max(self.ended_ns, cells[MetricCell.UPDATED_NS])
        reason = death_reason(copy)
        if reason:
            self.deaths[reason] += 1

    def merge(self, total: dict[str, Any]) -> None:
        """Add a total as `as_total` returns it."""
        _add(self.counters, total["counters"])
        for labels, values in total["series"].items():
            self._add_series(labels, values)
        self.interrupted += total["interrupted"]
        self.deaths.update(total["deaths"])
        self.generation = max(self.generation, total["generation"])
        self.ended_ns = max(self.ended_ns, total["ended_ns"])

    def as_total(self) -> dict[str, Any]:
        """Return what a total stores."""
        return {
            "counters": self.counters,
            "series": self.series,
            "interrupted": self.interrupted,
            "deaths": dict(self.deaths),
            "generation": self.generation,
            "ended_ns": self.ended_ns,
        }

    def _add_series(self, labels: bytes, values: Iterable[int]) -> None:
        row = self.series.get(labels)
        if row is None:
            self.series[labels] = list(values)
            return
        values = list(values)
        _add(row, values[:SERIES_COUNTERS])
        if values[metric_file.EXEMPLAR_TIME_NS] > row[metric_file.EXEMPLAR_TIME_NS]:
            row[SERIES_COUNTERS:] = values[SERIES_COUNTERS:]


def _add(sums: list[int], values: Iterable[int]) -> None:
    for place, value in enumerate(values):
        sums[place] += value


def death_reason(copy: MetricCopy) -> str:
    """Return why an ended run crashed: `out_of_memory`, a signal as `SIGKILL`, `exit_3`, `unknown`; "" if it did not crash."""
    cells = copy.cells
    if cells[MetricCell.CLOSED]:
        return ""
    if cells[MetricCell.EXIT_CODE]:
        code = cells[MetricCell.EXIT_CODE] - EXIT_CODE_ZERO
        if code == 0 or -code in STOP_SIGNALS:
            return ""
        return "out_of_memory" if cells[MetricCell.OUT_OF_MEMORY] else exit_name(code)
    if cells[MetricCell.BEGUN] > cells[MetricCell.ENDED]:
        return "unknown"
    # It ended between requests: a crash if its supervisor still runs, unless its server does not report orderly ends.
    return "unknown" if copy.facts.tells_closing and is_running(copy.facts.supervisor) else ""


def folder_of(home: Home, service: str, instance: str) -> Path:
    """Return the directory of the metrics of one service instance."""
    return home.metrics / safe_name(f"{service}@{instance}")


def create(home: Home, incarnation: str, facts: MetricFacts) -> metric_file.MetricFile:
    """Return the new metric file of this process. OSError if it cannot be made."""
    folder = folder_of(home, facts.service, facts.instance)
    make_directory(home.metrics)
    make_directory(folder)
    return metric_file.MetricFile(folder / f"{incarnation}{SUFFIX}", facts)


def read_all(state: Path) -> list[SlotMetrics]:
    """Return the metrics of every slot in the state directory `state`; [] if it has none or cannot be read."""
    home = Home(state)
    slots = []
    with contextlib.suppress(OSError):
        for folder in sorted(home.metrics.iterdir()):
            slots += _read_folder(home, folder)
    return slots


def _read_folder(home: Home, folder: Path) -> list[SlotMetrics]:
    """Return the slots of one service instance. Files first, totals last: see above."""
    copies = dict(_copies(folder))
    slots: dict[int | None, SlotMetrics] = {}
    totals = {int(path.stem): _read_total(path) for path in folder.glob(f"*{TOTAL_SUFFIX}") if path.stem.isdigit()}
    folded = {name for total in totals.values() for name in total["folded"]}
    for slot, total in totals.items():
        if total["facts"]:
            slots[slot] = SlotMetrics(MetricFacts(**total["facts"]), slot)
            slots[slot].merge(total)
    now = time.time_ns()
    for name, copy in copies.items():
        if name not in folded:
            alive = is_alive(home, name, copy)
            if alive or now - copy.cells[MetricCell.UPDATED_NS] > SETTLED_NS or copy.cells[MetricCell.EXIT_CODE]:
                slots.setdefault(copy.slot, SlotMetrics(copy.facts, copy.slot)).add(copy, alive)
            else:  # how it ended is not known yet
                slots.setdefault(copy.slot, SlotMetrics(copy.facts, copy.slot)).add(_undecided(copy), False)
    return sorted(slots.values(), key=lambda slot: -1 if slot.slot is None else slot.slot)


def _undecided(copy: MetricCopy) -> MetricCopy:
    """Return the metrics of a run that ended a moment ago, without a verdict about its end."""
    cells = list(copy.cells)
    cells[MetricCell.CLOSED] = 1
    return MetricCopy(copy.facts, tuple(cells), copy.series)


def _copies(folder: Path) -> Iterator[tuple[str, MetricCopy]]:
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError, JournalUnreadable):
            yield path.stem, metric_file.read(path)


def is_alive(home: Home, incarnation: str, copy: MetricCopy) -> bool:
    """Return whether the run is alive: its process holds the lock of its journal. An adopter of the journal does not count."""
    return locks.holder(home.journal(incarnation) / "lock") == copy.cells[MetricCell.PID]


def fold(home: Home, folder: Path, slot: int, now_ns: int) -> int:
    """Add the ended runs of `slot` to its total and return their number. Only the holder of the slot may call it. OSError."""
    ended = [
        (name, copy)
        for name, copy in _copies(folder)
        if copy.slot == slot and _is_settled(home, name, copy, now_ns) and not is_alive(home, name, copy)
    ]
    if not ended:
        return 0
    path = folder / f"{slot}{TOTAL_SUFFIX}"
    before = _read_total(path)
    names = list(before["folded"])
    metrics = SlotMetrics(ended[-1][1].facts, slot)
    if before["facts"]:
        metrics.merge(before)
    for name, copy in ended:
        if name not in names:
            metrics.add(copy, alive=False)
            names.append(name)
    _write_total(path, metrics, names[-NAMES_KEPT:])
    for name, _ in ended:
        (folder / f"{name}{SUFFIX}").unlink(missing_ok=True)
    return len(ended)


def _is_settled(home: Home, incarnation: str, copy: MetricCopy, now_ns: int) -> bool:
    """Return whether its supervisor and the adopter of its journal have had their time to note the end."""
    quiet_ns = now_ns - copy.cells[MetricCell.UPDATED_NS]
    return quiet_ns > SETTLED_NS and (quiet_ns > ADOPTED_NS or not home.journal(incarnation).exists())


def _read_total(path: Path) -> dict[str, Any]:
    """Return a total; an empty one without a file, and for a damaged one."""
    with contextlib.suppress(OSError, JournalUnreadable, ValueError):
        data = mapping.read(path, TOTAL_BYTES)
        if len(data) > 4 and zlib.crc32(data[4:]) == int.from_bytes(data[:4], "little"):
            total: dict[str, Any] = ormsgpack.unpackb(data[4:], option=ormsgpack.OPT_NON_STR_KEYS)
            return total
    return {"facts": {}, "folded": []}


def _write_total(path: Path, metrics: SlotMetrics, names: list[str]) -> None:
    facts = {name: getattr(metrics.facts, name) for name in MetricFacts.__slots__}
    packed = ormsgpack.packb(metrics.as_total() | {"facts": facts, "folded": names}, option=ormsgpack.OPT_NON_STR_KEYS)
    whole = path.with_name(f".{path.name}")
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(zlib.crc32(packed).to_bytes(4, "little") + packed)
    whole.rename(path)


def note_adopted(home: Home, incarnation: str, journal: memoryview) -> None:
    """Store the final numbers of an adopted journal in the metrics of its run. `journal`: cells of its identity. OSError."""
    for path in home.metrics.glob(f"*/{incarnation}{SUFFIX}"):
        with contextlib.suppress(JournalUnreadable):
            cells = metric_file.reopen(path)
            cells[MetricCell.EMITTED] = identity.counted(journal, identity.Cell.SEQUENCE)
            cells[MetricCell.ACKNOWLEDGED] = identity.counted(journal, identity.Cell.ACKNOWLEDGED)
            cells[MetricCell.JOURNAL_BYTES] = 0
            for reason, events in identity.dropped(journal).items():
                cells[metric_file.DROP_CELLS[reason]] = events


def note_exit(state: Path, pid: int, code: int, out_of_memory: bool) -> None:
    """Store how the process `pid` ended in its metric file, as its supervisor saw it. `code`: negative for a signal. OSError."""
    for path in Home(state).metrics.glob(f"*/*{SUFFIX}"):
        with contextlib.suppress(OSError, JournalUnreadable):
            if metric_file.read(path).cells[MetricCell.PID] == pid:
                cells = metric_file.reopen(path)
                cells[MetricCell.OUT_OF_MEMORY] = int(out_of_memory)
                cells[MetricCell.EXIT_CODE] = EXIT_CODE_ZERO + code
