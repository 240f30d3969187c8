"""Every view of the catalogue is sound, and a store answers it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.event.fields import BY_NAME as FIELD
from logship.search import views
from logship.search.dsl import dsl
from logship.search.kql import parse
from logship.search.names import unknown_names
from logship.search.query import Bucket, Query, Rows, Share, Stat
from logship.search.targets import KIND_OF
from logship.search.times import rfc3339
from logship.search.view_results import query_of, result_of
from logship.search.views import VIEWS, View
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.store.events import BEGIN_NS, LIFE, OTHER, event

MINUTE = 60 * 10**9
NUMBERS = {"count", "sum", "min", "max", "p50", "p95", "p99"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Two workers: twenty requests of which three fail, heartbeats, a death, lines of the application."""
    directory: Path = tmp_path_factory.mktemp("views")
    entries = []
    for number in range(1, 21):
        slot = number % 4 == 0
        more: dict[str, Any] = {"error__type": "KeyError", "event__outcome": "failure"} if number > 17 else {}
        entries.append(
            event(
                number, (LIFE, OTHER)[slot], at_ns=BEGIN_NS + number * 10**9, event__dataset="logship.request",
                event__action="http-request", event__duration=number * 10**6, http__route="/a" if number % 2 else "/b",
                http__response__status_code=500 if number > 17 else 200, service__node__name=f"h/shop/w{int(slot)}",
                http__request__id=f"req-{number}", log__level="error" if number > 17 else "info", **more,
            )
        )  # fmt: skip
    for number, action in ((21, "worker-heartbeat"), (22, "worker-lost")):
        counters: dict[str, Any] = {
            "logship__requests__in_flight": 2, "logship__loop_lag__max_ns": 9 * 10**6, "logship__in_flight__count": 1,
            "logship__dropped__journal_full": 4, "logship__journal__bytes": 5000,
            "event__dataset": "logship.worker", "service__node__name": "h/shop/w0",
        }  # fmt: skip
        entries.append(event(number, at_ns=BEGIN_NS + number * 10**9, event__action=action, **counters))
    entries.append(
        event(23, event__dataset="logship.app", log__level="info", log__logger="shop", http__request__id="req-5")
    )
    entries.append(event(24, event__dataset="logship.app", log__level="error", log__logger="shop"))
    with Store(directory) as store:
        store.append(entries)
        reader = Reader(directory, threads=1)
        yield reader
        reader.close()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_names_only_fields_there_are(view: View) -> None:
    for name in (view.split, view.and_split, view.number or None, view.greatest or None, *view.columns):
        assert name is None or name in FIELD
    assert view.number == "" or KIND_OF[view.number] in ("integer", "number")
    where = query_of(view, Query(), "an id").where
    assert list(unknown_names(where)) == []
    assert dsl(where, 0)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_says_for_people_what_it_shows(view: View) -> None:
    assert view.title
    assert view.sentence.endswith(".")
    assert len(view.sentence) < 120
    assert view.unit in ("requests", "events", "nanoseconds", "bytes")
    assert view.name == view.name.lower().replace(" ", "-")
    allowed = {"rows": {"events"}, "counts": {"events"}, "values": {"events", "share"}, "numbers": NUMBERS}
    assert set(view.metrics) <= allowed[view.shape]
    assert bool(view.columns) == (view.shape == "rows")
    assert bool(view.number) == (view.shape == "numbers")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_store_answers_every_view(view: View, source: Reader) -> None:
    found = result_of(source, view, Query(None, BEGIN_NS, BEGIN_NS + MINUTE), MINUTE, id="req-5")
    rows = found.records if isinstance(found, Rows) else found
    empty = view.name.startswith("dropped-") and view.name != "dropped-journal-full"
    assert bool(rows) != empty


def test_names_are_unlike() -> None:
    assert len({view.name for view in VIEWS}) == len({view.title for view in VIEWS}) == len(VIEWS)


def test_what_a_view_answers(source: Reader) -> None:
    def ask(name: str) -> Any:
        return result_of(source, views.BY_NAME[name], Query(), MINUTE, limit=3, id="req-5")

    assert ask("requests") == [Bucket(BEGIN_NS, "h/shop/w0", 15), Bucket(BEGIN_NS, "h/shop/w1", 5)]
    assert ask("shares") == [Share("h/shop/w0", 15, 0.75), Share("h/shop/w1", 5, 0.25)]
    assert ask("errors") == [
        Bucket(0, "h/shop/w0", 1, "/a"),
        Bucket(0, "h/shop/w0", 1, "/b"),
        Bucket(0, "h/shop/w1", 1, "/b"),
    ]
    first = ask("latency")[0]
    assert isinstance(first, Stat)
    assert (first.key, first.count, first.start_ns, first.max) == ("h/shop/w0", 15, BEGIN_NS, 19e6)
    assert [row["event.duration"] for row in ask("slow").records] == [20 * 10**6, 19 * 10**6, 18 * 10**6]
    assert set(ask("slow").records[0]) == {"@timestamp", "service.node.name", "http.response.status_code", "event.duration",
                                           "http.request.id", "message"}  # fmt: skip
    assert [row["@timestamp"] for row in ask("story").records] == [
        rfc3339(BEGIN_NS + 23 * 10**6), rfc3339(BEGIN_NS + 5 * 10**9),
    ]  # fmt: skip
    assert ask("dropped-journal-full")[0].max == 4.0
    assert {stat.key: (stat.count, stat.min, stat.max) for stat in ask("stored")} == {
        LIFE: (19, 1, 24),
        OTHER: (5, 4, 20),
    }
    assert [row["event.action"] for row in ask("deaths").records] == ["worker-lost"]
    assert [row["logship.dropped.journal_full"] for row in ask("drops").records] == [4, 4]


def test_a_view_may_be_narrowed(source: Reader) -> None:
    within = Query(parse("logship.worker.slot: 9 or http.route: /a"), BEGIN_NS + 18 * 10**9, None)
    assert result_of(source, views.BY_NAME["requests"], within, MINUTE) == [Bucket(BEGIN_NS, "h/shop/w0", 1)]


def test_a_hostile_id_stays_an_id(source: Reader) -> None:
    hostile = 'x" or *: * or a: "{}\\'
    found = result_of(source, views.BY_NAME["story"], Query(), MINUTE, id=hostile)
    assert isinstance(found, Rows)
    assert found.records == []
