"""capture_events: what a user's test sees of log calls and requests, and that nothing is left behind."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

import logship
from logship.testing import capture_events
from logship.worker import registry
from tests.worker.driving import Desk, desk

log = logging.getLogger("shop")


@pytest.fixture(autouse=True)
def own_levels() -> Iterator[None]:
    """The level of the root as an application has it."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    yield
    assert root.level == logging.WARNING
    root.setLevel(before)


async def order(request: Request) -> Response:
    structlog.contextvars.bind_contextvars(tenant="a")
    log.info("order read", extra={"order_id": request.path_params["id"]})
    return JSONResponse({})


async def chat(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


ROUTES = [Route("/orders/{id:int}", order), WebSocketRoute("/chat", chat)]


shop = Starlette(routes=ROUTES)
LIFESPAN = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})


def test_log_calls_of_every_kind_are_flat_events_with_ecs_names() -> None:
    with capture_events() as events:
        log.warning("order %d placed", 7, extra={"customer": "ada"})
        structlog.get_logger("orders").info("paid", total=9.5)
        logship.get_logger("mail").info("sent")
        try:
            raise ValueError("no card")
        except ValueError:
            log.exception("payment failed")
    assert [event["message"] for event in events] == ["order 7 placed", "paid", "sent", "payment failed"]
    assert [event["log.logger"] for event in events] == ["shop", "orders", "mail", "shop"]
    assert (events[0]["labels"], events[1]["numeric_labels"]) == ({"customer": "ada"}, {"total": 9.5})
    assert (events[3]["error.type"], events[3]["error.message"]) == ("ValueError", "no card")
    assert all(event["@timestamp"].endswith("Z") for event in events)
    assert len({event["event.id"] for event in events}) == 4


def test_requests_and_websockets_are_captured_with_the_log_calls_in_them() -> None:
    with capture_events() as events:
        Desk().drive(shop)
        Desk().drive(shop, [{"type": "websocket.connect"}], type="websocket", path="/chat")
    inside, request, opened, closed = events
    assert request["http.route"] == "/orders/{id}"
    assert (request["http.response.status_code"], request["labels"]) == (200, {"tenant": "a"})
    assert (inside["message"], inside["http.request.id"]) == ("order read", request["http.request.id"])
    assert [event["event.action"] for event in (opened, closed)] == ["ws-open", "ws-close"]


def test_lifespan_in_the_block_adds_no_event_about_the_worker() -> None:
    with capture_events() as events:
        Desk().drive(shop)
        Desk().drive(shop, LIFESPAN, type="lifespan")
    assert [event["event.dataset"] for event in events] == ["logship.app", "logship.request"]


def test_calls_of_other_threads_are_captured() -> None:
    with capture_events() as events:
        thread = threading.Thread(target=log.error, args=("late",), name="mailer")
        thread.start()
        thread.join()
    assert [event["process.thread.name"] for event in events] == ["mailer"]


def test_settings_are_those_of_configure_or_those_that_are_given() -> None:
    with capture_events(level="error", redact_names="shoe_size") as events:
        log.warning("not recorded")
        log.error("recorded", extra={"shoe_size": "size forty-four"})
    [event] = events
    assert event["message"] == "recorded"
    assert "forty-four" not in str(event)
    with pytest.raises(logship.LogshipError, match="unknown setting"), capture_events(levle="error"):
        pass


def test_after_the_block_nothing_is_captured_and_no_pipeline_is_left() -> None:
    with capture_events() as events:
        pass
    log.error("after")
    assert events == []
    assert registry.existing() is None
    assert not registry.is_configured()


def test_blocks_may_be_nested() -> None:
    with capture_events() as outer:
        with capture_events() as inner:
            log.error("inner")
        log.error("outer")
    assert [[event["message"] for event in events] for events in (outer, inner)] == [["outer"], ["inner"]]


def test_a_configured_process_uses_its_settings_and_its_journal_gets_nothing_meanwhile(tmp_path: Path) -> None:
    with desk(tmp_path, level="debug", service="billing") as at:
        log.info("before")
        with capture_events() as events:
            log.debug("meanwhile")
        log.info("after")
        assert [event["message"] for event in at.said()] == ["before", "after"]
    assert [(event["message"], event["service.name"]) for event in events] == [("meanwhile", "billing")]


def test_configure_in_the_block_applies_to_it_and_starts_no_thread(tmp_path: Path) -> None:
    with desk(tmp_path), capture_events() as events:
        logship.configure(service="depot", level="debug", state_dir=str(tmp_path), agent="127.0.0.1:1")
        log.debug("stored")
        assert "logship-shipper" not in {thread.name for thread in threading.enumerate()}
    assert [event["service.name"] for event in events] == ["depot"]


SCRIPT = """
import logging, os, pathlib, sys, threading
from logship.testing import capture_events
with capture_events() as events:
    logging.getLogger("shop").error("one")
assert len(events) == 1 and threading.active_count() == 1
assert list(pathlib.Path(sys.argv[1]).iterdir()) == []
"""


def test_no_file_is_made_and_no_thread_started(tmp_path: Path) -> None:
    environment: dict[str, Any] = {"LOGSHIP_STATE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], env=environment, check=True, timeout=60)
