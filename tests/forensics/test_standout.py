"""What stands out in a window, over a store with known faults and without any."""

import pytest

from logship.forensics.finding import Finding
from logship.forensics.standout import Standout, standout
from logship.search import kql
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, beat, requests, worker_event
from tests.store.events import Entry

UNTIL_NS = START_NS + 300 * SECOND
MS = 10**6


def life(slot: int, generation: int = 1) -> str:
    return f"{slot:x}{generation:x}" * 12


def worker(slot: int, count: int = 150, duration_ms: float = 10, **more: object) -> list[Entry]:
    """A worker with a start, `count` requests within some 200 s, and a heartbeat at the end of the window."""
    its = {"life": life(slot), "slot": slot, **more}
    served = [
        entry
        for number in range(count)
        for entry in requests(
            [number + 2], at_s=1 + number * 1.5, event__duration=int(duration_ms * MS), http__route=f"/r{number % 3}",
            http__response__status_code=200, **its,
        )
    ]  # fmt: skip
    start = worker_event(1, "worker-started", at_s=0.5, **its)  # type: ignore[arg-type]
    return [start, *served, beat(count + 2, at_s=295, logship__loop_lag__max_ns=2 * MS, **its)]  # type: ignore[arg-type]


def seen(store: Store, source: Reader, *entries: list[Entry], where: str = "") -> Standout:
    store.append([entry for some in entries for entry in some])
    return standout(source, Query(kql.parse(where), START_NS, UNTIL_NS), UNTIL_NS)


def found(result: Standout, kind: str) -> Finding:
    (finding,) = [finding for finding in result.findings if finding.kind == kind]
    return finding


def events_of(source: Reader, finding: Finding) -> int:
    return source.count(Query(kql.parse(finding.kql), START_NS, UNTIL_NS))


def test_a_quiet_window_is_said_to_be_quiet_with_what_was_checked(store: Store, source: Reader) -> None:
    result = seen(store, source, worker(0), worker(1))
    assert result.findings == []
    assert result.not_judged == []
    assert result.sentence == (
        "Nothing stands out: no worker crashed or is silent, no request failed, no event was dropped, "
        "no worker is much slower than the others, and traffic is balanced."
    )


def test_few_requests_are_no_reason_to_call_traffic_balanced(store: Store, source: Reader) -> None:
    result = seen(store, source, worker(0, count=20), worker(1, count=20))
    assert result.not_judged == ["Too few requests to compare workers (40; at least 100 are needed)."]
    assert "balanced" not in result.sentence
    assert "slower" not in result.sentence


def test_a_window_without_workers_is_not_called_quiet(store: Store, source: Reader) -> None:
    result = seen(store, source, [(START_NS - SECOND, {"message": "before"})])
    assert result.sentence == "No worker sent events in this window, so nothing was checked."


def test_a_crash_has_its_requests_and_its_replacement(store: Store, source: Reader) -> None:
    lost = beat(
        200, "worker-lost", life=life(1), slot=1, at_s=100, logship__in_flight__count=3,
        logship__in_flight__ids=["i1", "i2"], logship__in_flight__requests=["GET /a 3ms", "GET /b 4ms"],
    )  # fmt: skip
    started = worker_event(1, "worker-started", life=life(1, 2), slot=1, at_s=100.483, logship__worker__generation=2)
    finding = found(seen(store, source, worker(0), worker(1, count=20), [lost, started]), "worker-crashed")
    assert finding.sentence == "w1 crashed with 3 requests in flight; its replacement started 483 ms later."
    assert (finding.severity, finding.service, finding.worker) == ("critical", "shop", "h/shop/w1")
    assert (finding.since_ns, finding.until_ns) == (START_NS + 100 * SECOND, START_NS + 100_483 * MS)
    assert finding.fields["logship.in_flight.ids"] == ["i1", "i2"]
    assert finding.evidence == {"in_flight": 3, "replacement_after_ns": 483 * MS}
    assert events_of(source, finding) == 1


def test_a_crash_without_a_replacement_says_so(store: Store, source: Reader) -> None:
    finding = found(
        seen(store, source, worker(0), [beat(9, "worker-lost", life=life(1), slot=1, at_s=100)]), "worker-crashed"
    )
    assert finding.sentence == "w1 crashed; no replacement started in this window."


def test_many_crashes_are_three_findings_and_one_for_the_rest(store: Store, source: Reader) -> None:
    lost = [beat(9, "worker-lost", life=life(1, number), slot=1, at_s=10 * number) for number in range(1, 8)]
    result = seen(store, source, worker(0), lost)
    crashed = [finding for finding in result.findings if finding.kind == "worker-crashed"]
    assert [finding.sentence.split(";")[0] for finding in crashed] == ["w1 crashed"] * 3 + [
        "Workers crashed 4 times more before that."
    ]


def test_a_crash_before_hundreds_of_restarts_is_found(store: Store, source: Reader) -> None:
    lost = beat(9, "worker-lost", life=life(1), slot=1, at_s=1)
    restarts = [
        worker_event(1, "worker-started", life=f"{number:024x}", slot=2, at_s=2 + number / 10) for number in range(600)
    ]
    finding = found(seen(store, source, worker(0), [lost], restarts), "worker-crashed")
    assert finding.sentence == "w1 crashed; no replacement started in this window."


def test_a_slow_worker_comes_with_its_routes_and_its_blocked_loop(store: Store, source: Reader) -> None:
    slow = worker(2)
    for _, event in slow:
        if event.get("http.route") == "/r1":
            event["event.duration"] = 630 * MS
        if "logship.loop_lag.max_ns" in event:
            event["logship.loop_lag.max_ns"] = 434 * MS
    finding = found(seen(store, source, worker(0), worker(1), slow), "worker-slow")
    assert finding.sentence == (
        "w2 is slower than the other workers: p99 630 ms, 63.0 times theirs (10.0 ms). "
        "Slowest routes here: /r1 (p99 630 ms; other workers 10.0 ms). "
        "Its event loop was blocked for up to 434 ms, delaying all its requests."
    )
    assert finding.fields == {"http.route": ["/r1"]}
    assert events_of(source, finding) == 50


def test_a_failing_route_has_its_share_and_its_exceptions(store: Store, source: Reader) -> None:
    failing = worker(1)
    for number, (_, event) in enumerate(failing):
        if event.get("http.route") == "/r2" and number % 2:
            event |= {"http.response.status_code": 500, "error.type": "shop.Declined"}
    finding = found(seen(store, source, worker(0), failing), "route-failing")
    assert finding.sentence == "/r2 failed 25 times of 100 requests (25 %): Declined 25."
    assert finding.fields == {"http.route": "/r2", "error.type": ["shop.Declined"]}
    assert events_of(source, finding) == 25


def test_the_routes_beyond_five_are_counted(store: Store, source: Reader) -> None:
    failed = [
        entry
        for number in range(8)
        for entry in requests(
            [500 + number], life=life(0), http__route=f"/f{number}", http__response__status_code=500, at_s=50
        )
    ]
    result = seen(store, source, worker(0), failed)
    assert result.findings[-1].sentence == "3 more routes had 3 failed requests."
    assert len(result.findings) == 6


def test_dropped_events_and_silence_are_findings(store: Store, source: Reader) -> None:
    dropping = beat(153, dropped={"journal_full": 12}, life=life(0), at_s=296)
    silent = [entry for entry in worker(1) if entry[0] < START_NS + 100 * SECOND]
    result = seen(store, source, worker(0), [dropping], silent)
    assert found(result, "events-dropped").sentence == "w0 dropped 12 events; logship verify names the reasons."
    assert found(result, "worker-silent").sentence == (
        "w1 is silent: no heartbeat for more than 25 s, and no end was recorded."
    )
    assert events_of(source, found(result, "events-dropped")) == 1
    assert [finding.severity for finding in result.findings] == sorted(
        (finding.severity for finding in result.findings), key="critical warning".split().index
    )


def test_unbalanced_traffic_is_a_finding(store: Store, source: Reader) -> None:
    finding = found(seen(store, source, worker(0, count=190), worker(1, count=30)), "traffic-unbalanced")
    assert finding.sentence == (
        "Traffic is unbalanced: w0 served 86 % of requests (an even share is 50 %); the traffic of 2 workers lands on 1.3. "
        "It costs little at this rate: w0 had 0.0063 requests at a time on average."
    )
    assert finding.evidence["workers"] == 2
    assert events_of(source, finding) == 190


def test_uneven_shares_of_few_connections_are_not_a_finding(store: Store, source: Reader) -> None:
    many = worker(0, count=190, client__ip="192.0.2.1", client__port=1024)
    result = seen(store, source, many, worker(1, count=30, client__ip="192.0.2.2", client__port=7))
    assert not [finding for finding in result.findings if finding.kind == "traffic-unbalanced"]
    (balance,) = result.balances
    assert (balance.connections, balance.unbalanced) == (2, False)
    assert "2 connections are too few to spread evenly" in balance.sentence


def test_a_worker_that_is_alive_and_serves_nothing_is_named(store: Store, source: Reader) -> None:
    idle = [worker_event(1, "worker-started", at_s=0.5, life=life(2), slot=2), beat(2, at_s=295, life=life(2), slot=2)]
    finding = found(seen(store, source, worker(0), worker(1), idle), "traffic-unbalanced")
    assert "w2 is alive and served none" in finding.sentence
    assert finding.fields == {"service.node.name": ["h/shop/w2"]}


def test_with_several_services_each_sentence_names_its_own(store: Store, source: Reader) -> None:
    other = [
        (at, {**event, "service.name": "billing", "service.node.name": "h/billing/w0", "service.ephemeral_id": "b" * 24,
              "event.id": f"{'b' * 24}-{event['event.sequence']:012d}"})
        for at, event in worker(0)
    ]  # fmt: skip
    crash = beat(500, "worker-lost", life=life(1), slot=1, at_s=100)
    result = seen(store, source, worker(0), other, [crash])
    assert found(result, "worker-crashed").sentence == "w1 of shop crashed; no replacement started in this window."
    result = seen(store, source, where="service.name: billing")
    assert result.findings == []


@pytest.mark.parametrize("status", [200, 404])
def test_statuses_below_500_are_no_failures(status: int, store: Store, source: Reader) -> None:
    entries = worker(0)
    for _, event in entries:
        event["http.response.status_code"] = status
    assert seen(store, source, entries, worker(1)).findings == []


def moved(entries: list[Entry], seconds: int) -> list[Entry]:
    """The same events of another run, at another time."""
    return [
        (
            at_ns + seconds * SECOND,
            event | {"service.ephemeral_id": life(9), "event.id": str(event["event.id"]).replace(life(0), life(9))},
        )
        for at_ns, event in entries
    ]


def test_a_base_rate_of_failures_is_not_an_incident(store: Store, source: Reader) -> None:
    before, during = worker(0, 600), worker(0, 600)
    for entries, failed in ((before, 2), (during, 3)):
        for _, event in entries[10 : 10 + 3 * failed : 3]:
            event["http.response.status_code"] = 500
    earlier = moved(before, -1200)
    until_ns = START_NS + 1200 * SECOND
    store.append([*earlier, *during])
    usual = standout(source, Query(None, START_NS, until_ns), until_ns)
    assert [finding.kind for finding in usual.findings if finding.kind == "route-failing"] == []
    unusual = standout(source, Query(None, START_NS - 1200 * SECOND, START_NS), START_NS)  # nothing is known of before
    assert [finding.kind for finding in unusual.findings if finding.kind == "route-failing"] == ["route-failing"]


def test_failures_that_rose_are_an_incident(store: Store, source: Reader) -> None:
    before, during = worker(0, 600), worker(0, 600)
    for _, event in during[10:40:3]:
        event["http.response.status_code"] = 500
    earlier = moved(before, -1200)
    store.append([*earlier, *during])
    result = standout(source, Query(None, START_NS, START_NS + 1200 * SECOND), START_NS + 1200 * SECOND)
    assert found(result, "route-failing").evidence["failed"] == 10
