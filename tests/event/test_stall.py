"""Events of stalls and of exhausted pools."""

from typing import Any

import pytest

from logship.event import stall
from logship.event.fields import BY_NAME
from logship.event.stall import Exhaustion, Place, Stall

PLACE = Place("look_up", "shop.py", 57, 'File "shop.py", line 57, in look_up', "AnyIO worker thread")
REQUEST = {"http.request.id": "an-id", "http.request.method": "GET", "url.path": "/orders/7", "http.route": "/orders/{id}"}


def event(**more: Any) -> dict[str, object]:
    known: dict[str, Any] = {"start_ns": 0, "duration_ns": 312_000_000, "reason": "blocking_call", "running": 7, "place": PLACE}
    return stall.stalled(Stall(**(known | {"request": REQUEST} | more)))


def test_the_message_names_the_line_and_the_request() -> None:
    assert event()["message"] == (
        "event loop blocked for 312 ms by a call that waited in look_up (shop.py:57), request GET /orders/{id}; "
        "7 requests were running"
    )
    assert event(ended=False, duration_ns=1_040_000_000, running=1)["message"] == (
        "event loop still blocked after 1.0 s by a call that waited in look_up (shop.py:57), request GET /orders/{id}; "
        "1 request was running"
    )
    assert event(place=None, request={}, reason="unknown")["message"] == "event loop blocked for 312 ms; 7 requests were running"


def test_stalls_of_one_line_have_the_same_id_and_a_pause_of_the_process_is_no_warning() -> None:
    assert event()["error.id"] == event(running=1, request={})["error.id"]
    assert event()["error.id"] != event(place=Place("look_up", "shop.py", 58))["error.id"]
    assert event(reason="not_scheduled", place=None)["log.level"] == "info"
    assert event()["log.level"] == "warning"


@pytest.mark.parametrize("ended", [True, False])
def test_every_field_is_in_the_table(ended: bool) -> None:
    pool = stall.exhausted(Exhaustion(0, 2_500_000_000, 40, 10, 50, PLACE, ended))
    assert [field for field in {**event(ended=ended), **pool} if field not in BY_NAME] == []
    assert str(pool["message"]).endswith("for 2.5 s; up to 10 calls waited for one; most threads were in look_up (shop.py:57)")


def test_the_actions_tell_what_goes_on_from_what_has_ended() -> None:
    assert [event(ended=ended)["event.action"] for ended in (True, False)] == ["loop-stalled", "loop-stalling"]
