"""What is known of one request: recorded, interrupted by a crash, or unknown."""

import pytest

from logship.forensics.story import begin_ns, length_ns, story
from logship.store.read import budget
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, beat, requests, worker_event

REQUEST = {"http__request__id": "r1", "trace__id": "t1", "http__request__method": "GET"}


def test_a_request_has_its_record_and_what_was_logged_during_it(store: Store, source: Reader) -> None:
    line = worker_event(2, "line", event__dataset="logship.app", at_s=2, **REQUEST)  # type: ignore[arg-type]
    del line[1]["http.request.method"]
    store.append([line, *requests([3], at_s=3, event__duration=2 * SECOND, **REQUEST)])
    for id_ in ("r1", "t1", line[1]["event.id"]):
        found = story(source, str(id_))
        assert found.request is not None
        assert found.request["event.action"] == "http-request"
        assert [record["event.sequence"] for record in found.records] == [2, 3]
        assert [record["event.sequence"] for record in found.timeline()] == [3, 2]
        assert (found.unfinished, found.crash, found.last_events) == ([], None, [])


def test_the_opening_of_a_websocket_is_not_its_request(store: Store, source: Reader) -> None:
    opened = requests([1], at_s=1, trace__id="t1", http__request__id="w1")
    opened[0][1]["event.action"] = "ws-open"
    closed = requests([2], at_s=5, trace__id="t1", http__request__id="w1")
    closed[0][1]["event.action"] = "ws-close"
    store.append([*opened, *closed])
    found = story(source, "t1")
    assert found.request is not None
    assert found.request["event.action"] == "ws-close"


def test_an_interrupted_request_has_the_crash_and_the_last_events_of_its_worker(store: Store, source: Reader) -> None:
    lost = beat(
        30, "worker-lost", at_s=30, logship__in_flight__count=1, logship__in_flight__ids=["r9"],
        logship__in_flight__requests=["GET /slow 1234ms"],
    )  # fmt: skip
    store.append([*requests(range(1, 30), at_s=1, event__duration=1000), lost])
    found = story(source, "r9")
    assert (found.records, found.request) == ([], None)
    assert found.crash is not None
    assert found.crash["event.sequence"] == 30
    assert [record["event.sequence"] for record in found.last_events] == list(range(18, 31))
    (request,) = found.unfinished
    assert (request.state, request.what, request.age_ns) == ("lost", "GET /slow", 1234 * 10**6)
    (record,) = found.timeline()
    assert record["message"] == "GET /slow was interrupted: its worker crashed"
    assert begin_ns(record) == START_NS + 30 * SECOND - 1234 * 10**6
    assert length_ns(record) == 1234 * 10**6


def test_an_unknown_id_has_nothing(store: Store, source: Reader) -> None:
    store.append(requests([1]))
    found = story(source, "nobody")
    assert (found.records, found.unfinished, found.crash, found.timeline()) == ([], [], None, [])


def test_a_cut_result_says_so_also_without_the_record_of_a_request(
    store: Store, source: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [worker_event(number, "line", trace__id="t1", message="x" * 2_000, at_s=number) for number in range(1, 41)]
    store.append(lines)
    assert not story(source, "t1").cut
    monkeypatch.setattr(budget, "ANSWER_BYTES", 20_000)
    assert story(source, "t1").cut
