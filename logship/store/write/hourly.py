"""Totals of each hour, computed from its events before retention removes them."""

import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from logship.errors import StoreError
from logship.search import kql
from logship.search.query import Hour, Query, Stat
from logship.search.units import plural
from logship.search.views import BEATS, DURATION, LIFE, SERVED
from logship.store import hours
from logship.store.hours import HOUR_NS, KEPT_NS
from logship.store.read.reader import Reader

SERVICE, CPU, LOOP, IN_FLIGHT = "service.name", "logship.process.cpu_ns", "logship.loop.utilization", "logship.requests.in_flight"
MINUTE_NS = 60 * 10**9
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
        end_ns = (now_ns - LATE_NS) // HOUR_NS * HOUR_NS
        if self._hours is None:
            self._open()
        if end_ns <= self._until_ns:
            return
        with contextlib.closing(Reader(self._directory, memory_limit_bytes=MEMORY_LIMIT_BYTES, threads=1)) as reader:
            oldest_ns = reader.oldest_ns()
            first_ns = max(self._until_ns, now_ns - KEPT_NS, end_ns if oldest_ns is None else oldest_ns)
            self._until_ns, fresh = _some_hours(reader, first_ns // HOUR_NS * HOUR_NS, end_ns)
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


def totals(reader: Reader, query: Query) -> list[Hour]:
    """Return the totals of the hours of `query`, which begins and ends with an hour, oldest first."""
    served, beats = query.narrowed(kql.parse(SERVED)), query.narrowed(kql.parse(BEATS))
    peaks: defaultdict[tuple[int, str], int] = defaultdict(int)
    for bucket in reader.tally(served, SERVICE, MINUTE_NS):
        place = bucket.start_ns // HOUR_NS * HOUR_NS, bucket.key
        peaks[place] = max(peaks[place], bucket.events)
    durations = reader.stats(served, DURATION, SERVICE, HOUR_NS)
    services = {group.keys[1]: group.keys[0] for group in reader.groups(beats, (SERVICE, LIFE))}
    cpu: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for stat in reader.stats(beats, CPU, LIFE, HOUR_NS):
        cpu[stat.start_ns, services.get(stat.key, "")].append(stat.max - stat.min)
    loop, running = (_by_hour(reader.stats(beats, name, SERVICE, HOUR_NS)) for name in (LOOP, IN_FLIGHT))
    result = []
    for stat in durations:
        place = stat.start_ns, stat.key
        share, most = loop.get(place), running.get(place)
        result.append(
            Hour(
                stat.start_ns, stat.key, stat.count, peaks[place], stat.sum, stat.min, stat.max, stat.p50, stat.p95, stat.p99,
                workers=len(cpu[place]), cpu_ns=sum(cpu[place]), utilization=share.sum / share.count if share else 0.0,
                in_flight=int(most.max) if most else 0,
            )
        )  # fmt: skip
    return result


def _by_hour(stats: Sequence[Stat]) -> dict[tuple[int, str], Stat]:
    return {(stat.start_ns, stat.key): stat for stat in stats}
