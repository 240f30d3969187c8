"""The capacity of a service in a store."""

from datetime import UTC

import pytest

from logship.errors import QuestionError
from logship.forensics.capacity.estimate import Estimate
from logship.forensics.capacity.plan import ServiceCapacity, capacity
from logship.forensics.capacity.wanted import wanted_of
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, beat, worker_event
from tests.store.events import Entry

MINUTES = 10


def served(slot: int, vitals: bool) -> list[Entry]:
    """Ten minutes of a worker with two requests a second, each 50 ms long and 4 ms of CPU; heartbeats every 10 s."""
    life = f"{slot}a" * 12
    entries, sequence = [], 0
    for tenth in range(MINUTES * 120):
        sequence += 1
        at_s = tenth / 2
        entries.append(
            worker_event(
                sequence, "http-request", life=life, slot=slot, at_s=at_s, event__duration=50_000_000,
                http__response__status_code=200,
            )
        )  # fmt: skip
        if tenth % 20 == 19:
            sequence += 1
            at, event = beat(sequence, life=life, slot=slot, at_s=at_s + 0.1)
            own = {"logship.process.cpu_ns": 10**9 + tenth * 4_000_000, "logship.loop.utilization": 0.009}
            entries.append((at, {**event, **(own if vitals else {})}))
    return entries


def capacity_of(store: Store, source: Reader, vitals: bool) -> ServiceCapacity:
    for slot in (0, 1):
        store.append(served(slot, vitals))
    until_ns = START_NS + MINUTES * 60 * SECOND
    (service,) = capacity(source, Query(None, START_NS, until_ns), until_ns, UTC, wanted_of())
    return service


def estimate(service: ServiceCapacity, name: str) -> Estimate:
    (one,) = [one for one in service.estimates if one.name == name]
    return one


def test_the_cpu_time_of_heartbeats_gives_the_maximum(store: Store, source: Reader) -> None:
    service = capacity_of(store, source, vitals=True)
    assert service.workers == 2
    assert estimate(service, "peak rate").value == pytest.approx(4)
    assert estimate(service, "running at peak").value == pytest.approx(0.2)
    assert estimate(service, "CPU per request").value == pytest.approx(4, rel=0.1)
    assert estimate(service, "limited by").text.startswith("CPU: 2")
    assert estimate(service, "maximum rate").value == pytest.approx(2 / 0.004 * 0.97, rel=0.05)
    assert estimate(service, "workers needed").value == 1
    assert estimate(service, "growth per week").confidence == "unknown"
    assert estimate(service, "enough until").value is None


def test_old_heartbeats_leave_durations_only(store: Store, source: Reader) -> None:
    service = capacity_of(store, source, vitals=False)
    assert "derived from durations only" in estimate(service, "maximum rate").derived
    assert estimate(service, "maximum rate").text == "at least 4/s"
    assert estimate(service, "limited by").confidence == "unknown"


def test_a_window_without_requests_has_no_services(source: Reader) -> None:
    assert capacity(source, Query(None, START_NS, START_NS + SECOND), START_NS + SECOND, UTC, wanted_of()) == []


@pytest.mark.parametrize(
    ("latency", "target"), [("0ms", "70%"), ("fast", "70%"), ("1s", "0"), ("1s", "101%"), ("1s", "most")]
)
def test_what_is_not_a_latency_or_a_target_is_refused(latency: str, target: str) -> None:
    with pytest.raises(QuestionError, match="invalid"):
        wanted_of(latency, target)
    assert wanted_of("1s", "50").target == 0.5
