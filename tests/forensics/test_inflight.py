"""Requests without an end: those that run, and those that died with their worker."""

import pytest

from logship.forensics.inflight import inflight
from logship.search.kql import parse
from logship.search.query import Query
from logship.store.reader import Reader
from logship.store.store import Store
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
