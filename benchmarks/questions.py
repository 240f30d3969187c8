"""Fourteen typical queries, each with a description, for any `Source`.

Each function returns the number of rows, so that the results of different stores can be compared."""

from collections.abc import Callable
from dataclasses import dataclass

from events import BEGIN_NS

from logship.search.kql import parse
from logship.search.query import Page, Query, Source

SECOND = 10**9
NODE, STATUS, DURATION = "service.node.name", "http.response.status_code", "event.duration"


@dataclass(frozen=True, slots=True)
class Question:
    sentence: str
    ask: Callable[[Source, "About"], int]


@dataclass(frozen=True, slots=True)
class About:
    """Values of this store that queries use: the id of one request, and the time of the last event."""

    request_id: str
    newest_ns: int


def about(source: Source) -> About:
    newest = source.search(Query(parse(f"{DURATION}: *")), Page(1)).records[0]
    from logship.search.times import from_rfc3339

    newest_ns = from_rfc3339(newest["@timestamp"])
    middle = BEGIN_NS + (newest_ns - BEGIN_NS) // 2
    one = source.search(Query(parse("http.request.id: *"), until_ns=middle), Page(1)).records[0]
    return About(one["http.request.id"], newest_ns)


def rows(source: Source, text: str, limit: int, since_ns: int | None = None, until_ns: int | None = None) -> int:
    return len(source.search(Query(parse(text), since_ns, until_ns), Page(limit)).records)


def incident(source: Source, known: About) -> int:
    begin = BEGIN_NS + int((known.newest_ns - BEGIN_NS) * 0.6)
    return rows(source, f"{STATUS} >= 500 and logship.worker.slot: 3", 500, begin, begin + 300 * SECOND)


def slowest(source: Source, known: About) -> int:
    return len(source.search(Query(), Page(100, greatest=DURATION)).records)


def last_quarter(source: Source, known: About) -> int:
    return len(source.tally(Query(None, known.newest_ns - 900 * SECOND), STATUS, 10 * SECOND))


QUESTIONS = {
    "01": Question("one request among all, by its id", lambda s, k: len(s.get(k.request_id).records)),
    "02": Question(
        "newest 100 with TimeoutError in message or stack",
        lambda s, k: rows(s, "message: TimeoutError or error.stack_trace: TimeoutError", 100),
    ),
    "03": Question("p50, p95, p99 per worker and minute", lambda s, k: len(s.stats(Query(), DURATION, NODE, 60 * SECOND))),
    "04": Question("routes by p99", lambda s, k: len(s.stats(Query(), DURATION, "http.route"))),
    "05": Question("5xx of worker 3 in five minutes, newest 500", incident),
    "06": Question("newest 50 with url.path: /api/v1/orders/1*7", lambda s, k: rows(s, "url.path: /api/v1/orders/1*7", 50)),
    "07": Question("count by status and minute", lambda s, k: len(s.tally(Query(), STATUS, 60 * SECOND))),
    "08": Question("all client addresses with counts", lambda s, k: len(s.top(Query(), "client.ip", 10**6))),
    "09": Question(
        "newest 100 failures of a tenant", lambda s, k: rows(s, f"{STATUS} >= 400 and labels.tenant: tenant-003", 100)
    ),
    "10": Question("count and busy time per worker", lambda s, k: len(s.stats(Query(), DURATION, NODE))),
    "11": Question("100 slowest requests", slowest),
    "12": Question("newest 50 with a rare label", lambda s, k: rows(s, "labels.flag_7: *", 50)),
    "13": Question("last 15 minutes by 10 s and status", last_quarter),
    "14": Question("a part of a word in all messages, newest 100", lambda s, k: rows(s, "message: *4567*", 100)),
}  # fmt: skip
