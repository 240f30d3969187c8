"""What the shipping thread sends next: our own journal's entries, then those of orphans; and what nobody takes.

A bundle becomes one frame. Our own are views of the mapping; an orphan's are read from its files."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from logship.errors import JournalUnreadable
from logship.state import adopt, home, identity
from logship.state.adopt import Orphan
from logship.state.identity import Cell
from logship.state.journal import Journal
from logship.state.segment import Segment
from logship.worker.agent import Bundle
from logship.worker.line import Line

FRAME_RECORDS = 500
# Between two full frames while a backlog drains: 100,000 records a second at most, and requests keep the interpreter.
DRAIN_PAUSE_SECONDS = 0.005
ADOPT_SECONDS = 2.0

_logger = logging.getLogger("logship")


class Span:
    """Records `start` to `stop` of one segment of our own journal: one view of the mapping, no loop."""

    __slots__ = ("_aside", "_journal", "_segment", "_start", "_stop", "records")

    def __init__(self, journal: Journal, part: Segment, start: int, stop: int, aside: Callable[[bytes], None]) -> None:
        self.records = stop - start
        self._journal = journal
        self._segment = part
        self._start = start
        self._stop = stop
        self._aside = aside

    def body(self) -> memoryview:
        return self._segment.view[self._segment.end(self._start - 1) : self._segment.end(self._stop - 1)]

    def entries(self) -> list[bytes]:
        part = self._segment
        return [bytes(part.view[part.end(one - 1) : part.end(one)]) for one in range(self._start, self._stop)]

    def split(self) -> tuple[Bundle, Bundle]:
        middle = (self._start + self._stop) // 2
        first, second = (self._start, middle), (middle, self._stop)
        return (
            Span(self._journal, self._segment, *first, self._aside),
            Span(self._journal, self._segment, *second, self._aside),
        )

    def done(self) -> None:
        self._journal.acknowledge(self._segment, self._stop, self.records)

    def set_aside(self) -> None:
        self._aside(bytes(self.body()))


class OwnFeed:
    """Bundles of our own journal in order, then those of orphans that were adopted."""

    def __init__(self, journal: Journal, aside: Callable[[bytes], None]) -> None:
        self._journal = journal
        self._aside = aside
        mark = journal.cells[Cell.MARK]
        self._part = journal.segment_after((mark >> 32) - 1)
        self._record = mark & 0xFFFFFFFF if self._part is not None and self._part.number == mark >> 32 else 0
        self.orphans: Callable[[], Bundle | None] = lambda: None
        self.paced_until = 0.0

    def next(self) -> Bundle | None:
        if time.monotonic() < self.paced_until:
            return None
        while True:
            part = self._part
            if part is None:
                return None
            self._part = part
            final = not self._journal.is_current(part)  # read before the count: then the count is the last
            count = part.count
            if self._record < count:
                stop = min(count, self._record + FRAME_RECORDS)
                span = Span(self._journal, part, self._record, stop, self._aside)
                self._record = stop
                if span.records == FRAME_RECORDS:
                    self.paced_until = time.monotonic() + DRAIN_PAUSE_SECONDS
                return span
            if not final:
                return self.orphans()
            following = self._journal.segment_after(part.number)
            if following is None:
                return None
            self._part = following
            self._record = 0

    def backlog(self) -> bool:
        """Whether records wait that were not taken yet."""
        part = self._part
        return part is not None and (self._record < part.count or not self._journal.is_current(part))


class Refused:
    """Where a record goes that the agent refuses alone: a file beside the journals, counted as dropped."""

    def __init__(self, journal: Journal, folder: Path | None) -> None:
        self._journal = journal
        self._folder = folder

    def __call__(self, record: bytes) -> None:
        self._journal.drop("refused")
        kept = "it is lost"
        if self._folder is not None:
            path = self._folder / f"{self._journal.incarnation}-{time.time_ns()}.msgpack"
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(descriptor, "wb") as file:
                    file.write(record)
                kept = f"it is kept in {path}"
            except OSError as error:
                kept = f"it could not be kept: {error.strerror}"
        _logger.warning("the agent refuses one record of %d bytes while others pass; %s", len(record), kept)


class Inherited:
    """Entries of an orphan on their way."""

    __slots__ = ("_entries", "_last", "_mark", "_orphans", "records")

    def __init__(self, orphans: "Orphans", entries: list[bytes], mark: int, last: bool) -> None:
        self.records = len(entries)
        self._entries = entries
        self._mark = mark
        self._orphans = orphans
        self._last = last

    def body(self) -> bytes:
        return b"".join(self._entries)

    def entries(self) -> list[bytes]:
        return self._entries

    def split(self) -> tuple[Bundle, Bundle]:
        middle = self.records // 2
        mark = self._mark - (self.records - middle)
        return (
            Inherited(self._orphans, self._entries[:middle], mark, False),
            Inherited(self._orphans, self._entries[middle:], self._mark, self._last),
        )

    def done(self) -> None:
        self._orphans.done(self._mark, self.records, self._last)

    def set_aside(self) -> None:
        self._orphans.aside(self._entries[0])


class Orphans:
    """Adopts the journals of dead workers of the same service and agent, one at a time: ships, reports the end, removes."""

    def __init__(self, line: Line, state: Path, aside: Callable[[bytes], None]) -> None:
        self._line = line
        self._state = state
        self._aside = aside
        self._orphan: Orphan | None = None
        self._batches: Iterator[tuple[list[bytes], int]] = iter(())
        self._finished = False
        self._given_up: set[str] = set()

    def tick(self, now: float) -> float:
        if self._orphan is not None:
            return ADOPT_SECONDS
        with contextlib.suppress(OSError):
            self._adopt_one()
        return ADOPT_SECONDS if self._orphan is None else 0.0

    def _adopt_one(self) -> None:
        mine = self._line.journal.identity.facts
        over = self._total_bytes() > self._line.settings.state_limit_bytes
        for name in home.incarnations(self._state):
            directory = self._state / "journals" / name
            if name == self._line.journal.incarnation or name in self._given_up:
                continue
            if adopt.owner(directory) is not None:
                continue
            try:
                facts = identity.read(directory).facts
                if not over and (facts.service, facts.agent) != (mine.service, mine.agent):
                    continue
                orphan = adopt.adopt(directory)
            except JournalUnreadable:
                self._given_up.add(name)
                continue
            if orphan is None:
                continue
            if over:
                orphan.give_up()
            self._orphan = orphan
            self._batches = orphan.pending()
            self._finished = False
            return

    def _total_bytes(self) -> int:
        return sum(adopt.size_bytes(self._state / "journals" / name) for name in home.incarnations(self._state))

    def next(self) -> Bundle | None:
        """The next bundle of the orphan at hand: its entries, then its report."""
        orphan = self._orphan
        if orphan is None or self._finished:
            return None
        found = next(self._batches, None)
        if found is not None:
            entries, mark = found
            return Inherited(self, entries, mark, False)
        self._finished = True
        report = adopt.report_of(orphan.end(), self._line.journal.identity.facts)
        if report is None:
            self.done(orphan.cells[Cell.MARK], 0, True)
            return None
        return Inherited(self, [report], orphan.cells[Cell.MARK], True)

    def done(self, mark: int, records: int, last: bool) -> None:
        orphan = self._orphan
        if orphan is None:
            return
        if last:
            orphan.remove()
            self._orphan = None
        else:
            orphan.advance(mark, records)

    def aside(self, record: bytes) -> None:
        self._aside(record)
