"""One request: everything that was recorded of it, also when it is still running or its worker crashed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from logship.forensics.inflight import Unfinished, Watcher, inflight, running
from logship.search.kql import equal
from logship.search.query import Page, Query, Record, Source
from logship.search.times import from_rfc3339, rfc3339
from logship.state.living import Living

# What the worker did before it crashed, beside a request that it interrupted.
LAST_EVENTS = 12


@dataclass(frozen=True, slots=True)
class Story:
    """`records`: all that was recorded, oldest first; `request`: the one of them that reports the request itself.

    Without one, `unfinished` has the request as running or interrupted, as far as it is known; `crash` is the report of
    the crash that interrupted it, and `last_events` are the last events of that worker, up to the report.
    `cut`: whether records are missing because the result reached its size limit."""

    records: list[Record]
    request: Record | None = None
    unfinished: list[Unfinished] = field(default_factory=list)
    crash: Record | None = None
    last_events: list[Record] = field(default_factory=list)
    cut: bool = False

    def timeline(self) -> list[Record]:
        """Return all records in the order in which they began, with one made of each unfinished request."""
        return sorted([*self.records, *map(as_record, self.unfinished)], key=begin_ns)


def story(source: Source, id: str, living: Sequence[Living] = ()) -> Story:  # noqa: A002 - the word people know
    """Return what is known of a request, a trace, or the request that an event belongs to.

    `id`: a request id, trace id or event id; `living`: the live workers of this machine, whose running requests have no
    record yet. Without records and unfinished requests the id is not known."""
    excerpt = source.get(id)
    records = excerpt.records
    if len(records) == 1 and records[0].get("event.id") == id:
        wider = records[0].get("http.request.id") or records[0].get("trace.id")
        excerpt = source.get(wider) if wider else excerpt
        records = excerpt.records
    request = request_of(records, id)
    if request is not None:
        return Story(records, request, cut=excerpt.cut)
    crashes = source.search(Query(equal("logship.in_flight.ids", id)), Page(1)).records
    crash = crashes[0] if crashes else None
    last_events = source.context(str(crash.get("event.id", "")), LAST_EVENTS, 0).records if crash else []
    return Story(records, None, unfinished(source, id, living), crash, last_events, excerpt.cut)


def request_of(records: Sequence[Record], id: str) -> Record | None:  # noqa: A002
    """Return the record of a request: of the one with this id, rather than the opening of a websocket."""
    requests = [record for record in records if record.get("event.dataset") == "logship.request"]
    exact = [
        record for record in requests if record.get("http.request.id") == id or record.get("event.action") != "ws-open"
    ]
    return next(iter(exact or requests), None)


def unfinished(source: Source, id: str, living: Sequence[Living] = ()) -> list[Unfinished]:  # noqa: A002
    """Return the request with this id as a running or an interrupted one; [] when it is known as neither."""
    now_ns = time.time_ns()
    requests = inflight(source, Query(equal("logship.in_flight.ids", id)), (), now_ns)
    requests += running([cell for worker in living for cell in worker.cells()], Query(), now_ns)
    if isinstance(source, Watcher):
        requests += source.inflight(Query(equal("http.request.id", id)), "").requests
    return list({(request.incarnation, request.id): request for request in requests if request.id == id}.values())


def as_record(request: Unfinished) -> Record:
    """Return a running or interrupted request as the record of a request whose response never began."""
    method, _, path = request.what.partition(" ")
    runs = request.state == "running"
    return {
        "@timestamp": rfc3339(request.began_ns + request.age_ns),
        "event.duration": request.age_ns, "logship.ttfb_ns": request.age_ns,
        "http.request.id": request.id, "http.request.method": method, "url.path": path,
        "service.name": request.service, "service.node.name": request.node,
        "logship.worker.slot": request.slot, "logship.worker.generation": request.generation, "process.pid": request.pid,
        "log.level": "info" if runs else "critical",
        "message": f"{request.what} is still running" if runs else f"{request.what} was interrupted: its worker crashed",
    }  # fmt: skip


def begin_ns(record: Record) -> int:
    """Return when the recorded operation began: a request is recorded at its end."""
    if "event.start" in record and "event.duration" in record:
        return from_rfc3339(record["event.start"])
    return from_rfc3339(record["@timestamp"]) - length_ns(record)


def length_ns(record: Record) -> int:
    """Return the duration of a request in nanoseconds, 0 for records of a moment."""
    value = record.get("event.duration")
    return value if isinstance(value, int) and value > 0 and "http.request.method" in record else 0
