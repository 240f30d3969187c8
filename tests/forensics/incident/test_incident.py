"""What stands out in a window of a store, and that nothing does where everything is as before."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from logship.forensics import by_text
from logship.forensics.incident import as_json, incident, incident_json, write_up
from logship.search.query import Group, Query
from logship.search.times import rfc3339
from logship.store.read import budget
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.compare.shop import LENGTH_NS, SECOND, fill
from tests.store.events import BEGIN_NS

Fields = Mapping[str, object]
# The window begins in the quiet half; what differs begins 300 s later.
WINDOW = Query(None, BEGIN_NS + LENGTH_NS // 2, BEGIN_NS + 2 * LENGTH_NS)
CHANGED_NS = BEGIN_NS + LENGTH_NS
NOW_NS = BEGIN_NS + 2 * LENGTH_NS


def found(store: Store, source: Reader, change: Callable[[Fields, Random], Fields]) -> list[dict[str, Any]]:
    fill(store, change, requests=6000)
    findings: list[dict[str, Any]] = incident_json(source, WINDOW, NOW_NS)["findings"]
    return findings


def test_a_quiet_hour_is_not_accused(store: Store, source: Reader) -> None:
    assert found(store, source, lambda _fields, _pick: {}) == []


def test_a_route_that_fails_is_found_with_its_beginning_and_a_query(store: Store, source: Reader) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        failing = fields["http.route"] == "/a" and pick.random() < 0.2
        return {"http.response.status_code": 500, "error.type": "KeyError"} if failing else {}

    (finding,) = found(store, source, change)
    assert (finding["rank"], finding["kind"], finding["severity"]) == (1, "failing", "critical")
    assert finding["fields"] == {"http.route": "/a", "error.type": "KeyError"}
    assert finding["began"][0] <= rfc3339(CHANGED_NS + 20 * SECOND)
    assert finding["began"][1] >= rfc3339(CHANGED_NS - 10 * SECOND)
    assert finding["ended"] is None
    assert "/a: failed requests 0." in finding["sentence"]
    assert finding["evidence"]["hits_after"] > 300
    markdown = write_up.markdown(incident(source, WINDOW, NOW_NS), rfc3339)
    assert f"- matching requests after: {finding['evidence']['hits_after']:,.6g}" in markdown
    assert "- share explained: " in markdown


def test_without_requests_in_the_baseline_the_traffic_is_not_called_usual(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, _pick: {}, requests=2000)
    report = incident(source, Query(None, BEGIN_NS, NOW_NS), NOW_NS)
    assert (report.requests_before, report.findings) == (0, [])
    assert report.not_compared == "The baseline has no requests: only changes within the window could be found."
    assert "from the baseline" not in report.sentence
    assert report.sentence in write_up.lines(report, rfc3339)


def test_messages_that_cannot_be_compared_cost_only_themselves(
    store: Store, source: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        return {"http.response.status_code": 500} if fields["http.route"] == "/a" and pick.random() < 0.2 else {}

    finding, *_ = found(store, source, change)
    long = [
        (CHANGED_NS + n, {"event.dataset": "logship.app", "log.level": "error", "message": f"{n}" + "x" * 9_000})
        for n in range(20)
    ]
    store.append(long)
    monkeypatch.setattr(budget, "ANSWER_BYTES", 150_000)
    report = incident(source, WINDOW, NOW_NS)
    assert report.not_compared == ""
    assert any(each.kind == "new_pattern" for each in report.findings)
    monkeypatch.setattr(by_text, "MOST_READ", 10)
    report = incident(source, WINDOW, NOW_NS)
    assert [each.kind for each in report.findings] == [finding["kind"]]
    assert report.not_compared.startswith("The texts of warnings and errors were not compared: ")
    assert report.not_compared in as_json(report)["sentence"]
    assert report.not_compared in write_up.lines(report, rfc3339)


def test_each_field_with_many_values_is_read_once(store: Store, source: Reader) -> None:
    """Failing and slow requests and the most frequent clients have different values: one query has all of them."""

    asked: Counter[tuple[str, ...]] = Counter()

    class Counting(Reader):
        def groups(self, query: Query, by: Sequence[str], every_ns: int | None = None) -> list[Group]:
            asked[tuple(by)] += 1
            return super().groups(query, by, every_ns)

    def change(fields: Fields, pick: Random) -> Fields:
        failing = fields["http.route"] == "/a" and pick.random() < 0.2
        slow = fields["http.route"] == "/b" and fields["labels"] in ({"tenant": "t3"}, {"tenant": "t4"})
        took = {"event.duration": int(str(fields["event.duration"])) * 9} if slow else {}
        return took | ({"http.response.status_code": 500} if failing else {})

    assert {finding["kind"] for finding in found(store, source, change)} == {"failing", "slow"}
    counting = Counting(source.directory)
    incident(counting, WINDOW, NOW_NS)
    counting.close()
    assert {field: asked[(field,)] for field in ("client.ip", "labels.tenant")} == {"client.ip": 1, "labels.tenant": 1}


def test_a_slow_worker_is_found(store: Store, source: Reader) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        own = fields["service.node.name"] == "h/shop/w1"
        return {"event.duration": int(str(fields["event.duration"])) * 5} if own else {}

    (finding,) = found(store, source, change)
    assert (finding["kind"], finding["worker"]) == ("slow", "h/shop/w1")


def test_a_status_that_shifted_is_found(store: Store, source: Reader) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        return {"http.response.status_code": 404} if fields["http.route"] == "/c" and pick.random() < 0.4 else {}

    (finding,) = found(store, source, change)
    assert finding["kind"] == "status"
    assert finding["fields"] == {"http.route": "/c", "http.response.status_code": "404"}


def test_failures_that_came_with_a_version_are_a_deploy(store: Store, source: Reader) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        return {"service.version": "1.1"} | ({"http.response.status_code": 500} if pick.random() < 0.2 else {})

    (finding,) = found(store, source, change)
    assert finding["kind"] == "deploy"
    assert finding["fields"]["service.version"] == "1.1"
    assert "version 1.1 started" in finding["sentence"]


def test_a_version_without_consequences_is_not_a_finding(store: Store, source: Reader) -> None:
    assert found(store, source, lambda _fields, _pick: {"service.version": "1.1"}) == []


def test_a_crash_is_found_with_its_interrupted_request(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, _pick: {})
    crash = {
        "event.id": "beef" * 6 + "-000000000009", "event.sequence": 9, "event.action": "worker-lost",
        "event.dataset": "logship.worker", "service.name": "shop", "service.node.name": "h/shop/w2",
        "service.ephemeral_id": "beef" * 6, "logship.in_flight.count": 1, "logship.in_flight.requests": ["GET /slow 900ms"],
    }  # fmt: skip
    store.append([(CHANGED_NS, crash)])
    report = incident(source, WINDOW, NOW_NS)
    (death,) = [finding for finding in report.findings if finding.kind == "death"]
    assert death.worker == "h/shop/w2"
    assert death.began == (CHANGED_NS, CHANGED_NS)
    assert "w2 crashed, interrupting 1 request (longest: GET /slow 900ms); no replacement started" in death.sentence
    text = "\n".join(write_up.lines(report, rfc3339, "https://kibana.example"))
    assert "1. crash: w2 crashed" in text
    assert "https://kibana.example/app/discover#/" in text
    assert "logship inflight" in text
    assert "w2 crashed" in write_up.markdown(report, rfc3339)
    page = write_up.html(report, rfc3339)
    assert "<strong>crash</strong>" in page
    assert "<script" not in page


def test_a_new_warning_is_found_and_a_usual_one_is_not(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, _pick: {})
    said = [(CHANGED_NS + number * 10 * SECOND, f"queue has {number} messages, limit reached") for number in range(12)]
    said += [(BEGIN_NS + number * 100 * SECOND, f"slow query took {number} ms") for number in range(12)]
    usual = {"log.level": "warning", "log.logger": "jobs", "event.dataset": "logship.app"}
    store.append(
        [
            (at_ns, usual | {"message": text, "event.id": f"{'cafe' * 6}-{number:012d}"})
            for number, (at_ns, text) in enumerate(sorted(said), 1)
        ]
    )
    report = as_json(incident(source, WINDOW, NOW_NS))
    assert [finding["kind"] for finding in report["findings"]] == ["new_pattern"]
    assert "queue has" in report["findings"][0]["sentence"]


def test_the_json_has_exactly_the_documented_keys(store: Store, source: Reader) -> None:
    fill(store, lambda fields, _pick: {"http.response.status_code": 500} if fields["http.route"] == "/b" else {})
    report = incident_json(source, WINDOW, NOW_NS)
    assert set(report) == {"window", "baseline", "evidence", "annotations", "levels", "findings", "sentence"}
    assert set(report["findings"][0]) == {
        "rank", "kind", "severity", "sentence", "service", "worker", "fields", "began", "ended", "evidence", "query",
    }  # fmt: skip
    assert report["evidence"]["finding"] in {"complete", "missing", "unknown", "none", "conflict", "duplicated"}


def test_an_empty_window_says_that_nothing_was_compared(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, _pick: {})
    report = incident(source, Query(None, 10**9, 2 * 10**9), NOW_NS)
    assert report.findings == []
    assert report.sentence == "No requests in this window: nothing was compared."


def test_dropping_of_events_has_an_end(store: Store, source: Reader) -> None:
    """The counter stays high when nothing is dropped any more."""
    fill(store, lambda _fields, _pick: {}, requests=600)
    beats = [
        (CHANGED_NS + at * 10 * SECOND, {
            "event.id": f"{'d' * 24}-{at + 1:012d}", "event.sequence": at + 1, "service.ephemeral_id": "d" * 24,
            "event.action": "worker-heartbeat", "event.dataset": "logship.worker", "service.name": "shop",
            "service.node.name": "h/shop/w9", "logship.dropped.journal_full": dropped, "logship.emitted": at + 1,
        })
        for at, dropped in enumerate([0, 0, 5, 9, 9, 9])
    ]  # fmt: skip
    store.append(beats)
    (drops,) = [one for one in incident_json(source, WINDOW, NOW_NS)["findings"] if one["kind"] == "drops"]
    assert drops["began"] == [rfc3339(CHANGED_NS + at * 10 * SECOND) for at in (1, 3)]
    assert drops["ended"] == [rfc3339(CHANGED_NS + at * 10 * SECOND) for at in (2, 4)]


def test_nothing_is_called_new_without_a_time_before_it(store: Store, source: Reader) -> None:
    """Of the baseline nothing is stored: what occurs in the window may always have been there."""

    def change(fields: Fields, _pick: Random) -> Fields:
        failed = fields["http.route"] == "/b"
        return {"http.response.status_code": 500, "error.type": "KeyError"} if failed else {}

    fill(store, change)
    window, empty = Query(None, CHANGED_NS, NOW_NS), Query(None, BEGIN_NS - LENGTH_NS, BEGIN_NS)
    assert incident_json(source, window, NOW_NS, empty)["findings"] == []
    assert incident_json(source, WINDOW, NOW_NS)["findings"] != []
