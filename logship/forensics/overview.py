"""Everything that an overview of a window shows, read together: workers, findings, traffic, latency, heartbeats, failures."""

from dataclasses import dataclass

from logship.forensics.standout import Standout, judge, observe
from logship.forensics.workers import WorkerRow, covered_ns
from logship.search import kql
from logship.search.query import Bucket, Page, Query, Record, Source, Stat, focused
from logship.search.views import BY_NAME, DURATION, FAILURES, NODE, SERVED, STATUS

# Heartbeats come every ten seconds: in a longer window there are more of them than a chart has pixels.
HEARTBEATS_SPAN_NS = 3 * 3600 * 10**9
HEARTBEATS_LIMIT = 5_000
MARKS_LIMIT = 500
FAILURES_LIMIT = 8
# The fields of its queries. A query with another field is only slower.
COLUMNS = (
    "service.name", "service.node.name", "service.ephemeral_id", "event.dataset", "event.action", "event.outcome",
    "event.duration", "http.route", "http.response.status_code", "client.ip", "client.port", "error.type",
    "logship.loop_lag.max_ns", "logship.loop_lag.mean_ns",
)  # fmt: skip
HEARTBEAT_FIELDS = ("service.node.name", "logship.requests.in_flight", "logship.loop_lag.max_ns")


@dataclass(frozen=True, slots=True)
class Overview:
    """`traffic`: requests by worker and status; `latency`: request durations by worker; both in buckets of time.

    `heartbeats` and `marks` (starts and ends of runs): oldest first, heartbeats only in windows of up to three hours.
    `routes`: statistics of all requests by route; `failures`: the newest failed requests."""

    workers: list[WorkerRow]
    covered_ns: int
    standout: Standout
    routes: list[Stat]
    failures: list[Record]
    traffic: list[Bucket]
    latency: list[Stat]
    heartbeats: list[Record]
    marks: list[Record]


def overview(source: Source, query: Query, now_ns: int, traffic_every_ns: int, latency_every_ns: int) -> Overview:
    """Return the overview of `query`, whose times must be set; buckets are as wide as given, in nanoseconds."""
    with focused(source, query, COLUMNS) as near:
        return _overview(near, query, now_ns, traffic_every_ns, latency_every_ns)


def _overview(source: Source, query: Query, now_ns: int, traffic_every_ns: int, latency_every_ns: int) -> Overview:
    assert query.since_ns is not None
    observed = observe(source, query, now_ns)
    served = query.narrowed(kql.parse(SERVED))
    until_ns = now_ns if query.until_ns is None else query.until_ns
    heartbeats = (
        source.search(
            query.narrowed(kql.parse("event.action: worker-heartbeat")),
            Page(HEARTBEATS_LIMIT, columns=HEARTBEAT_FIELDS),
        ).records
        if until_ns - query.since_ns <= HEARTBEATS_SPAN_NS
        else []
    )
    return Overview(
        workers=list(observed.workers),
        covered_ns=covered_ns(observed.workers),
        standout=judge(source, observed),
        routes=list(observed.routes),
        failures=source.search(query.narrowed(kql.parse(FAILURES)), Page(FAILURES_LIMIT)).records,
        traffic=source.tally(served, NODE, traffic_every_ns, STATUS),
        latency=source.stats(served, DURATION, NODE, latency_every_ns),
        heartbeats=heartbeats[::-1],
        marks=source.search(query.narrowed(kql.parse(BY_NAME["restarts"].where)), Page(MARKS_LIMIT)).records[::-1],
    )
