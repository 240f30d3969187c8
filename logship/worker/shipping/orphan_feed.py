"""Bundles of orphans: journals of crashed workers of the same service and agent."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from logship.state import end_report, survey
from logship.state.orphans import Orphan
from logship.worker.pipeline import Pipeline
from logship.worker.shipping.bundle import Bundle
from logship.worker.shipping.orphans import INTERVAL_SECONDS, OrphanFinder

_logger = logging.getLogger("logship")


class OrphanBundle:
    """Entries of an orphan. `mark`: the journal's mark behind them; None for the report of the crash, which is in no journal."""

    __slots__ = ("_entries", "_feed", "_mark", "_orphan", "records")

    def __init__(self, feed: "OrphanFeed", orphan: Orphan, entries: list[bytes], mark: int | None) -> None:
        self.records = len(entries)
        self._entries = entries
        self._mark = mark
        self._orphan = orphan
        self._feed = feed

    def body(self) -> bytes:
        return b"".join(self._entries)

    def entries(self) -> list[bytes]:
        return self._entries

    def split(self) -> tuple[Bundle, Bundle]:
        middle = self.records // 2
        mark = None if self._mark is None else self._mark - (self.records - middle)
        return (
            OrphanBundle(self._feed, self._orphan, self._entries[:middle], mark),
            OrphanBundle(self._feed, self._orphan, self._entries[middle:], self._mark),
        )

    def done(self) -> None:
        self._feed.done(self._orphan, self._mark, self.records)

    def set_aside(self) -> None:
        self._feed.set_aside(self._orphan, self._entries[0])


class OrphanFeed:
    """Adopts one orphan at a time: ships its events, then the report of the crash, then removes the journal.

    A task and a feed of the shipping thread. `keep`: called with a record that the agent refuses."""

    def __init__(self, pipeline: Pipeline, finder: OrphanFinder, keep: Callable[[bytes], None]) -> None:
        self._pipeline = pipeline
        self._finder = finder
        self._keep = keep
        self._orphan: Orphan | None = None
        self._name = ""
        self._batches: Iterator[tuple[list[bytes], int]] = iter(())
        self._unacknowledged = 0
        self._reported = False

    def tick(self, now: float) -> float:
        if self._orphan is None:
            with contextlib.suppress(OSError):  # removed in the meantime, or no descriptor is free: try again next time
                self._adopt()
        return INTERVAL_SECONDS

    def _adopt(self) -> None:
        facts = self._pipeline.journal.identity.facts

        def same_service_and_agent(directory: Path) -> bool:
            other = survey.known_facts(directory)
            return (other.service, other.agent) == (facts.service, facts.agent)

        for name, orphan in self._finder.adopted(same_service_and_agent):
            self._orphan, self._name = orphan, name
            self._batches = orphan.pending()
            self._unacknowledged = 0
            self._reported = False
            return

    def next(self) -> Bundle | None:
        """Return the next bundle of the adopted orphan: its entries, then the report of its end; None if there is none."""
        orphan = self._orphan
        if orphan is None or self._reported:
            return None
        try:
            entries, mark = self._next_entries(orphan)
        except Exception as error:
            # The file is damaged. Bundles that are on their way still arrive; the rest is kept for `logship doctor`.
            self._finder.skip(self._name, error)
            self._orphan = None
            orphan.release()
            return None
        self._unacknowledged += len(entries)
        if entries:
            return OrphanBundle(self, orphan, entries, mark)
        self._remove_if_done()
        return None

    def _next_entries(self, orphan: Orphan) -> tuple[list[bytes], int | None]:
        for entries, mark in self._batches:
            return entries, mark
        if self._unacknowledged:
            return [], None  # the report counts which of its records are refused
        self._reported = True
        report = end_report.report_of(orphan.end(), self._pipeline.journal.identity.facts)
        return [report] if report else [], None

    def done(self, orphan: Orphan, mark: int | None, records: int) -> None:
        """Note that so many records of `orphan` are acknowledged: those up to `mark` of its journal, or its report."""
        if orphan is not self._orphan:
            return  # it was skipped in the meantime
        self._unacknowledged -= records
        if mark is not None:
            orphan.advance(mark, records)
        self._remove_if_done()

    def set_aside(self, orphan: Orphan, record: bytes) -> None:
        """Keep a refused record, and count it in the orphan's counters: each incarnation's explain its missing events."""
        orphan.refuse()
        self._keep(record)

    def _remove_if_done(self) -> None:
        """Remove the orphan once its report and everything before that is acknowledged."""
        if self._orphan is None or not self._reported or self._unacknowledged:
            return
        damage = self._orphan.set_aside()
        if damage:
            _logger.warning("the journal %s of a crashed worker is damaged: %s", self._name, damage)
        self._orphan.remove()
        self._orphan = None
