"""The catalogue of views: saved searches and panels, each said once, for the page, the terminal, Kibana and Grafana.

A view is a question (KQL), how it is split and what is measured. `answer` asks it of any source; the Kibana objects are
made from the same values."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from logship.event.fields import DROP_REASONS
from logship.search import kql
from logship.search.query import BEAT_ACTIONS, Bucket, Page, Query, Rows, Share, Source, Stat

Shape: TypeAlias = Literal["rows", "counts", "values", "numbers"]
Answer: TypeAlias = Rows | list[Bucket] | list[Share] | list[Stat]

SERVED = 'event.dataset: "logship.request" and not event.action: "ws-open"'
FAILED = "(http.response.status_code >= 500 or event.outcome: failure)"
BEATS = "event.action: (" + " or ".join(f'"{action}"' for action in BEAT_ACTIONS) + ")"
NODE, LIFE, ROUTE = "service.node.name", "service.ephemeral_id", "http.route"
STATUS, DURATION = "http.response.status_code", "event.duration"
TOLD_OF_REQUEST = (
    "@timestamp",
    NODE,
    "http.request.method",
    "url.path",
    STATUS,
    DURATION,
    "http.request.id",
    "message",
)
TOLD_OF_LIFE = (
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
    """One view. `shape`: events as rows (`columns`; `greatest` first, else the newest), counts of events, the most
    frequent values with their share, or the statistics of `number`.

    `split` is the field to split by, `and_split` that within it where events are counted; `over_time`: in buckets of
    time as well. `metrics`: which numbers of an answer are shown: events, share, or those of a `Stat`. `unit`: of these
    numbers. `needs_id`: `where` has a {} for the id of a request."""

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
        "requests", "Requests per worker", "How many requests each worker answered, over time.",
        "counts", SERVED, "requests", NODE, over_time=True,
    ),
    View(
        "latency", "Latency per worker", "How long requests took on each worker: half, 95 and 99 of 100 were quicker.",
        "numbers", SERVED, "nanoseconds", NODE, number=DURATION, metrics=("p50", "p95", "p99"), over_time=True,
    ),
    View(
        "errors", "Errors per worker and route", "Where requests failed: with a status of 500 or more, or an exception.",
        "counts", f"{SERVED} and {FAILED}", "requests", NODE, ROUTE,
    ),
    View(
        "slowest-routes", "Slowest routes", "Which routes took longest, by the slowest request in a hundred.",
        "numbers", SERVED, "nanoseconds", ROUTE, number=DURATION, metrics=("count", "p50", "p95", "p99", "max"),
    ),
    View(
        "statuses", "Status mix", "Which statuses were answered, over time.",
        "counts", SERVED, "requests", STATUS, over_time=True,
    ),
    _per_worker(
        "in-flight", "Requests in flight", "How many requests each worker was serving at its heartbeats.",
        "logship.requests.in_flight", "requests", ("p50", "max"),
    ),
    _per_worker(
        "loop-lag", "Event-loop lag", "How late each worker's event loop ran, at worst between two heartbeats.",
        "logship.loop_lag.max_ns", "nanoseconds", ("p50", "max"),
    ),
    _per_worker(
        "backlog", "Waiting in the journal", "How many bytes waited in each worker's journal at its heartbeats.",
        "logship.journal.bytes", "bytes", ("p50", "max"),
    ),
    View(
        "shares", "Traffic share", "Which part of all requests each worker answered; even is one by their number.",
        "values", SERVED, "requests", NODE, metrics=("events", "share"),
    ),
    View(
        "busy-time", "Busy time per worker", "How long each worker was busy in all: uneven here hurts, uneven counts may not.",
        "numbers", SERVED, "nanoseconds", NODE, number=DURATION, metrics=("count", "sum"),
    ),
    View(
        "restarts", "Restarts and deaths", "When workers began, were closed, or died, and what they left.",
        "rows", 'event.action: ("worker-started" or "worker-closed" or "worker-lost" or "worker-ended")', "events",
        columns=TOLD_OF_LIFE,
    ),
    View(
        "deaths", "Deaths", "Workers that ended without closing, and the requests that were cut off.",
        "rows", 'event.action: ("worker-lost" or "worker-ended")', "events",
        columns=(*TOLD_OF_LIFE, "logship.in_flight.requests"),
    ),
    View(
        "stored", "Numbered against stored",
        "How many events of each life are stored, and the numbers of its first and last: the same span, or some are missing.",
        "numbers", "event.sequence: *", "events", LIFE,
        number="event.sequence", metrics=("count", "min", "max"),
    ),
    View(
        "drops", "Drops", "What workers said at their heartbeats once they had lost events, with the reasons.",
        "rows", f"{BEATS} and ({' or '.join(f'logship.dropped.{reason} > 0' for reason in DROP_REASONS)})", "events",
        columns=("@timestamp", NODE, "logship.emitted", *(f"logship.dropped.{reason}" for reason in DROP_REASONS)),
    ),
    *(
        View(
            f"dropped-{reason.replace('_', '-')}", f"Dropped: {reason.replace('_', ' ')}",
            f"Events that each life of a worker lost because {why}",
            "numbers", f"{BEATS} and logship.dropped.{reason} > 0", "events", LIFE,
            number=f"logship.dropped.{reason}", metrics=("max",),
        )
        for reason, why in DROP_REASONS.items()
    ),
    View(
        "log-volume", "Log volume", "How many lines each logger wrote at each level.",
        "counts", 'event.dataset: "logship.app"', "events", "log.level", "log.logger",
    ),
    View(
        "failures", "Newest failures", "Requests and lines that failed, the newest first.",
        "rows", f"{FAILED} or log.level: (error or critical)", "events",
        columns=("@timestamp", NODE, STATUS, "http.route", "error.type", "error.message", "http.request.id", "message"),
    ),
    View(
        "app-errors", "Application errors", "Lines that the application logged as errors, the newest first.",
        "rows", 'event.dataset: "logship.app" and log.level: (error or critical)', "events",
        columns=("@timestamp", NODE, "log.logger", "error.type", "error.message", "http.request.id", "message"),
    ),
    View(
        "worker", "One worker", "Everything that workers told, the newest first: narrow it to one of them.",
        "rows", f"{NODE}: *", "events",
        columns=("@timestamp", NODE, "event.dataset", "log.level", STATUS, DURATION, "http.request.id", "message"),
    ),
    View(
        "slow", "Slow requests", "The requests that took longest.",
        "rows", SERVED, "requests", columns=TOLD_OF_REQUEST, greatest=DURATION,
    ),
    View(
        "story", "One request's story", "Everything that was recorded of one request, by its request id or trace id.",
        "rows", 'http.request.id: "{0}" or trace.id: "{0}"', "events",
        columns=("@timestamp", NODE, "log.level", "log.logger", "event.action", STATUS, DURATION, "error.type", "message"),
        needs_id=True,
    ),
)  # fmt: skip
BY_NAME = {view.name: view for view in VIEWS}


def question(view: View, within: Query, id: str = "") -> Query:  # noqa: A002 - the word people know
    """Return what a view asks within the condition and the times of another question. `id`: where the view needs one."""
    text = view.where
    if view.needs_id:
        text = text.format(id.replace("\\", "\\\\").replace('"', '\\"'))
    return Query(kql.every(kql.parse(text), within.where), within.since_ns, within.until_ns)


def answer(
    source: Source,
    view: View,
    within: Query,
    every_ns: int,
    limit: int = 100,
    id: str = "",  # noqa: A002
) -> Answer:
    """Return what `source` answers: `Rows`, buckets, shares or stats, by the view's shape.

    `every_ns`: the width of buckets, for views over time; `limit`: of rows and values."""
    query = question(view, within, id)
    times = every_ns if view.over_time else None
    match view.shape:
        case "rows":
            newest_first = not view.needs_id
            # Whose it is can be shown where there are several services.
            columns = (*view.columns, "service.name") if view.columns else ()
            return source.search(query, Page(limit, newest_first, None, columns, view.greatest))
        case "counts":
            return source.tally(query, view.split, times, view.and_split)
        case "values":
            return source.top(query, view.split or "", limit)
        case "numbers":
            return source.stats(query, view.number, view.split, times)
