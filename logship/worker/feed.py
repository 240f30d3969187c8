"""What the shipping thread sends next: our own journal's entries, then those of orphans; and what nobody takes.

A bundle becomes one frame. Our own are views of the mapping; an orphan's are read from its files."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from logship.errors import JournalUnreadable, StateUnusable
from logship.state import adopt, aside, home
from logship.state.adopt import Orphan
from logship.state.identity import Cell
from logship.state.journal import Journal
from logship.state.segment import Segment
from logship.worker.line import Line

FRAME_RECORDS = 500
# Between two full frames while a backlog drains: 100,000 records a second at most, and requests keep the interpreter.
DRAIN_PAUSE_SECONDS = 0.005
ADOPT_SECONDS = 2.0

_logger = logging.getLogger("logship")


class Bundle(Protocol):
    """Entries that travel as one frame: our own journal's, or an orphan's."""

    records: int

    def body(self) -> bytes | memoryview: ...
    def entries(self) -> list[bytes]: ...
    def split(self) -> "tuple[Bundle, Bundle]": ...
    def done(self) -> None: ...
    def set_aside(self) -> None: ...


class Feed(Protocol):
    def next(self) -> Bundle | None: ...


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
        """Count and keep a record of our own journal."""
        self._journal.drop("refused")
        self.keep(record)

    def keep(self, record: bytes) -> None:
        """Keep a record that is counted elsewhere."""
        kept = "it is lost"
        if self._folder is not None:
            try:
                path = aside.keep(self._folder, f"{self._journal.incarnation}-{time.time_ns()}.msgpack", record)
                kept = f"it is kept in {path}"
            except OSError as error:
                kept = f"it could not be kept: {error.strerror}"
        _logger.warning("the agent refuses one record of %d bytes while others pass; %s", len(record), kept)


class Inherited:
    """Entries of an orphan on their way: the journal's, or (without a mark) the report of its end."""

    __slots__ = ("_entries", "_mark", "_orphan", "_orphans", "records")

    def __init__(self, orphans: "Orphans", orphan: Orphan, entries: list[bytes], mark: int | None) -> None:
        self.records = len(entries)
        self._entries = entries
        self._mark = mark
        self._orphan = orphan
        self._orphans = orphans

    def body(self) -> bytes:
        return b"".join(self._entries)

    def entries(self) -> list[bytes]:
        return self._entries

    def split(self) -> tuple[Bundle, Bundle]:
        middle = self.records // 2
        mark = None if self._mark is None else self._mark - (self.records - middle)
        return (
            Inherited(self._orphans, self._orphan, self._entries[:middle], mark),
            Inherited(self._orphans, self._orphan, self._entries[middle:], self._mark),
        )

    def done(self) -> None:
        self._orphans.done(self._orphan, self._mark, self.records)

    def set_aside(self) -> None:
        self._orphans.set_aside(self._orphan, self._entries[0])


class Orphans:
    """Adopts the journals of dead workers of the same service and agent, one at a time: ships, reports the end, removes.

    Keeps the total limit too: over it, the oldest orphan of whatever service is given up, whether or not an agent answers."""

    def __init__(self, line: Line, state: Path, keep: Callable[[bytes], None]) -> None:
        """`keep`: what becomes of a record that the agent refuses."""
        self._line = line
        self._home = home.Home(state)
        self._keep = keep
        self._orphan: Orphan | None = None
        self._name = ""
        self._batches: Iterator[tuple[list[bytes], int]] = iter(())
        self._underway = 0
        self._finished = False
        self._left_alone: set[str] = set()
        self._unusable = ""

    def tick(self, now: float) -> float:
        try:
            self._keep_limit()
            if self._orphan is None:
                self._adopt_one()
        except StateUnusable as error:
            if self._unusable != str(error):
                self._unusable = str(error)
                _logger.warning("no journal of a dead worker is adopted: %s", error)
        except OSError:
            pass  # removed meanwhile, or no descriptor is free: at the next time
        return ADOPT_SECONDS

    def _adopt_one(self) -> None:
        mine = self._line.journal.identity.facts

        def is_mine(directory: Path) -> bool:
            facts = adopt.known(directory)
            return (facts.service, facts.agent) == (mine.service, mine.agent)

        for name, orphan in self._adoptable(is_mine):
            self._orphan, self._name = orphan, name
            self._batches = orphan.pending()
            self._underway = 0
            self._finished = False
            return

    def _adoptable(self, wanted: Callable[[Path], bool]) -> Iterator[tuple[str, Orphan]]:
        """(name, adopted journal) of those that nobody owns, oldest first. What cannot be read is left alone from then on."""
        for name in self._home.incarnations():
            directory = self._home.journal(name)
            if name in self._left_alone or adopt.owner(directory) is not None:
                continue
            try:
                orphan = adopt.adopt(directory) if wanted(directory) else None
            except JournalUnreadable as error:
                self._leave_alone(name, error)
                continue
            if orphan is not None:
                yield name, orphan

    def _leave_alone(self, name: str, error: Exception) -> None:
        self._left_alone.add(name)
        if self._home.journal(name).exists():  # and not adopted and removed by another worker meanwhile
            _logger.warning("the journal %s of a dead worker cannot be read and stays where it is: %s", name, error)

    def _keep_limit(self) -> None:
        sizes = {name: adopt.size_bytes(self._home.journal(name)) for name in self._home.incarnations()}
        limit = self._line.settings.state_limit_bytes
        total = sum(sizes.values())
        if total <= limit:
            return
        for name, orphan in self._adoptable(Path.is_dir):
            before = sizes.get(name, 0)
            try:
                lost = orphan.give_up()
            except JournalUnreadable as error:
                self._leave_alone(name, error)
                continue
            finally:
                orphan.release()
            total -= before - adopt.size_bytes(orphan.directory)
            if lost:
                _logger.warning(
                    "journals in %s take more than %d bytes (LOGSHIP_STATE_LIMIT_BYTES): %d events of a dead worker are given up",
                    self._home.path,
                    limit,
                    lost,
                )
            if total <= limit:
                return

    def next(self) -> Bundle | None:
        """The next bundle of the orphan at hand: its entries, then its report."""
        orphan = self._orphan
        if orphan is None or self._finished:
            return None
        mark: int | None
        try:
            entries, mark = next(self._batches, ([], None))
            if not entries:
                if self._underway:
                    return None  # the report counts what is refused of it
                self._finished = True
                report = adopt.report_of(orphan.end(), self._line.journal.identity.facts)
                entries = [report] if report else []
        except Exception as error:
            # Somebody else's bytes: what of it is underway arrives, the rest is kept for `logship doctor`.
            self._leave_alone(self._name, error)
            self._orphan = None
            orphan.release()
            return None
        self._underway += len(entries)
        if entries:
            return Inherited(self, orphan, entries, mark)
        self._end()
        return None

    def done(self, orphan: Orphan, mark: int | None, records: int) -> None:
        """So many records of `orphan` are acknowledged: those up to `mark` of its journal, or its report."""
        if orphan is not self._orphan:
            return  # it was left alone meanwhile
        self._underway -= records
        if mark is not None:
            orphan.advance(mark, records)
        self._end()

    def set_aside(self, orphan: Orphan, record: bytes) -> None:
        """Count the record where it was numbered: our own counters explain our own gaps alone."""
        orphan.refuse()
        self._keep(record)

    def _end(self) -> None:
        """Remove the orphan once everything it left is acknowledged."""
        if self._orphan is not None and self._finished and not self._underway:
            lost = self._orphan.set_aside()
            if lost:
                _logger.warning("the journal %s of a dead worker is damaged: %s", self._name, lost)
            self._orphan.remove()
            self._orphan = None
