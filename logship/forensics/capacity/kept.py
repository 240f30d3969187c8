"""Hours whose events retention has removed: their totals, if the source keeps them."""

from collections.abc import Iterable, Sequence

from logship.search.kql import And, Is, Node, Text
from logship.search.query import Hour, Hourly, Query, Source, Stat


def kept_hours(source: Source, query: Query) -> list[Hour]:
    """Return the totals of the hours in `query`, oldest first; [] if the source keeps none, or they cannot answer the query.

    Totals are of services: a query that names other fields cannot be answered from them."""
    services = _services(query.where)
    if services is None or not isinstance(source, Hourly):
        return []
    hours = source.hours(query.since_ns or 0, query.until_ns or 0)
    return [hour for hour in hours if not services or {hour.service} == services]


def with_kept(hours: Sequence[Stat], kept: Iterable[Hour]) -> list[Stat]:
    """Return statistics of durations by hour: where retention has removed events of an hour, its totals."""
    known = {stat.start_ns: stat for stat in hours}
    for hour in kept:
        stat = known.get(hour.start_ns)
        if stat is None or stat.count < hour.requests:
            known[hour.start_ns] = stat_of(hour)
    return [known[start_ns] for start_ns in sorted(known)]


def stat_of(hour: Hour) -> Stat:
    """Return the durations of an hour as a source returns them."""
    return Stat(
        "", hour.requests, hour.duration_sum_ns, hour.duration_min_ns, hour.duration_max_ns, hour.p50_ns, hour.p95_ns,
        hour.p99_ns, hour.start_ns,
    )  # fmt: skip


def _services(where: Node | None) -> set[str] | None:
    """The services that a query requires; None if it requires anything else. A set of two has no events."""
    match where:
        case None:
            return set()
        case And(parts):
            named = [_services(part) for part in parts]
            return None if None in named else {name for names in named for name in names or ()}
        case Is(Text("service.name" | "service"), Text(name)):
            return {name}
    return None
