"""The capacity of each service of a source: all estimates, read from events of requests and heartbeats."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from math import ceil

from logship.forensics.capacity import growth, limits
from logship.forensics.capacity.cores import cores
from logship.forensics.capacity.cost import Cost, costs
from logship.forensics.capacity.estimate import Confidence, Estimate
from logship.forensics.capacity.history import (
    HOUR_NS,
    History,
    Usual,
    busiest,
    by_hour,
    by_weekday,
    daily,
    rate_text,
    usual_rate,
)
from logship.forensics.capacity.kept import kept_hours, with_kept
from logship.forensics.capacity.wanted import Wanted
from logship.forensics.workers import WorkerRow, workers
from logship.search import kql
from logship.search.query import Hour, Query, Source
from logship.search.units import plural
from logship.search.views import BEATS, DURATION, SERVED

MINUTE_NS = 60 * 10**9
MOST_BUCKETS = 40_000
# What a request costs changes with the application: the last week counts.
COST_NS = 7 * 86_400 * 10**9
# Workers that were alive in the last minutes are the present ones.
RECENT_NS = 15 * 60 * 10**9


@dataclass(frozen=True, slots=True)
class ServiceCapacity:
    """`by_hour` and `by_weekday`: requests a second, in the time zone of the client; `workers`: those that are alive."""

    service: str
    workers: int
    estimates: list[Estimate]
    by_hour: list[Usual]
    by_weekday: list[Usual]
    sentence: str


@dataclass(frozen=True, slots=True)
class _Service:
    """`own`: its events; `kept`: the totals of its hours, oldest first; `alive`: how many of its workers are alive."""

    name: str
    own: Query
    kept: list[Hour]
    alive: int


def capacity(source: Source, query: Query, now_ns: int, zone: tzinfo, wanted: Wanted) -> list[ServiceCapacity]:
    """Return the capacity of each service with requests in `query`, whose times must be set."""
    assert query.since_ns is not None
    until_ns = now_ns if query.until_ns is None else min(query.until_ns, now_ns)
    query = Query(query.where, query.since_ns, until_ns)
    served = source.tally(query.narrowed(kql.parse(SERVED)), "service.name", None)
    kept: defaultdict[str, list[Hour]] = defaultdict(list)
    for hour in kept_hours(source, query):
        kept[hour.service].append(hour)
    names = sorted({bucket.key for bucket in served} | kept.keys())
    recent = workers(source, max(query.since_ns or 0, until_ns - RECENT_NS), until_ns, query.where)
    own = {name: query.narrowed(kql.equal("service.name", name)) for name in names if name}
    services = (_Service(name, its, kept[name], _alive(recent, name)) for name, its in own.items())
    return [_of_service(source, service, zone, wanted) for service in services]


def _of_service(source: Source, service: _Service, zone: tzinfo, wanted: Wanted) -> ServiceCapacity:
    own, kept, alive = service.own, service.kept, service.alive
    history = _history(source, own, kept)
    until_ns = own.until_ns or 0
    peak = _peak(source, own, history, kept)
    known = costs(source, Query(own.where, max(history.since_ns, until_ns - COST_NS), until_ns))
    usable = cores(source, Query(own.where, max(history.since_ns, until_ns - RECENT_NS), until_ns))
    with_a_core, known = limits.limiting(known), limits.on_cores(known, alive, usable)
    cost = limits.limiting(known)
    hours, weekdays, days = by_hour(history, zone), by_weekday(history, zone), daily(history, zone)
    grown, rate = growth.growth(days), peak.value or 0.0
    most = limits.as_bound(limits.most_rate(history, alive, cost, wanted.latency_ns), rate)
    needed = limits.workers_needed(rate, history, with_a_core, wanted.target)
    estimates = [
        usual_rate(history), peak, busiest(hours, "busiest hour", history, 2),
        busiest(weekdays, "busiest weekday", history, 7), limits.concurrency(rate, history), *map(_cost_estimate, known),
        limits.utilization(rate, alive, cost), limits.limit_estimate(known, _waiting(source, own)), most, needed,
        growth.growth_estimate(days, grown), growth.enough_until(most, rate, grown, until_ns),
    ]  # fmt: skip
    return ServiceCapacity(service.name, alive, estimates, hours, weekdays, _sentence(alive, peak, most, needed))


def _alive(recent: Sequence[WorkerRow], name: str) -> int:
    return sum(row.service == name and row.state == "alive" for row in recent)


def _history(source: Source, query: Query, kept: Sequence[Hour]) -> History:
    hours = with_kept(source.stats(query.narrowed(kql.parse(SERVED)), DURATION, None, HOUR_NS), kept)
    since_ns, until_ns = query.since_ns or 0, query.until_ns or 0
    if hours:
        first = Query(query.where, hours[0].start_ns, hours[0].start_ns + HOUR_NS).narrowed(kql.parse(SERVED))
        minutes = [] if kept and kept[0].start_ns == hours[0].start_ns else source.tally(first, None, MINUTE_NS)
        since_ns = max(since_ns, minutes[0].start_ns if minutes else hours[0].start_ns)
    return History(hours, since_ns, until_ns)


def _peak(source: Source, query: Query, history: History, kept: Sequence[Hour]) -> Estimate:
    every_ns = max(1, ceil(history.span_ns / MINUTE_NS / MOST_BUCKETS)) * MINUTE_NS
    buckets = source.tally(query.narrowed(kql.parse(SERVED)), None, every_ns)
    value = max((bucket.events for bucket in buckets), default=0) / (every_ns / 1e9)
    derived = f"busiest of {plural(round(history.span_ns / every_ns), 'interval')} of {every_ns // MINUTE_NS} min"
    before = max((hour.peak_requests for hour in kept), default=0) / (MINUTE_NS / 1e9)
    if before > value:
        value, derived = before, f"busiest minute, from the totals of {plural(len(kept), 'hour')} (events may be gone)"
    return Estimate("peak rate", value, "requests/s", rate_text(value), derived, "measured")


def _cost_estimate(cost: Cost) -> Estimate:
    value = cost.seconds * 1e3
    low, high = value * (1 - min(2 * cost.error, 1)), value * (1 + 2 * cost.error)
    sure: Confidence = "measured" if cost.error <= limits.SURE else "uncertain"
    return Estimate(f"{cost.resource} per request", value, "ms", f"{value:.3g} ms", cost.method, sure, low, high)


def _waiting(source: Source, query: Query) -> int:
    stats = source.stats(query.narrowed(kql.parse(BEATS)), "logship.accept_queue.connections", None)
    return round(max((stat.max for stat in stats), default=0))


def _sentence(alive: int, peak: Estimate, most: Estimate, needed: Estimate) -> str:
    now = f"Peak {peak.text}; {alive} workers alive; {needed.text} needed at the target; maximum {most.text}."
    return now.replace("1 workers", "1 worker")
