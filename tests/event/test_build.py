"""Builders: every field that they emit is in the table of fields, and the ends of a life are told apart."""

import pytest

from logship.event import build
from logship.event.fields import BY_NAME, DROP_REASONS

COUNTERS = build.Counters(emitted=9, acknowledged=8, dropped=dict.fromkeys(DROP_REASONS, 0), in_flight=2)
WORKER = build.Worker("ab" * 12, "shop", "web", 7, 6, "8000", "1.2", "test", 3, 4, "supervisor")
REQUEST = ("an-id", "GET", "/orders/7", 1234)


def death(**known: object) -> dict[str, object]:
    return build.ended(build.Death(found="2026-11-21T00:00:00.000000000Z", journal_end=COUNTERS, **known))  # type: ignore[arg-type]


EVENTS = {
    "worker": WORKER.fields(),
    "heartbeat": build.heartbeat(COUNTERS),
    "started": build.started("uvicorn", durable=False, why_not="the disk is full"),
    "closed": build.closed(COUNTERS),
    "lost": death(in_flight=(REQUEST,)),
    "ended": death(),
    "supervisor": build.supervisor("Child process [7] died", "info", "uvicorn.error"),
}


@pytest.mark.parametrize("name", EVENTS)
def test_every_field_is_in_the_table(name: str) -> None:
    assert [field for field in EVENTS[name] if field not in BY_NAME] == []


def test_a_worker_without_a_slot_has_no_node_name() -> None:
    fields = build.Worker("ab" * 12, "shop", "web", 7).fields()
    assert "service.node.name" not in fields
    assert "logship.worker.slot" not in fields
    assert WORKER.fields()["service.node.name"] == "web/8000/w3"


def test_requests_in_flight_make_an_end_a_loss_and_are_named() -> None:
    lost = death(in_flight=(REQUEST, REQUEST), overflow=5)
    assert lost["event.action"] == "worker-lost"
    assert lost["message"] == "worker crashed with 7 requests in flight: GET /orders/7 1234ms and 6 more"
    assert lost["logship.in_flight.count"] == 7


def test_requests_that_had_no_room_in_the_table_are_counted_without_a_name() -> None:
    lost = death(overflow=5)
    assert lost["message"] == "worker crashed with 5 requests in flight"
    assert (lost["event.action"], lost["logship.in_flight.count"]) == ("worker-lost", 5)


def test_an_end_without_evidence_is_not_called_a_loss() -> None:
    assert death()["event.action"] == "worker-ended"
    assert death(evidence="supervisor_survived")["event.action"] == "worker-lost"


def test_a_time_is_written_with_nine_digits() -> None:
    assert build.time_text(1_763_650_000_000_000_001) == "2025-11-20T14:46:40.000000001Z"


def test_a_started_worker_names_its_settings() -> None:
    assert build.started("uvicorn", True, settings=["level=debug"])["logship.settings"] == ["level=debug"]
    assert build.started("uvicorn", True)["logship.settings"] == []
