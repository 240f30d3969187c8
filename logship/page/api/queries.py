"""The questions that can be params over HTTP: name, parameters, and the function that asks the source."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import orjson

from logship.errors import KqlError, QuestionError
from logship.forensics import delivery, inflight, overview, standout, story, verify, workers
from logship.page.api.params import LIMIT_ROWS, QUERY_NAMES, RequestParams
from logship.search.hints import hints
from logship.search.kibana import for_kibana
from logship.search.kql import text_of
from logship.search.query import Damageable, Query, Source
from logship.search.views import VIEWS

# A year by minutes is half a million: a chart of more buckets than this shows nothing more.
LIMIT_BUCKETS = 50_000
LEAST_EVERY_NS = 10**6
# Without a window the table of workers is that of the last quarter of an hour.
WORKERS_SPAN_NS = 15 * 60 * 10**9
LIMIT_CONTEXT = 1_000
PAGE_NAMES = ("limit", "order", "after", "columns", "greatest")


T = TypeVar("T")


class NotFound(Exception):
    """What was params for by its id is not there."""


@dataclass(frozen=True, slots=True)
class ApiQuery:
    """One question: `names` are its parameters, all others are refused; `path` when its name does not say it."""

    ask: Callable[[Source, RequestParams], object]
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
    return {"buckets": _few(buckets)}


def _every_ns(params: RequestParams) -> int | None:
    return params.whole("every_ns", 0, 10**18, least=LEAST_EVERY_NS) if params.maybe("every_ns") else None


def _few(buckets: list[T]) -> list[T]:
    if len(buckets) > LIMIT_BUCKETS:
        raise QuestionError(f"that makes {len(buckets)} rows, the limit is {LIMIT_BUCKETS}; make every_ns larger")
    return buckets


def top(source: Source, params: RequestParams) -> object:
    return {"values": source.top(params.query(), params.text("field"), params.whole("limit", 10, LIMIT_ROWS))}


def stats(source: Source, params: RequestParams) -> object:
    return {"stats": _few(source.stats(params.query(), params.text("field"), params.maybe("by"), _every_ns(params)))}


def events(source: Source, params: RequestParams) -> object:
    excerpt = source.get(params.text("id"))
    if not excerpt.records:
        raise NotFound(f"no event, request or trace has the id {params.text('id')!r}")
    return excerpt


def context(source: Source, params: RequestParams) -> object:
    before, after = (params.whole(f"{side}_events", 10, LIMIT_CONTEXT, least=0) for side in ("before", "after"))
    everybody = params.one_of("workers", ("same", "all")) == "all"
    found = source.get(params.text("id")).records
    # A request or a trace stands for its last event.
    event = str(found[-1].get("event.id", "")) if found else ""
    excerpt = source.context(event, before, after, everybody) if event else None
    if excerpt is None or not excerpt.records:
        raise NotFound(f"no event, request or trace has the id {params.text('id')!r}")
    return excerpt


def incarnations(source: Source, params: RequestParams) -> object:
    return {"incarnations": source.incarnations(params.query())}


def fields(source: Source, params: RequestParams) -> object:
    return {"fields": source.fields()}


def oldest(source: Source, params: RequestParams) -> object:
    return {"oldest_ns": source.oldest_ns()}


def set_aside(source: Source, params: RequestParams) -> object:
    return {"files": source.set_aside() if isinstance(source, Damageable) else []}


def views_(source: Source, params: RequestParams) -> object:
    return {"views": [asdict(view) for view in VIEWS]}


def _window(params: RequestParams) -> Query:
    """The query with both of its times: without any, the last quarter of an hour."""
    query = params.query()
    until_ns = query.until_ns if query.until_ns is not None else params.now_ns
    since_ns = query.since_ns if query.since_ns is not None else until_ns - WORKERS_SPAN_NS
    return replace(query, since_ns=since_ns, until_ns=until_ns)


def findings(source: Source, params: RequestParams) -> object:
    return standout.standout(source, _window(params), params.now_ns)


def overview_(source: Source, params: RequestParams) -> object:
    traffic_every_ns, latency_every_ns = (
        params.whole(name, 0, 10**18, least=LEAST_EVERY_NS) for name in ("every_ns", "latency_every_ns")
    )
    seen = overview.overview(source, _window(params), params.now_ns, traffic_every_ns, latency_every_ns)
    _few(seen.traffic)
    _few(seen.latency)
    return seen


def story_(source: Source, params: RequestParams) -> object:
    found = story.story(source, params.text("id"), params.live_workers())
    if not (found.records or found.unfinished or found.crash):
        raise NotFound(f"no event, request or trace has the id {params.text('id')!r}")
    return found


def workers_(source: Source, params: RequestParams) -> object:
    query = _window(params)
    rows = workers.workers(source, query.since_ns or 0, query.until_ns or params.now_ns, query.where)
    return {"workers": rows, "covered_ns": workers.covered_ns(rows)}


def verify_(source: Source, params: RequestParams) -> object:
    verdicts = verify.verify(source, params.query(), params.now_ns)
    aside = verify.set_aside(source, params.query())
    result = delivery.delivery(verdicts, aside)
    return {"finding": verify.overall(verdicts, aside), "delivery": result, "verdicts": verdicts, "set_aside": aside}


def inflight_(source: Source, params: RequestParams) -> object:
    report = inflight.report(source, params.query(), params.live_workers(), params.now_ns, params.text("worker", ""))
    return {"requests": report.requests, "not_visible": report.not_visible, "sentence": report.sentence}


def kql(source: Source, params: RequestParams) -> object:
    where = params.query().where
    labels = {one.name for one in source.fields()} if where is not None else set()
    return {"kql": text_of(for_kibana(where, labels, params.now_ns))}


QUERIES = {
    "search": ApiQuery(search, QUERY_NAMES + PAGE_NAMES),
    "arrivals": ApiQuery(arrivals, (*QUERY_NAMES, "after", "limit")),
    "count": ApiQuery(count, QUERY_NAMES),
    "tally": ApiQuery(tally, (*QUERY_NAMES, "by", "and_by", "every_ns")),
    "top": ApiQuery(top, (*QUERY_NAMES, "field", "limit")),
    "stats": ApiQuery(stats, (*QUERY_NAMES, "field", "by", "every_ns")),
    "events": ApiQuery(events, ("id",), "/api/events/{id}"),
    "context": ApiQuery(context, ("id", "before_events", "after_events", "workers")),
    "incarnations": ApiQuery(incarnations, QUERY_NAMES),
    "workers": ApiQuery(workers_, QUERY_NAMES),
    "verify": ApiQuery(verify_, QUERY_NAMES),
    "inflight": ApiQuery(inflight_, (*QUERY_NAMES, "worker")),
    "findings": ApiQuery(findings, QUERY_NAMES),
    "overview": ApiQuery(overview_, (*QUERY_NAMES, "every_ns", "latency_every_ns")),
    "story": ApiQuery(story_, ("id",), "/api/story/{id}"),
    "kql": ApiQuery(kql, ("q",)),
    "fields": ApiQuery(fields, ()),
    "oldest": ApiQuery(oldest, ()),
    "set_aside": ApiQuery(set_aside, ()),
    "views": ApiQuery(views_, ()),
}


def answered(one: ApiQuery, source: Source, params: RequestParams) -> object:
    """What `one` answers, with `hints` where the query names what no event has."""
    told = one.ask(source, params)
    found = hints(source, params.query().where) if "q" in one.names and one.ask is not kql else []
    if not found:
        return told
    return {**(told if isinstance(told, dict) else asdict(told)), "hints": found}  # type: ignore[call-overload]


def as_json(value: object) -> bytes:
    """JSON of records and of the dataclasses and named tuples that a source answers with."""
    return orjson.dumps(value, default=_named_tuple, option=orjson.OPT_NON_STR_KEYS)


def wrong(error: QuestionError) -> dict[str, object]:
    """What a client is told of a question that makes no sense; for KQL with the place."""
    told: dict[str, object] = {"error": str(error)}
    if isinstance(error, KqlError):
        told |= {"at": error.at, "expected": error.expected}
    return told


def _named_tuple(value: object) -> object:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    raise TypeError(type(value).__name__)
