"""The questions that can be asked over HTTP: name, parameters, and the function that asks the source."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import orjson

from logship.errors import KqlError, QuestionError
from logship.forensics import inflight, overview, standout, story, verify, workers
from logship.page.asked import LIMIT_ROWS, QUERY_NAMES, Asked
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


class Nothing(Exception):
    """What was asked for by its id is not there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question: `names` are its parameters, all others are refused; `path` when its name does not say it."""

    ask: Callable[[Source, Asked], object]
    names: tuple[str, ...]
    path: str = ""


def search(source: Source, asked: Asked) -> object:
    return source.search(asked.query(), asked.page())


def arrivals(source: Source, asked: Asked) -> object:
    return source.tail(asked.query(), asked.maybe("after"), asked.whole("limit", 1000, LIMIT_ROWS))


def count(source: Source, asked: Asked) -> object:
    return {"count": source.count(asked.query())}


def tally(source: Source, asked: Asked) -> object:
    buckets = source.tally(asked.query(), asked.maybe("by"), _every_ns(asked), asked.maybe("and_by"))
    return {"buckets": _few(buckets)}


def _every_ns(asked: Asked) -> int | None:
    return asked.whole("every_ns", 0, 10**18, least=LEAST_EVERY_NS) if asked.maybe("every_ns") else None


def _few(buckets: list[T]) -> list[T]:
    if len(buckets) > LIMIT_BUCKETS:
        raise QuestionError(f"that makes {len(buckets)} rows, the limit is {LIMIT_BUCKETS}; make every_ns larger")
    return buckets


def top(source: Source, asked: Asked) -> object:
    return {"values": source.top(asked.query(), asked.text("field"), asked.whole("limit", 10, LIMIT_ROWS))}


def stats(source: Source, asked: Asked) -> object:
    return {"stats": _few(source.stats(asked.query(), asked.text("field"), asked.maybe("by"), _every_ns(asked)))}


def events(source: Source, asked: Asked) -> object:
    records = source.get(asked.text("id"))
    if not records:
        raise Nothing(f"no event, request or trace has the id {asked.text('id')!r}")
    return {"records": records}


def context(source: Source, asked: Asked) -> object:
    before, after = (asked.whole(f"{side}_events", 10, LIMIT_CONTEXT, least=0) for side in ("before", "after"))
    everybody = asked.one_of("workers", ("same", "all")) == "all"
    found = source.get(asked.text("id"))
    # A request or a trace stands for its last event.
    event = str(found[-1].get("event.id", "")) if found else ""
    records = source.context(event, before, after, everybody) if event else []
    if not records:
        raise Nothing(f"no event, request or trace has the id {asked.text('id')!r}")
    return {"records": records}


def incarnations(source: Source, asked: Asked) -> object:
    return {"incarnations": source.incarnations(asked.query())}


def fields(source: Source, asked: Asked) -> object:
    return {"fields": source.fields()}


def oldest(source: Source, asked: Asked) -> object:
    return {"oldest_ns": source.oldest_ns()}


def set_aside(source: Source, asked: Asked) -> object:
    return {"files": source.set_aside() if isinstance(source, Damageable) else []}


def views_(source: Source, asked: Asked) -> object:
    return {"views": [asdict(view) for view in VIEWS]}


def _window(asked: Asked) -> Query:
    """The query with both of its times: without any, the last quarter of an hour."""
    query = asked.query()
    until_ns = query.until_ns if query.until_ns is not None else asked.now_ns
    since_ns = query.since_ns if query.since_ns is not None else until_ns - WORKERS_SPAN_NS
    return replace(query, since_ns=since_ns, until_ns=until_ns)


def findings(source: Source, asked: Asked) -> object:
    return standout.standout(source, _window(asked), asked.now_ns)


def overview_(source: Source, asked: Asked) -> object:
    traffic_every_ns, latency_every_ns = (
        asked.whole(name, 0, 10**18, least=LEAST_EVERY_NS) for name in ("every_ns", "latency_every_ns")
    )
    seen = overview.overview(source, _window(asked), asked.now_ns, traffic_every_ns, latency_every_ns)
    _few(seen.traffic)
    _few(seen.latency)
    return seen


def story_(source: Source, asked: Asked) -> object:
    found = story.story(source, asked.text("id"), asked.living())
    if not (found.records or found.unfinished or found.crash):
        raise Nothing(f"no event, request or trace has the id {asked.text('id')!r}")
    return found


def workers_(source: Source, asked: Asked) -> object:
    query = _window(asked)
    rows = workers.workers(source, query.since_ns or 0, query.until_ns or asked.now_ns, query.where)
    return {"workers": rows, "covered_ns": workers.covered_ns(rows)}


def verify_(source: Source, asked: Asked) -> object:
    verdicts = verify.verify(source, asked.query(), asked.now_ns)
    aside = verify.set_aside(source, asked.query())
    return {"finding": verify.overall(verdicts, aside), "verdicts": verdicts, "set_aside": aside}


def inflight_(source: Source, asked: Asked) -> object:
    report = inflight.report(source, asked.query(), asked.living(), asked.now_ns, asked.text("worker", ""))
    return {"requests": report.requests, "not_visible": report.not_visible, "sentence": report.sentence}


def kql(source: Source, asked: Asked) -> object:
    where = asked.query().where
    labels = {one.name for one in source.fields()} if where is not None else set()
    return {"kql": text_of(for_kibana(where, labels, asked.now_ns))}


ANSWERS = {
    "search": Answer(search, QUERY_NAMES + PAGE_NAMES),
    "arrivals": Answer(arrivals, (*QUERY_NAMES, "after", "limit")),
    "count": Answer(count, QUERY_NAMES),
    "tally": Answer(tally, (*QUERY_NAMES, "by", "and_by", "every_ns")),
    "top": Answer(top, (*QUERY_NAMES, "field", "limit")),
    "stats": Answer(stats, (*QUERY_NAMES, "field", "by", "every_ns")),
    "events": Answer(events, ("id",), "/api/events/{id}"),
    "context": Answer(context, ("id", "before_events", "after_events", "workers")),
    "incarnations": Answer(incarnations, QUERY_NAMES),
    "workers": Answer(workers_, QUERY_NAMES),
    "verify": Answer(verify_, QUERY_NAMES),
    "inflight": Answer(inflight_, (*QUERY_NAMES, "worker")),
    "findings": Answer(findings, QUERY_NAMES),
    "overview": Answer(overview_, (*QUERY_NAMES, "every_ns", "latency_every_ns")),
    "story": Answer(story_, ("id",), "/api/story/{id}"),
    "kql": Answer(kql, ("q",)),
    "fields": Answer(fields, ()),
    "oldest": Answer(oldest, ()),
    "set_aside": Answer(set_aside, ()),
    "views": Answer(views_, ()),
}


def answered(one: Answer, source: Source, asked: Asked) -> object:
    """What `one` answers, with `hints` where the query names what no event has."""
    told = one.ask(source, asked)
    found = hints(source, asked.query().where) if "q" in one.names and one.ask is not kql else []
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
