"""The catalogue of views: saved searches and panels for the page, the terminal, Kibana, Grafana and Splunk, as data.

A view is a query, the fields it is split by and the numbers it shows. `view_results` runs it on any source."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from logship.event.fields import DROP_REASONS
from logship.search.query import BEAT_ACTIONS

Shape: TypeAlias = Literal["rows", "counts", "values", "numbers"]

SERVED = 'event.dataset: "logship.request" and not event.action: "ws-open"'
FAILED = "(http.response.status_code >= 500 or event.outcome: failure)"
FAILURES = f"{SERVED} and {FAILED}"
BEATS = "event.action: (" + " or ".join(f'"{action}"' for action in BEAT_ACTIONS) + ")"
NODE, LIFE, ROUTE = "service.node.name", "service.ephemeral_id", "http.route"
STATUS, DURATION = "http.response.status_code", "event.duration"
REQUEST_COLUMNS = (
    "@timestamp",
    NODE,
    "http.request.method",
    "url.path",
    STATUS,
    DURATION,
    "http.request.id",
    "message",
)
RUN_COLUMNS = (
    "@timestamp",
    NODE,
    "logship.worker.generation",
    "process.pid",
    "event.action",
    "event.reason",
    "process.exit_code",
    "logship.in_flight.count",
    "message",
)


@dataclass(frozen=True, slots=True)
class View:
    """One view.

    `shape`: what the result is: events as rows, counts of events, the most frequent values with their share, or
    statistics of `number`. Rows have `columns`, the newest first, or those with the greatest `greatest` first.
    `split`: the field to group by; `and_split`: a second one, for counts; `over_time`: also in buckets of time.
    `metrics`: the numbers that are shown: events, share, or those of a `Stat`; `unit`: their unit.
    `needs_id`: `where` has a {0} for a request id."""

    name: str
    title: str
    sentence: str
    shape: Shape
    where: str
    unit: str
    split: str | None = None
    and_split: str | None = None
    number: str = ""
    metrics: tuple[str, ...] = ("events",)
    columns: tuple[str, ...] = ()
    greatest: str = ""
    over_time: bool = False
    needs_id: bool = False


def _per_worker(name: str, title: str, sentence: str, number: str, unit: str, metrics: tuple[str, ...]) -> View:
    where = f"{BEATS} and {number}: *"
    return View(name, title, sentence, "numbers", where, unit, NODE, None, number, metrics, over_time=True)


VIEWS: tuple[View, ...] = (
    View(
        "requests", "Requests per worker", "Requests of each worker, over time.",
        "counts", SERVED, "requests", NODE, over_time=True,
    ),
    View(
        "latency", "Latency per worker", "Request latency of each worker, over time: p50, p95 and p99.",
        "numbers", SERVED, "nanoseconds", NODE, number=DURATION, metrics=("p50", "p95", "p99"), over_time=True,
    ),
    View(
        "errors", "Errors per worker and route", "Failed requests: status 500 or higher, or an exception.",
        "counts", FAILURES, "requests", NODE, ROUTE,
    ),
    View(
        "slowest-routes", "Slowest routes", "Request latency of each route: p50, p95, p99 and maximum.",
        "numbers", SERVED, "nanoseconds", ROUTE, number=DURATION, metrics=("count", "p50", "p95", "p99", "max"),
    ),
    View(
        "statuses", "Status codes", "Requests by status code, over time.",
        "counts", SERVED, "requests", STATUS, over_time=True,
    ),
    _per_worker(
        "in-flight", "Requests in flight", "Requests in flight on each worker at its heartbeats.",
        "logship.requests.in_flight", "requests", ("p50", "max"),
    ),
    _per_worker(
        "loop-lag", "Event loop lag", "Maximum event loop lag of each worker between two heartbeats.",
        "logship.loop_lag.max_ns", "nanoseconds", ("p50", "max"),
    ),
    _per_worker(
        "backlog", "Journal backlog", "Bytes in each worker's journal that are not delivered yet, at its heartbeats.",
        "logship.journal.bytes", "bytes", ("p50", "max"),
    ),
    View(
        "shares", "Traffic share", "Share of requests per worker; balanced is 1/N.",
        "values", SERVED, "requests", NODE, metrics=("events", "share"),
    ),
    View(
        "busy-time", "Busy time per worker",
        "Total handling time per worker. Imbalance here matters more than in request counts.",
        "numbers", SERVED, "nanoseconds", NODE, number=DURATION, metrics=("count", "sum"),
    ),
    View(
        "restarts", "Restarts and crashes",
        "Starts, shutdowns and crashes of workers, with the number of requests in flight.",
        "rows", 'event.action: ("worker-started" or "worker-closed" or "worker-lost" or "worker-ended")', "events",
        columns=RUN_COLUMNS,
    ),
    View(
        "deaths", "Crashes",
        "Worker processes that ended without a shutdown, and the requests they interrupted.",
        "rows", 'event.action: ("worker-lost" or "worker-ended")', "events",
        columns=(*RUN_COLUMNS, "logship.in_flight.requests"),
    ),
    View(
        "stored", "Emitted vs. stored",
        "Stored events of each run, and their first and last number; a smaller count means missing events.",
        "numbers", "event.sequence: *", "events", LIFE,
        number="event.sequence", metrics=("count", "min", "max"),
    ),
    View(
        "drops", "Dropped events", "Heartbeats of workers that dropped events, with the number for each reason.",
        "rows", f"{BEATS} and ({' or '.join(f'logship.dropped.{reason} > 0' for reason in DROP_REASONS)})", "events",
        columns=("@timestamp", NODE, "logship.emitted", *(f"logship.dropped.{reason}" for reason in DROP_REASONS)),
    ),
    *(
        View(
            f"dropped-{reason.replace('_', '-')}", f"Dropped: {reason.replace('_', ' ')}",
            f"Events that each run dropped because {why}",
            "numbers", f"{BEATS} and logship.dropped.{reason} > 0", "events", LIFE,
            number=f"logship.dropped.{reason}", metrics=("max",),
        )
        for reason, why in DROP_REASONS.items()
    ),
    View(
        "log-volume", "Log volume", "Log events by level and logger.",
        "counts", 'event.dataset: "logship.app"', "events", "log.level", "log.logger",
    ),
    View(
        "failures", "Newest failures",
        "Failed requests and log events with level error or critical, newest first.",
        "rows", f"{FAILED} or log.level: (error or critical)", "events",
        columns=("@timestamp", NODE, STATUS, "http.route", "error.type", "error.message", "http.request.id", "message"),
    ),
    View(
        "app-errors", "Application errors",
        "Log events of the application with level error or critical, newest first.",
        "rows", 'event.dataset: "logship.app" and log.level: (error or critical)', "events",
        columns=("@timestamp", NODE, "log.logger", "error.type", "error.message", "http.request.id", "message"),
    ),
    View(
        "worker", "One worker", "All events of workers, newest first. Filter by a worker to see one.",
        "rows", f"{NODE}: *", "events",
        columns=("@timestamp", NODE, "event.dataset", "log.level", STATUS, DURATION, "http.request.id", "message"),
    ),
    View(
        "slow", "Slowest requests", "The slowest requests.",
        "rows", SERVED, "requests", columns=REQUEST_COLUMNS, greatest=DURATION,
    ),
    View(
        "story", "One request", "All events of one request, by request id or trace id.",
        "rows", 'http.request.id: "{0}" or trace.id: "{0}"', "events",
        columns=("@timestamp", NODE, "log.level", "log.logger", "event.action", STATUS, DURATION, "error.type", "message"),
        needs_id=True,
    ),
)  # fmt: skip
BY_NAME = {view.name: view for view in VIEWS}
