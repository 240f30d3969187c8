"""Totals of each hour and service, computed from its events: what a store keeps for longer than these."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from logship.search import kql
from logship.search.query import Hour, Query, Source, Stat
from logship.search.views import BEATS, DURATION, LIFE, SERVED

HOUR_NS = 3600 * 10**9
KEPT_NS = 2 * 365 * 24 * HOUR_NS
MINUTE_NS = 60 * 10**9
SERVICE, CPU, LOOP, IN_FLIGHT = "service.name", "logship.process.cpu_ns", "logship.loop.utilization", "logship.requests.in_flight"

_NUMBERS = tuple(field.name for field in fields(Hour) if field.name != "service")


def hour_start(ns: int) -> int:
    """Return when the hour of this time began."""
    return ns // HOUR_NS * HOUR_NS


def totals(source: Source, query: Query) -> list[Hour]:
    """Return the totals of the hours of `query`, which begins and ends with an hour, oldest first."""
    served, beats = query.narrowed(kql.parse(SERVED)), query.narrowed(kql.parse(BEATS))
    peaks: defaultdict[tuple[int, str], int] = defaultdict(int)
    for bucket in source.tally(served, SERVICE, MINUTE_NS):
        place = hour_start(bucket.start_ns), bucket.key
        peaks[place] = max(peaks[place], bucket.events)
    durations = source.stats(served, DURATION, SERVICE, HOUR_NS)
    services = {group.keys[1]: group.keys[0] for group in source.groups(beats, (SERVICE, LIFE))}
    cpu: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for stat in source.stats(beats, CPU, LIFE, HOUR_NS):
        cpu[stat.start_ns, services.get(stat.key, "")].append(stat.max - stat.min)
    loop, running = (_by_hour(source.stats(beats, name, SERVICE, HOUR_NS)) for name in (LOOP, IN_FLIGHT))
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


def hour_of(record: Mapping[str, Any]) -> Hour | None:
    """Return the hour with these values; None for a record of another format. Names of a later release are ignored."""
    try:
        hour = Hour(**{name: record[name] for name in (*_NUMBERS, "service") if name in record})
    except TypeError:
        return None
    numbers = all(isinstance(getattr(hour, name), int | float) for name in _NUMBERS)
    return hour if numbers and isinstance(hour.service, str) else None


def _by_hour(stats: Sequence[Stat]) -> dict[tuple[int, str], Stat]:
    return {(stat.start_ns, stat.key): stat for stat in stats}
