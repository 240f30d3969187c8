"""Stalls as findings, over a store with known ones."""

from logship.event.stall import Exhaustion, Place, Stall, exhausted, stalled
from logship.forensics.finding import Finding
from logship.forensics.stalls import stalls
from logship.search import kql
from logship.search.query import Query, Record
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, worker_event
from tests.store.events import Entry

MS = 10**6
QUERY = Query(None, START_NS, START_NS + 300 * SECOND)
LOOK_UP = Place("look_up", "shop.py", 57)
REQUEST = {"http.request.id": "an-id", "http.request.method": "GET", "http.route": "/orders/{id}"}


def name_of(record: Record) -> str:
    return f"w{record['logship.worker.slot']}"


def event(number: int, fields: dict[str, object], slot: int = 0, life: str = "a" * 24) -> Entry:
    at_ns, own = worker_event(number, str(fields["event.action"]), life=life, slot=slot)
    return at_ns, own | fields


def stall(
    number: int,
    duration_ms: float,
    place: Place | None = LOOK_UP,
    reason: str = "blocking_call",
    ended: bool = True,
    slot: int = 0,
) -> Entry:
    its = Stall(START_NS + number, int(duration_ms * MS), reason, 3, place, REQUEST if place else {}, ended)
    return event(number, stalled(its), slot, f"{slot}" * 24)


def found(store: Store, source: Reader, *entries: Entry) -> list[Finding]:
    store.append(list(entries))
    return stalls(source, QUERY, name_of)


def test_repeated_stalls_of_a_line_are_one_finding(store: Store, source: Reader) -> None:
    (finding,) = found(store, source, *(stall(number, 100 * number) for number in (1, 2, 3)))
    assert finding.sentence == (
        "The event loop of w0 was blocked 3 times, for 600 ms in total and up to 300 ms, by a call that waited in "
        "look_up (shop.py:57), in /orders/{id}."
    )
    assert (finding.kind, finding.severity, finding.worker, finding.service) == (
        "loop-stalled",
        "warning",
        "h/shop/w0",
        "shop",
    )
    assert finding.evidence == {"stalls": 3, "total_ns": 600 * MS, "max_ns": 300 * MS}
    assert finding.fields["log.origin.file.line"] == "57"
    assert source.count(Query(kql.parse(finding.kql), QUERY.since_ns, QUERY.until_ns)) == 3


def test_one_short_stall_is_not_a_finding_and_one_long_stall_is(store: Store, source: Reader) -> None:
    assert found(store, source, stall(1, 200)) == []
    (finding,) = found(store, source, stall(2, 700, Place("export", "shop.py", 9), "computing", slot=1))
    assert (
        finding.sentence
        == "The event loop of w1 was blocked for 700 ms, by computing in export (shop.py:9), in /orders/{id}."
    )


def test_lines_are_kept_apart_and_those_beyond_three_are_counted(store: Store, source: Reader) -> None:
    lines = [stall(line, 1000 - line, Place("work", "shop.py", line), slot=line % 2) for line in range(1, 6)]
    findings = found(store, source, *lines, stall(9, 900, Place("work", "shop.py", 1), slot=0))
    assert [finding.sentence.partition("(")[2].partition(")")[0] for finding in findings[:3]] == [
        f"shop.py:{line}" for line in (1, 2, 3)
    ]
    assert (
        "The event loop of w0, w1 was" in findings[0].sentence or "The event loop of w1, w0 was" in findings[0].sentence
    )
    assert findings[3].sentence == "2 more lines caused 2 stalls, 1.99 s in total."


def test_a_stall_without_a_line_says_so(store: Store, source: Reader) -> None:
    (finding,) = found(store, source, stall(1, 800, None, "interpreter_held"))
    assert finding.sentence == (
        "The event loop of w0 was blocked for 800 ms, by a call that held the interpreter lock; the line is not known."
    )
    assert source.count(Query(kql.parse(finding.kql), QUERY.since_ns, QUERY.until_ns)) == 1


def test_a_stopped_process_is_a_pause_and_not_a_stall(store: Store, source: Reader) -> None:
    (finding,) = found(store, source, stall(1, 5000, None, "not_scheduled"))
    assert (finding.kind, finding.sentence) == (
        "worker-paused", "w0 did not run for up to 5 s: suspended, or the machine was overloaded.",
    )  # fmt: skip


def test_a_stall_without_an_end_is_critical(store: Store, source: Reader) -> None:
    ended = [stall(1, 1000, ended=False), stall(1, 2000, ended=True)]
    ended[1][1]["event.id"] = "other"
    assert [finding.severity for finding in found(store, source, *ended)] == ["warning"]
    critical = found(store, source, stall(7, 1000, ended=False, slot=1))[-1]
    assert critical.severity == "critical"
    assert critical.sentence == (
        "The end of a stall was not recorded: the event loop was blocked in w1, in look_up (shop.py:57)."
    )


def test_an_exhausted_pool_is_a_finding(store: Store, source: Reader) -> None:
    pool = Exhaustion(START_NS, 4_100 * MS, 40, 12, 52, Place("query", "db.py", 9), True)
    (finding,) = found(store, source, event(1, exhausted(pool)))
    assert finding.kind == "thread-pool-exhausted"
    assert finding.sentence == (
        "The thread pool of w0 was exhausted for up to 4.10 s; up to 12 calls waited for one of 40 threads, most of them in "
        "query (db.py:9)."
    )


def test_without_stalls_there_is_no_finding(store: Store, source: Reader) -> None:
    assert found(store, source, worker_event(1, "worker-started")) == []
