"""Findings about requests: failing, slow, another status, one worker or client with much of the traffic, less traffic."""

from dataclasses import replace
from math import log
from statistics import median

from logship.forensics.compare.combinations import Counts
from logship.forensics.finding import short
from logship.forensics.incident.counted import CLIENT, VALUES_OF_A_FIELD, Counted, Series
from logship.forensics.incident.finding import IncidentKind, Outlier
from logship.forensics.incident.raised import Raised, RaisedLimits, frequent, raised
from logship.forensics.incident.segment import TOGETHER, RequestSegment, segment
from logship.search import kql
from logship.search.kql import Node, equal
from logship.search.units import duration, share
from logship.search.views import DURATION, FAILURES, NODE, ROUTE, SERVED, STATUS

FAILING = RaisedLimits(times=3, points=0.02, hits=8, buckets=3)
SLOW = RaisedLimits(times=2.5, points=0.1, hits=20, buckets=6)
SHIFTED = RaisedLimits(times=3, points=0.08, hits=12, buckets=5)
UNEVEN = RaisedLimits(times=1.15, points=0.08, hits=100, buckets=18)
# With two workers a share cannot double; the odds can.
UNEVEN_ODDS = 1.45
FLOOD = RaisedLimits(times=4, points=0.05, hits=60, buckets=6)
# A drop is less than this part of the traffic on both sides, for at least DROP_BUCKETS; on each side BESIDE_BUCKETS are compared.
LESS = 0.8
DROP_BUCKETS, BESIDE_BUCKETS, LEAST_BESIDE = 12, 30, 6
# Traffic is not a Poisson process: requests come in bursts.
LEAST_G_OF_DROP = 60.0


def read_wide(counted: Counted) -> None:
    """Read the values of fields with many that failing, slow and frequent requests have, of all three with one query per field.

    Without it each of the three reads its own. Twice as many as one examines: without the hits of a first cause, others are
    the most frequent."""
    for name in counted.wide:
        values = counted.frequent(counted.failed, name, FAILING.hits)[: 2 * VALUES_OF_A_FIELD]
        if counted.slow is not None:
            values += counted.frequent(counted.slow, name, SLOW.hits)[: 2 * VALUES_OF_A_FIELD]
        if name == CLIENT:
            values += _frequent_clients(counted)
        counted.wide_series(name, list(dict.fromkeys(values)))


def failing(counted: Counted) -> list[Outlier]:
    """Return the parts of the traffic that failed more than usual."""
    hits = counted.failed
    found = []
    for cause in raised(counted, hits, FAILING):
        types, statuses = frequent(hits, "error.type", cause, counted), frequent(hits, STATUS, cause, counted, 0.3)
        with_ = f" with {' and '.join(types)}" if types else f" with status {', '.join(statuses)}" if statuses else ""
        more: dict[str, str | list[str]] = {"error.type": types[0]} if types else {}
        sentence = f"{_name(cause)}: failed requests {_change(cause.counts)}{with_}."
        found.append(_outlier(counted, "failing", cause, sentence, kql.parse(FAILURES), more))
    return found


def slow(counted: Counted) -> list[Outlier]:
    """Return the parts of the traffic that became slow."""
    hits = counted.slow
    if hits is None:
        return []
    found = []
    for cause in raised(counted, hits, SLOW):
        before, after = _durations(counted, cause)
        took = f"p95 {before} before, {after} then; " if before else ""
        sentence = f"{_name(cause)} is slow: {took}requests slower than the usual p95 of their route {_change(cause.counts)}."
        found.append(_outlier(counted, "slow", cause, sentence, kql.parse(SERVED), {}))
    return found


def _durations(counted: Counted, cause: Raised) -> tuple[str, str]:
    where = kql.every(kql.parse(SERVED), *_conditions(cause))
    low, high = counted.starts[cause.part.low], counted.starts[cause.part.high - 1] + counted.clock.every_ns
    window = counted.clock.window
    inside = counted.source.stats(replace(window, since_ns=low, until_ns=high).narrowed(where), DURATION, None)
    first = counted.clock.queries()[0]
    outside = counted.source.stats(replace(first, until_ns=low).narrowed(where), DURATION, None)
    return duration(outside[0].p95) if outside else "", duration(inside[0].p95) if inside else ""


def status(counted: Counted) -> list[Outlier]:
    """Return the routes that answer with another status than usual, failures apart."""
    table = counted.requests
    by_route, of_status = counted.series(table, (ROUTE,)), counted.series(table, (ROUTE, STATUS))
    found = []
    for (route, code), hits in of_status.items():
        if not code.isdigit() or int(code) >= 500 or int(code) < 300:
            continue
        part = segment(hits, by_route[(route,)], counted.first)
        if part and part.hit_buckets >= SHIFTED.buckets and SHIFTED.allow(part.counts):
            cause = Raised({ROUTE: route}, part.counts, part)
            name = route or "Requests without a route"
            sentence = f"{name} answers with status {code}: {_change(part.counts)} of its requests."
            where = kql.every(kql.parse(SERVED), equal(STATUS, code))
            found.append(_outlier(counted, "status", cause, sentence, where, {STATUS: code}))
    return found


def imbalance(counted: Counted) -> list[Outlier]:
    """Return the workers that got much more of the traffic of their service than usual."""
    services = counted.series(counted.requests, ("service.name",))
    nodes = counted.series(counted.requests, ("service.name", NODE))
    found = []
    for (service, node), hits in nodes.items():
        part = segment(hits, services[(service,)], counted.first) if node else None
        if part and part.hit_buckets >= UNEVEN.buckets and UNEVEN.allow(part.counts) and _odds(part.counts) >= UNEVEN_ODDS:
            cause = Raised({NODE: node}, part.counts, part)
            usual, now = (share(ratio, 1) for ratio in (part.counts.ratio_before, part.counts.ratio_after))
            sentence = f"Traffic is unbalanced: {short(node)} served {now} of requests, usually {usual}."
            found.append(_outlier(counted, "imbalance", cause, sentence, kql.parse(SERVED), {}))
    return found


def _odds(counts: Counts) -> float:
    before, after = min(counts.ratio_before, 0.99), min(counts.ratio_after, 0.99)
    return (after / (1 - after)) / max(before / (1 - before), 1e-9)


def floods(counted: Counted) -> list[Outlier]:
    """Return the clients that suddenly send much of the traffic."""
    total = counted.series(counted.requests, ()).get((), [])
    found = []
    for (value,), hits in counted.wide_series(CLIENT, _frequent_clients(counted)).items():
        part = segment(hits, total, counted.first)
        if part and part.hit_buckets >= FLOOD.buckets and FLOOD.allow(part.counts):
            cause = Raised({CLIENT: value}, part.counts, part)
            sentence = f"{CLIENT} {value} sends much more: {_change(part.counts)} of all requests."
            found.append(_outlier(counted, "traffic", cause, sentence, kql.parse(SERVED), {}))
    return found


def _frequent_clients(counted: Counted) -> list[str]:
    return [client.value for client in counted.clients if client.events >= FLOOD.hits]


def drop(counted: Counted) -> list[Outlier]:
    """Return the time in which a service got much less traffic than just before and after."""
    found = []
    for (service,), events in counted.series(counted.requests, ("service.name",)).items():
        part = _dip(events, counted.first)
        if part is not None:
            seconds, counts = counted.clock.every_ns / 1e9, part.counts
            before, after = counts.ratio_before / seconds, counts.ratio_after / seconds
            name = service or "The service"
            sentence = f"{name} got less traffic: {before:.3g} requests per second before, {after:.3g} then."
            cause = Raised({"service.name": service} if service else {}, counts, part)
            found.append(_outlier(counted, "traffic", cause, sentence, kql.parse(SERVED), {}))
    return found


def _dip(events: Series, first: int) -> RequestSegment | None:
    """The segment with much less traffic than on both sides of it; None without one. `events` of its counts are buckets."""
    sums = [0.0]
    for number in events:
        sums.append(sums[-1] + number)
    # The usual traffic: half of the minutes have less. A peak beside the segment does not raise it.
    usual = median(_rate(sums, at, at + TOGETHER) for at in range(0, max(1, len(events) - TOGETHER + 1), TOGETHER))
    best: RequestSegment | None = None
    for low in range(max(first, BESIDE_BUCKETS // 2), len(events) - DROP_BUCKETS + 1, 2):
        if _rate(sums, low, low + DROP_BUCKETS) > LESS * _rate(sums, max(0, low - BESIDE_BUCKETS), low):
            continue
        for high in range(low + DROP_BUCKETS, len(events) + 1, 2):
            part = _less(sums, low, high) if _rate(sums, low, high) <= LESS * usual else None
            if part is not None and (best is None or part.g > best.g):
                best = part
    return best if best is not None and best.g >= LEAST_G_OF_DROP else None


def _less(sums: Series, low: int, high: int) -> RequestSegment | None:
    """The segment, if its traffic is less than before it, after it and in all other buckets: a peak that ends is not a drop."""
    whole, left_from = len(sums) - 1, max(0, low - BESIDE_BUCKETS)
    inside, left = _rate(sums, low, high), _rate(sums, left_from, low)
    right_to = min(whole, high + BESIDE_BUCKETS)
    right = _rate(sums, high, right_to) if right_to - high >= LEAST_BESIDE else left
    others = (sums[whole] - sums[high] + sums[low]) / max(whole - high + low, 1)
    usual = min(left, right)
    if inside > LESS * usual or inside > LESS * others:
        return None
    count, expected = sums[high] - sums[low], usual * (high - low)
    g = 2 * ((count * log(count / expected) if count else 0.0) - (count - expected))
    counts = Counts(low - left_from, sums[low] - sums[left_from], high - low, count)
    return RequestSegment(low, high, counts, g, high - low)


def _rate(sums: Series, low: int, high: int) -> float:
    return (sums[high] - sums[low]) / max(high - low, 1)


def _outlier(
    counted: Counted, kind: IncidentKind, cause: Raised, sentence: str, where: Node | None, more: dict[str, str | list[str]]
) -> Outlier:
    fields: dict[str, str | list[str]] = {**cause.fields, **more}
    counts = cause.counts
    return Outlier(
        kind, sentence, kql.text_of(kql.every(where, *_conditions(cause))), counted.clock.began(counted.starts, cause.part),
        counted.clock.ended(counted.starts, cause.part), cause.fields.get("service.name", ""), cause.fields.get(NODE, ""), fields,
        {
            "requests_before": counts.events_before, "hits_before": counts.hits_before, "requests_after": counts.events_after,
            "hits_after": counts.hits_after, "explained": round(cause.explained, 3), "g": round(cause.part.g, 1),
        },
        cause.part.g,
    )  # fmt: skip


def _conditions(cause: Raised) -> list[Node]:
    return [equal(name, value) for name, value in cause.fields.items()]


def _name(cause: Raised) -> str:
    names = {ROUTE: "", NODE: "", "http.request.method": "", "service.name": ""}
    texts = [
        short(value) if name == NODE else value if name in names else f"{name.removeprefix('labels.')} {value}"
        for name, value in cause.fields.items()
    ]
    return " & ".join(text for text in texts if text) or "All requests"


def _change(counts: Counts) -> str:
    return (
        f"{share(counts.hits_before, counts.events_before)} -> {share(counts.hits_after, counts.events_after)} "
        f"({round(counts.hits_after):,} of {round(counts.events_after):,})"
    )

