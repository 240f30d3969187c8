"""Totals of each hour, computed from its events before retention removes them."""

import contextlib
import logging
import time
from pathlib import Path

from logship.errors import StoreError
from logship.search.hourly import HOUR_NS, KEPT_NS, MINUTE_NS, hour_start, totals
from logship.search.query import Hour, Query
from logship.search.units import plural
from logship.store import hours
from logship.store.read.reader import Reader

# Events of an hour arrive for so long after its end. Those that come later, for instance of a journal that was adopted the next
# day, are not in the totals.
LATE_NS = 30 * MINUTE_NS
# A store that was written by an earlier release has many such hours: some are computed each time, so that merging continues.
BUDGET_SECONDS = 2.0
MEMORY_LIMIT_BYTES = 128 * 2**20

_logger = logging.getLogger("logship.store")


class HourlyTotals:
    """Keeps `hours.ndjson` of a store up to date. Belongs to one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._hours: list[Hour] | None = None
        self._until_ns = 0

    def update(self, now_ns: int) -> None:
        """Add hours that ended more than half an hour ago and are not there yet. A failure is logged, and retried next time."""
        try:
            self._update(now_ns)
        except (OSError, StoreError) as error:
            _logger.warning("%s: hourly totals are not up to date: %s", self._directory, error)

    def _update(self, now_ns: int) -> None:
        end_ns = hour_start(now_ns - LATE_NS)
        if self._hours is None:
            self._open()
        if end_ns <= self._until_ns:
            return
        with contextlib.closing(Reader(self._directory, memory_limit_bytes=MEMORY_LIMIT_BYTES, threads=1)) as reader:
            oldest_ns = reader.oldest_ns()
            first_ns = max(self._until_ns, now_ns - KEPT_NS, end_ns if oldest_ns is None else oldest_ns)
            self._until_ns, fresh = _some_hours(reader, hour_start(first_ns), end_ns)
        if fresh:
            self._hours = [*(self._hours or ()), *fresh]
            hours.write(self._directory, self._hours, now_ns)

    def _open(self) -> None:
        self._hours, damaged = hours.read(self._directory)
        if damaged:
            path = hours.set_aside(self._directory, damaged)
            hours.write(self._directory, self._hours, 0)
            _logger.error("%s: %s kept as %s", self._directory / hours.NAME, plural(len(damaged), "damaged line"), path.name)
        if self._hours:
            self._until_ns = self._hours[-1].start_ns + HOUR_NS


def _some_hours(reader: Reader, first_ns: int, end_ns: int) -> tuple[int, list[Hour]]:
    """The hours from `first_ns` on for which there is time, and where they end."""
    deadline = time.monotonic() + BUDGET_SECONDS
    rows: list[Hour] = []
    for start_ns in range(first_ns, end_ns, HOUR_NS):
        if time.monotonic() > deadline:
            return start_ns, rows
        rows += totals(reader, Query(None, start_ns, start_ns + HOUR_NS))
    return end_ns, rows
