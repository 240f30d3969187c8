"""Failing and slow requests: the part of the window in which they became frequent, and the field values that explain it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from logship.forensics.compare.combinations import Counts
from logship.forensics.compare.explain import Reason
from logship.forensics.compare.measure import reasons
from logship.forensics.compare.table import NARROW_FIELDS, Table
from logship.forensics.incident.counted import VALUES_OF_A_FIELD, Counted, InAndOut, Rest, Series
from logship.forensics.incident.segment import RequestSegment, segment
from logship.search.query import Group
from logship.search.views import NODE, ROUTE

# Parts of the traffic that are examined separately: a change in a small part is not visible in the total.
DIMENSIONS = ((), ("service.name",), (ROUTE,), (ROUTE, "http.request.method"), (NODE,), ("service.version",), (ROUTE, NODE))
CAUSES = 3
MOST = 0.8


@dataclass(frozen=True, slots=True)
class RaisedLimits:
    """When a raised ratio matters: it is at least `times` the usual one, `points` higher, has `hits`, and lasts `buckets`."""

    times: float
    points: float
    hits: int
    buckets: int

    def allow(self, counts: Counts) -> bool:
        return (
            counts.hits_after >= self.hits
            and counts.ratio_after >= self.times * counts.ratio_before
            and counts.ratio_after - counts.ratio_before >= self.points
        )


@dataclass(frozen=True, slots=True)
class Raised:
    """One cause: a combination of values (none: all requests), its counts outside and inside of the segment."""

    fields: Mapping[str, str]
    counts: Counts
    part: RequestSegment
    explained: float = 1.0


def raised(counted: Counted, hits: Table, limits: RaisedLimits) -> list[Raised]:
    """Return the causes, the most certain first."""
    found: list[Raised] = []
    remaining = hits
    for _ in range(CAUSES):
        candidates = _candidates(counted, remaining, limits)
        if not candidates:
            break
        best = max(candidates, key=lambda candidate: candidate.part.g)
        causes = _causes(counted, remaining, best, limits)
        found += causes
        remaining = _without(remaining, counted, causes)
    return found


def _without(hits: Table, counted: Counted, causes: Iterable[Raised]) -> Table:
    """The hits without those of the causes."""
    kept, removed = list[Group](), list[Group]()
    of_causes = [
        (counted.side_of(cause.part), [(hits.names.index(name), value) for name, value in cause.fields.items()])
        for cause in causes
    ]
    for row in hits.rows:
        own = [has for has, chosen in of_causes if all(row.keys[at] == value for at, value in chosen)]
        if not own:
            kept.append(row)
            continue
        for rows, gone in ((kept, False), (removed, True)):
            times = [(start, events) for start, events in zip(*row[1:], strict=True) if any(has(start) for has in own) == gone]
            if times:
                rows.append(Group(row.keys, [start for start, _ in times], [events for _, events in times]))
    return Rest(hits.names, kept, hits, Table(hits.names, removed))


def _candidates(counted: Counted, hits: Table, limits: RaisedLimits) -> list[Raised]:
    """The segments of all parts of the traffic that are significant and matter."""
    found = []
    for names in DIMENSIONS:
        found += _of(counted, names, counted.series(hits, names), counted.series(counted.requests, names), limits)
    for name in counted.wide:
        values = counted.frequent(hits, name, limits.hits)[:VALUES_OF_A_FIELD]
        found += _of(counted, (name,), counted.series(hits, (name,)), counted.wide_series(name, values), limits)
    return found


def _of(
    counted: Counted, names: Sequence[str], hits: Mapping[tuple[str, ...], Series], events: Mapping[tuple[str, ...], Series],
    limits: RaisedLimits,
) -> list[Raised]:  # fmt: skip
    found = []
    for values, own in events.items():
        if values in hits and sum(hits[values][counted.first :]) >= limits.hits:
            part = counted.segment(hits[values], own)
            if part and part.hit_buckets >= limits.buckets and limits.allow(part.counts):
                found.append(Raised(dict(zip(names, values, strict=True)), part.counts, part))
    return found


def _causes(counted: Counted, hits: Table, best: Raised, limits: RaisedLimits) -> list[Raised]:
    """What explains the raised ratio within the segment of `best`; `best` itself if no combination does better."""
    part = best.part
    divided = partial(InAndOut, counted, part=part)
    found = reasons(divided(counted.requests), divided(hits), lambda name, values: divided(counted.of_values(name, values)))[1]
    kept = [reason for reason in found if limits.allow(reason.counts)]
    reason = next((reason for reason in kept if _describes(reason, best)), None)
    if reason is None:
        return [best]
    return [_placed(counted, hits, replace(best, fields=reason.fields, counts=reason.counts, explained=reason.explained))]


def _describes(reason: Reason, best: Raised) -> bool:
    """Whether the reason has most of the hits of the best candidate, and its values too or clearly more hits."""
    if reason.counts.excess < MOST * best.counts.excess:
        return False
    own = {name: value for name, value in best.fields.items() if name != "service.name"}
    return own.items() <= reason.fields.items() or MOST * reason.counts.excess > best.counts.excess


def _placed(counted: Counted, hits: Table, cause: Raised) -> Raised:
    """The cause with its own segment, which may begin later than that of a larger part of the traffic."""
    wide = [name for name in cause.fields if name not in NARROW_FIELDS]
    table = counted.of_values(wide[0], [cause.fields[wide[0]]]) if wide else counted.requests
    own, events = counted.series_of(hits, cause.fields), counted.series_of(table, cause.fields)
    part = segment(own, events, counted.first) if own and events else None
    return replace(cause, part=part, counts=part.counts) if part and part.overlaps(cause.part) else cause


def frequent(table: Table, name: str, cause: Raised, counted: Counted, least: float = 0.5) -> list[str]:
    """Return the values of `name` that at least this part of the hits of a cause have."""
    at, side_of, sums = table.names.index(name), counted.side_of(cause.part), Counter[str]()
    chosen = [(table.names.index(field), value) for field, value in cause.fields.items()]
    for keys, starts_ns, counts in table.rows:
        if all(keys[index] == value for index, value in chosen):
            sums[keys[at]] += sum(events for start, events in zip(starts_ns, counts, strict=True) if side_of(start))
    return [value for value, events in sums.most_common() if value and events >= least * sum(sums.values())]
