"""The queries of the API as a table: name, parameters, and the function that queries the source."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

from logship.errors import QuestionError
from logship.forensics import delivery, inflight, marks, overview, standout, story, verify, workers
from logship.forensics.capacity.plan import capacity
from logship.forensics.capacity.wanted import DEFAULT_LATENCY, DEFAULT_TARGET, wanted_of
from logship.forensics.compare.baseline import baseline
from logship.forensics.compare.compare import compare
from logship.forensics.error_groups import report as error_groups
from logship.forensics.patterns import report as patterns
from logship.forensics.reproduce.curl import described
from logship.forensics.reproduce.request import reproduction
from logship.forensics.reproduce.requests import requests_of
from logship.page.api.params import LIMIT_ROWS, QUERY_NAMES, RequestParams
from logship.search.hints import hints
from logship.search.integrity import Anchor, Chained, Integrity, integrity, parse_anchors
from logship.search.kibana import for_kibana
from logship.search.kql import text_of
from logship.search.query import Damageable, Hourly, Query, Source
from logship.search.shorthand import ALIASES
from logship.search.views import VIEWS

# A year in minutes is half a million buckets; no chart shows more than this.
LIMIT_BUCKETS = 50_000
# An incident counts an hour in buckets of 10 s by route, worker and status.
LIMIT_GROUPS = 300_000
LEAST_EVERY_NS = 10**6
# Growth and weekdays need weeks.
CAPACITY_SPAN_NS = 30 * 86_400 * 10**9
LIMIT_CONTEXT = 1_000
PAGE_NAMES = ("limit", "order", "after", "columns", "greatest")

T = TypeVar("T")


class NotFound(Exception):
    """Nothing has the id that the client gave."""

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(f"not found: no event, request or trace has the id {id!r}")


@dataclass(frozen=True, slots=True)
class ApiQuery:
    """`run` returns the result. `names`: its parameters; others are errors. `path`: if it is not /api/NAME."""

    run: Callable[[Source, RequestParams], object]
    names: tuple[str, ...]
    path: str = ""


def search(source: Source, params: RequestParams) -> object:
    return source.search(params.query(), params.page())


def arrivals(source: Source, params: RequestParams) -> object:
    return source.tail(params.query(), params.maybe("after"), params.whole("limit", 1000, LIMIT_ROWS))


def count(source: Source, params: RequestParams) -> object:
    return {"count": source.count(params.query())}


def tally(source: Source, params: RequestParams) -> object:
    buckets = source.tally(params.query(), params.maybe("by"), _every_ns(params), params.maybe("and_by"))
    return {"buckets": _limited(buckets)}


def groups(source: Source, params: RequestParams) -> object:
    by = [name for name in params.text("by", "").split(",") if name]
    found = source.groups(params.query(), by, _every_ns(params))
    _check_length(sum(len(group.counts) for group in found), LIMIT_GROUPS)
    return {"groups": found}


def _every_ns(params: RequestParams) -> int | None:
    return params.whole("every_ns", 0, 10**18, least=LEAST_EVERY_NS) if params.maybe("every_ns") else None


def _limited(buckets: list[T], limit: int = LIMIT_BUCKETS) -> list[T]:
    _check_length(len(buckets), limit)
    return buckets


def _check_length(length: int, limit: int) -> None:
    if length > limit:
        raise QuestionError(f"the result has {length} rows, the limit is {limit}: use a larger every_ns")


def top(source: Source, params: RequestParams) -> object:
    return {"values": source.top(params.query(), params.text("field"), params.whole("limit", 10, LIMIT_ROWS))}


def stats(source: Source, params: RequestParams) -> object:
    return {"stats": _limited(source.stats(params.query(), params.text("field"), params.maybe("by"), _every_ns(params)))}


def events(source: Source, params: RequestParams) -> object:
    excerpt = source.get(params.text("id"))
    if not excerpt.records:
        raise NotFound(params.text("id"))
    return excerpt


def context(source: Source, params: RequestParams) -> object:
    before, after = (params.whole(f"{side}_events", 10, LIMIT_CONTEXT, least=0) for side in ("before", "after"))
    all_workers = params.one_of("workers", ("same", "all")) == "all"
    matches = source.get(params.text("id")).records
    # For the id of a request or a trace: the context of its last event.
    event = str(matches[-1].get("event.id", "")) if matches else ""
    excerpt = source.context(event, before, after, all_workers) if event else None
    if excerpt is None or not excerpt.records:
        raise NotFound(params.text("id"))
    return excerpt


def incarnations(source: Source, params: RequestParams) -> object:
    return {"incarnations": source.incarnations(params.query())}


def fields(source: Source, params: RequestParams) -> object:
    query = params.query()
    return {"fields": source.fields(query if query != Query() else None), "short_names": ALIASES}


def oldest(source: Source, params: RequestParams) -> object:
    return {"oldest_ns": source.oldest_ns()}


def set_aside(source: Source, params: RequestParams) -> object:
    return {"files": source.set_aside() if isinstance(source, Damageable) else []}


def hours_(source: Source, params: RequestParams) -> object:
    window = params.window(CAPACITY_SPAN_NS)
    return {"hours": source.hours(window.since_ns or 0, window.until_ns or params.now_ns) if isinstance(source, Hourly) else []}


def views_(source: Source, params: RequestParams) -> object:
    return {"views": [asdict(view) for view in VIEWS]}


def window_and_baseline(params: RequestParams) -> tuple[Query, Query]:
    """Return the time range of the client and what it is compared with."""
    window = params.window()
    return window, baseline(window, params.text("baseline", "preceding"), params.now_ns, params.zone)


def findings(source: Source, params: RequestParams) -> object:
    return standout.standout(source, params.window(), params.now_ns)


def compare_(source: Source, params: RequestParams) -> object:
    return compare(source, *window_and_baseline(params))


def patterns_(source: Source, params: RequestParams) -> object:
    return patterns.report(source, *window_and_baseline(params))


def errors(source: Source, params: RequestParams) -> object:
    return error_groups.report(source, params.window())


def marks_(source: Source, params: RequestParams) -> object:
    return {"marks": marks.marks(source, params.window())}


def capacity_(source: Source, params: RequestParams) -> object:
    wanted = wanted_of(params.text("latency", DEFAULT_LATENCY), params.text("target", DEFAULT_TARGET))
    return {"services": capacity(source, params.window(CAPACITY_SPAN_NS), params.now_ns, params.zone, wanted)}


def overview_(source: Source, params: RequestParams) -> object:
    traffic_every_ns, latency_every_ns = (
        params.whole(name, 0, 10**18, least=LEAST_EVERY_NS) for name in ("every_ns", "latency_every_ns")
    )
    result = overview.overview(source, params.window(), params.now_ns, traffic_every_ns, latency_every_ns)
    _limited(result.traffic)
    _limited(result.latency)
    return result


def story_(source: Source, params: RequestParams) -> object:
    result = story.story(source, params.text("id"), params.live_workers())
    if not (result.records or result.unfinished or result.crash):
        raise NotFound(params.text("id"))
    return result


def curl_(source: Source, params: RequestParams) -> object:
    records = requests_of(source, params.text("id"), params.live_workers())
    if not records:
        raise NotFound(params.text("id"))
    return {"requests": [described(reproduction(record)) for record in records]}


def workers_(source: Source, params: RequestParams) -> object:
    query = params.window()
    rows = workers.workers(source, query.since_ns or 0, query.until_ns or params.now_ns, query.where)
    return {"workers": rows, "covered_ns": workers.covered_ns(rows)}


def verify_(source: Source, params: RequestParams) -> object:
    verdicts = verify.verify(source, params.query(), params.now_ns)
    damaged = verify.set_aside(source, params.query())
    return {
        "finding": verify.overall(verdicts, damaged),
        "delivery": delivery.delivery(verdicts, damaged),
        "verdicts": verdicts,
        "set_aside": damaged,
        "integrity": integrity_(source, params),
    }


def integrity_(source: Source, params: RequestParams) -> Integrity:
    anchors = params.maybe("anchor")
    return integrity(source, params.query(), parse_anchors(anchors) if anchors else ())


def anchor_(source: Source, params: RequestParams) -> Anchor:
    if not isinstance(source, Chained):
        raise QuestionError("this source has no chain of digests, so there is no anchor of it")
    return source.anchor()


def inflight_(source: Source, params: RequestParams) -> object:
    report = inflight.report(source, params.query(), params.live_workers(), params.now_ns, params.text("worker", ""))
    return {"requests": report.requests, "not_visible": report.not_visible, "sentence": report.sentence}


def kql(source: Source, params: RequestParams) -> object:
    where = params.query().where
    labels = {field.name for field in source.fields()} if where is not None else set()
    return {"kql": text_of(for_kibana(where, labels, params.now_ns))}


QUERIES = {
    "search": ApiQuery(search, QUERY_NAMES + PAGE_NAMES),
    "arrivals": ApiQuery(arrivals, (*QUERY_NAMES, "after", "limit")),
    "count": ApiQuery(count, QUERY_NAMES),
    "tally": ApiQuery(tally, (*QUERY_NAMES, "by", "and_by", "every_ns")),
    "groups": ApiQuery(groups, (*QUERY_NAMES, "by", "every_ns")),
    "top": ApiQuery(top, (*QUERY_NAMES, "field", "limit")),
    "stats": ApiQuery(stats, (*QUERY_NAMES, "field", "by", "every_ns")),
    "events": ApiQuery(events, ("id",), "/api/events/{id}"),
    "context": ApiQuery(context, ("id", "before_events", "after_events", "workers")),
    "incarnations": ApiQuery(incarnations, QUERY_NAMES),
    "workers": ApiQuery(workers_, QUERY_NAMES),
    "verify": ApiQuery(verify_, (*QUERY_NAMES, "anchor")),
    "integrity": ApiQuery(integrity_, (*QUERY_NAMES, "anchor")),
    "anchor": ApiQuery(anchor_, ()),
    "inflight": ApiQuery(inflight_, (*QUERY_NAMES, "worker")),
    "findings": ApiQuery(findings, QUERY_NAMES),
    "compare": ApiQuery(compare_, (*QUERY_NAMES, "baseline")),
    "errors": ApiQuery(errors, QUERY_NAMES),
    "patterns": ApiQuery(patterns_, (*QUERY_NAMES, "baseline")),
    "marks": ApiQuery(marks_, QUERY_NAMES),
    "capacity": ApiQuery(capacity_, (*QUERY_NAMES, "latency", "target")),
    "overview": ApiQuery(overview_, (*QUERY_NAMES, "every_ns", "latency_every_ns")),
    "story": ApiQuery(story_, ("id",), "/api/story/{id}"),
    "curl": ApiQuery(curl_, ("id",), "/api/curl/{id}"),
    "kql": ApiQuery(kql, ("q",)),
    "fields": ApiQuery(fields, QUERY_NAMES),
    "oldest": ApiQuery(oldest, ()),
    "set_aside": ApiQuery(set_aside, ()),
    "hours": ApiQuery(hours_, ("since_ns", "until_ns", "last")),
    "views": ApiQuery(views_, ()),
}


def result_of(query: ApiQuery, source: Source, params: RequestParams) -> object:
    """Return the result of `query`, with `hints` if the KQL names fields or labels that no event has."""
    result = query.run(source, params)
    return with_hints(result, source, params) if "q" in query.names and query.run is not kql else result


def with_hints(result: object, source: Source, params: RequestParams) -> object:
    """Return `result` with a sentence for each name in the query that no event has; mostly as it is."""
    sentences = hints(source, params.query().where)
    if not sentences:
        return result
    return {**(result if isinstance(result, dict) else asdict(result)), "hints": sentences}  # type: ignore[call-overload]
