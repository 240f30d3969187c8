"""Requests without an end: those that run, and those that died with their worker."""

import pytest

from logship.forensics.inflight import inflight, report
from logship.search.kql import parse
from logship.search.query import Query
from logship.state.inflight import Running
from logship.state.living import Living
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, beat, requests
from tests.store.events import LIFE, OTHER

CELL = {
    "started_ns": START_NS, "request_id": "req-9", "method": "GET", "path": "/slow page", "service": "shop",
    "node": "h/shop/w2", "slot": 2, "generation": 4, "pid": 77, "incarnation": "c" * 24,
}  # fmt: skip


@pytest.fixture
def deaths(store: Store) -> None:
    store.append(
        [
            *requests([1, 2]),
            beat(
                3,
                "worker-lost",
                logship__in_flight__ids=["req-1", "req-2"],
                logship__in_flight__requests=["GET /a b 1500ms", "POST /c 20ms"],
                logship__in_flight__count=5,
            ),
            beat(1, "worker-ended", life=OTHER, slot=1, logship__in_flight__count=0),
        ]
    )


def test_a_dead_worker_names_what_it_was_doing(deaths: None, source: Reader) -> None:
    first, second, rest = inflight(source, Query())
    assert (first.state, first.id, first.what, first.age_ns) == ("lost", "req-1", "GET /a b", 1500 * 10**6)
    assert first.began_ns == START_NS + 3 * SECOND - first.age_ns
    assert (first.node, first.slot, first.pid, first.incarnation) == ("h/shop/w0", 0, 100, LIFE)
    assert (second.id, second.what) == ("req-2", "POST /c")
    assert (rest.id, rest.what) == ("", "and 3 more")


def test_what_runs_comes_first_oldest_first(deaths: None, source: Reader) -> None:
    younger = CELL | {"started_ns": START_NS + SECOND, "request_id": "req-10"}
    rows = inflight(source, Query(), [younger, CELL], START_NS + 3 * SECOND)
    assert [row.id for row in rows] == ["req-9", "req-10", "req-1", "req-2", ""]
    assert (rows[0].state, rows[0].what, rows[0].age_ns, rows[0].slot) == ("running", "GET /slow page", 3 * SECOND, 2)


@pytest.mark.parametrize(
    ("worker", "ids"), [("2", ["req-9"]), ("w0", ["req-1", "req-2", ""]), ("77", ["req-9"]), ("w9", [])]
)
def test_one_worker_may_be_asked_for(worker: str, ids: list[str], deaths: None, source: Reader) -> None:
    rows = inflight(source, Query(), [CELL], START_NS, worker)
    assert [row.id for row in rows] == ids


def test_a_cell_that_knows_little_is_shown_all_the_same(store: Store, source: Reader) -> None:
    (row,) = inflight(source, Query(), [{"started_ns": START_NS}], START_NS - 1)
    assert (row.id, row.what, row.age_ns, row.slot) == ("", "", 0, None)


def test_the_question_limits_the_deaths(deaths: None, source: Reader) -> None:
    assert inflight(source, Query(None, None, START_NS)) == []
    assert inflight(source, Query(parse("logship.worker.slot: 1"))) == []
    assert len(inflight(source, Query(parse("logship.worker.slot: 0")))) == 3


HERE = Living(LIFE, "shop", "h/shop/w0", 0, 1, 100, (Running(START_NS, "", "req-9", "GET", "/slow"),))


@pytest.fixture
def alive(store: Store) -> None:
    other = beat(2, "worker-heartbeat", life=OTHER, slot=1, logship__requests__in_flight=3)
    store.append([*requests([1]), beat(2, "worker-heartbeat"), other])


def test_nothing_is_said_only_when_all_living_workers_could_be_seen(alive: None, source: Reader) -> None:
    now_ns = START_NS + 9 * SECOND
    told = report(source, Query(), [], now_ns)
    assert [(one.node, one.state, one.in_flight) for one in told.not_visible] == [
        ("h/shop/w0", "alive", None),
        ("h/shop/w1", "alive", 3),
    ]
    assert told.sentence.startswith("no running or interrupted request is known; running requests of 2 workers are not visible")
    assert "h/shop/w1: 3 in flight at its last heartbeat, seen 7 s ago" in told.sentence
    other = Living(OTHER, "shop", "h/shop/w1", 1, 1, 100)
    told = report(source, Query(), [HERE, other], now_ns)
    assert ([one.id for one in told.requests], told.not_visible, told.sentence) == (["req-9"], [], "")
    told = report(source, Query(), [other], now_ns, "1")
    assert told.sentence == "no request of worker 1 is running, and none was interrupted by a crash"
    later = report(source, Query(None, now_ns + 60 * SECOND), [], now_ns + 3600 * SECOND)
    assert later.sentence == "no request is running, and none was interrupted by a crash"


def test_the_query_narrows_what_runs_and_who_is_not_visible(alive: None, source: Reader) -> None:
    now_ns = START_NS + 9 * SECOND

    def asked(text: str) -> tuple[list[str], list[str]]:
        told = report(source, Query(parse(text)), [HERE], now_ns)
        return [one.id for one in told.requests], [one.node for one in told.not_visible]

    assert asked("worker: w0") == (["req-9"], [])
    assert asked("worker: w1") == ([], ["h/shop/w1"])
    assert asked("service: other") == ([], [])
    assert asked("path: /slow and duration > 8s") == (["req-9"], ["h/shop/w1"])
    assert asked("path: /quick") == ([], ["h/shop/w1"])


def test_a_worker_that_is_silent_for_long_and_had_requests_may_still_run_them(store: Store, source: Reader) -> None:
    store.append([beat(1, at_ns=START_NS, logship__requests__in_flight=7, service__node__name="h/shop/w1")])
    told = report(source, Query(), [], START_NS + 3600 * SECOND)
    assert told.sentence.startswith("no running or interrupted request is known; ")
    assert "h/shop/w1: 7 in flight at its last heartbeat, seen 3599 s ago" in told.sentence
    later = Query(None, START_NS + 1800 * SECOND)
    assert report(source, later, [], START_NS + 3600 * SECOND).sentence.startswith("no request is running")
