"""Bundles of this process's journal. A bundle is a view of the mapped segment, without a loop over its records."""

import time
from collections.abc import Callable

from logship.state.identity import Cell
from logship.state.journal import Journal
from logship.state.segment import JournalSegment
from logship.worker.shipping.bundle import Bundle

FRAME_RECORDS = 500
# Between two full frames while a backlog drains: at most 100,000 records a second, so that requests get the interpreter.
DRAIN_PAUSE_SECONDS = 0.005


class SegmentSlice:
    """Records `start` to `stop` of one segment. `set_aside` is called with a record that the agent refuses."""

    __slots__ = ("_journal", "_segment", "_set_aside", "_start", "_stop", "records")

    def __init__(
        self, journal: Journal, segment: JournalSegment, start: int, stop: int, set_aside: Callable[[bytes], None]
    ) -> None:
        self.records = stop - start
        self._journal = journal
        self._segment = segment
        self._start = start
        self._stop = stop
        self._set_aside = set_aside

    def body(self) -> memoryview:
        return self._segment.view[self._segment.end(self._start - 1) : self._segment.end(self._stop - 1)]

    def entries(self) -> list[bytes]:
        view, end = self._segment.view, self._segment.end
        return [bytes(view[end(number - 1) : end(number)]) for number in range(self._start, self._stop)]

    def split(self) -> tuple[Bundle, Bundle]:
        middle = (self._start + self._stop) // 2
        return self._part(self._start, middle), self._part(middle, self._stop)

    def _part(self, start: int, stop: int) -> "SegmentSlice":
        return SegmentSlice(self._journal, self._segment, start, stop, self._set_aside)

    def done(self) -> None:
        self._journal.acknowledge(self._segment, self._stop, self.records)

    def set_aside(self) -> None:
        self._set_aside(bytes(self.body()))


class JournalFeed:
    """The journal's bundles in order, from the acknowledged mark on. For the shipping thread alone.

    `orphans`: asked for a bundle when the journal has none. `paced_until`: monotonic second before which it has none."""

    def __init__(self, journal: Journal, set_aside: Callable[[bytes], None]) -> None:
        self.orphans: Callable[[], Bundle | None] = lambda: None
        self.paced_until = 0.0
        self._journal = journal
        self._set_aside = set_aside
        mark = journal.cells[Cell.MARK]
        self._segment = journal.segment_after((mark >> 32) - 1)
        in_segment = self._segment is not None and self._segment.number == mark >> 32
        self._record = mark & 0xFFFFFFFF if in_segment else 0

    def next(self) -> Bundle | None:
        if time.monotonic() < self.paced_until:
            return None
        while self._segment is not None:
            segment = self._segment
            final = not self._journal.is_current(segment)  # read before the count, which is the last one then
            count = segment.count
            if self._record < count:
                return self._slice(segment, min(count, self._record + FRAME_RECORDS))
            if not final:
                return self.orphans()
            following = self._journal.segment_after(segment.number)
            if following is None:
                return None
            self._segment = following
            self._record = 0
        return None

    def _slice(self, segment: JournalSegment, stop: int) -> SegmentSlice:
        bundle = SegmentSlice(self._journal, segment, self._record, stop, self._set_aside)
        self._record = stop
        if bundle.records == FRAME_RECORDS:
            self.paced_until = time.monotonic() + DRAIN_PAUSE_SECONDS
        return bundle

    def backlog(self) -> bool:
        """Return whether there are records that `next` has not returned yet."""
        segment = self._segment
        return segment is not None and (self._record < segment.count or not self._journal.is_current(segment))
