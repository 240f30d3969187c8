"""What the events of a websocket say, in every way that it can go."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from logship.state.identity import Cell
from tests.worker.driving import Desk, Event, Message, Receive, Send, desk


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def socket_scope(**others: Any) -> dict[str, Any]:
    return {"type": "websocket", "scheme": "ws", "path": "/chat", "subprotocols": [], **others}


async def echo(scope: Any, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


CONNECT: Message = {"type": "websocket.connect"}


def left(code: int) -> Message:
    return {"type": "websocket.disconnect", "code": code}


def saying(*messages: Message, then: BaseException | None = None) -> Any:
    """An application that receives the connect, sends `messages`, and raises `then`."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)
        if then is not None:
            raise then

    return app


ACCEPT: Message = {"type": "websocket.accept"}


def closing(code: int) -> Message:
    return {"type": "websocket.close", "code": code}


def end_of(at: Desk, app: Any, *messages: Message) -> Event:
    at.drive(app, [CONNECT, *messages], **socket_scope())
    event = at.requests()[-1]
    assert event["event.action"] == "ws-close"
    return event


def test_a_websocket_has_an_event_when_it_opens_and_one_when_it_closes(at: Desk) -> None:
    talk: list[Message] = [CONNECT, {"type": "websocket.receive", "text": "hé"}, left(1000)]
    at.drive(echo, talk, headers=[("host", "shop.example"), ("x-request-id", "w-1")], **socket_scope())
    opened, closed = at.requests()
    assert (opened["event.action"], closed["event.action"]) == ("ws-open", "ws-close")
    assert opened["http.request.id"] == closed["http.request.id"] == "w-1"
    assert (closed["http.request.body.bytes"], closed["http.response.body.bytes"]) == (3, 3)
    assert (closed["logship.websocket.messages"], closed["logship.websocket.close_code"]) == (2, 1000)
    assert (closed["event.reason"], closed["event.outcome"]) == ("complete", "success")
    assert closed["url.domain"] == "shop.example"
    assert closed["message"] == "WEBSOCKET /chat closed 1000"


@pytest.mark.parametrize(
    ("code", "reason", "outcome"),
    [
        (1000, "complete", "success"),
        (1001, "client_disconnected", "success"),
        (1005, "client_disconnected", "success"),
        (1006, "client_disconnected", "unknown"),
        (1002, "client_disconnected", "unknown"),
        (1011, "client_disconnected", "unknown"),
        (1012, "server_shutdown", "unknown"),
        (4000, "complete", "success"),
    ],
)
def test_a_client_that_leaves_says_how(at: Desk, code: int, reason: str, outcome: str) -> None:
    closed = end_of(at, echo, left(code))
    assert (closed["event.reason"], closed["event.outcome"]) == (reason, outcome)
    assert (closed["http.response.status_code"], closed["logship.websocket.close_code"]) == (101, code)


@pytest.mark.parametrize(
    ("code", "reason", "outcome", "level"),
    [
        (1000, "complete", "success", "info"),
        (1001, "complete", "success", "info"),
        (1008, "complete", "success", "info"),
        (4401, "complete", "success", "info"),
        (1011, "server_error", "failure", "error"),
        (1013, "server_error", "failure", "error"),
        (1014, "server_error", "failure", "error"),
    ],
)
def test_an_application_that_closes_says_how(at: Desk, code: int, reason: str, outcome: str, level: str) -> None:
    closed = end_of(at, saying(ACCEPT, closing(code)), left(1006))
    assert (closed["event.reason"], closed["event.outcome"], closed["log.level"]) == (reason, outcome, level)
    assert closed["logship.websocket.close_code"] == code


def test_a_websocket_that_fails_says_why(at: Desk) -> None:
    closed = end_of(at, saying(ACCEPT, then=ValueError("no such room")))
    assert (closed["event.reason"], closed["error.type"]) == ("server_error", "ValueError")
    assert closed["http.response.status_code"] == 101


def test_a_refused_handshake_has_its_status_and_no_close_code(at: Desk) -> None:
    closed = end_of(at, saying(closing(4401)))
    assert (closed["http.response.status_code"], closed["event.reason"], closed["event.outcome"]) == (
        403,
        "refused",
        "success",
    )
    assert "logship.websocket.close_code" not in closed
    assert closed["message"] == "WEBSOCKET /chat refused 403"
    assert len(at.requests()) == 1, "it never opened"


@pytest.mark.parametrize(("status", "outcome"), [(401, "success"), (503, "failure")])
def test_a_handshake_may_be_refused_with_an_answer(at: Desk, status: int, outcome: str) -> None:
    denial: list[Message] = [
        {"type": "websocket.http.response.start", "status": status, "headers": []},
        {"type": "websocket.http.response.body", "body": b"sorry"},
    ]
    closed = end_of(at, saying(*denial))
    assert (closed["http.response.status_code"], closed["event.outcome"]) == (status, outcome)
    assert closed["http.response.body.bytes"] == 5


def test_an_application_that_answers_nothing_failed_with_a_500(at: Desk) -> None:
    closed = end_of(at, saying())
    assert (closed["http.response.status_code"], closed["event.outcome"]) == (500, "failure")


def test_an_exception_before_the_handshake_is_a_500(at: Desk) -> None:
    closed = end_of(at, saying(then=ValueError("no")))
    assert (closed["http.response.status_code"], closed["event.reason"]) == (500, "server_error")
    assert "logship.websocket.close_code" not in closed


def test_a_client_that_leaves_during_the_handshake_got_no_answer(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    closed = end_of(at, app, left(1006))
    assert (closed["event.reason"], closed["event.outcome"]) == ("client_disconnected", "unknown")
    assert "http.response.status_code" not in closed


@pytest.mark.parametrize(
    "wrap",
    [lambda error: error, lambda error: ExceptionGroup("", [error]), lambda error: BaseExceptionGroup("", [error])],
)
def test_the_exception_of_a_client_that_left_is_no_failure(at: Desk, wrap: Any) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        raise wrap(WebSocketDisconnect((await receive())["code"]))

    closed = end_of(at, app, left(1001))
    assert (closed["event.reason"], closed["log.level"]) == ("client_disconnected", "info")


def test_a_cancelled_websocket_says_so(at: Desk) -> None:
    with pytest.raises(asyncio.CancelledError):
        at.drive(saying(ACCEPT, then=asyncio.CancelledError()), [CONNECT], **socket_scope())
    assert at.requests()[-1]["event.reason"] == "cancelled"


def test_what_a_middleware_of_the_server_changes_is_what_the_events_say(at: Desk) -> None:
    async def behind_a_proxy(scope: Any, receive: Receive, send: Send) -> None:
        scope["client"] = ("203.0.113.9", 0)  # as uvicorn's ProxyHeadersMiddleware does
        scope["scheme"] = "wss"
        await echo(scope, receive, send)

    at.drive(behind_a_proxy, [CONNECT, left(1000)], **socket_scope())
    assert {(event["client.ip"], event["url.scheme"]) for event in at.requests()} == {("203.0.113.9", "wss")}


def test_two_traces_are_none(at: Desk) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    both = [("traceparent", f"00-{trace}-b7ad6b7169203331-01")] * 2
    at.drive(echo, [CONNECT, left(1000)], headers=both, **socket_scope())
    assert at.requests()[-1]["trace.id"] != trace


def test_websockets_beyond_the_in_flight_table_are_counted_while_they_are_open(at: Desk) -> None:
    inflight, cells = at.pipeline().journal.inflight, at.pipeline().journal.cells
    taken, inflight.free[:] = list(inflight.free), []
    overflow: list[int] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        overflow.append(cells[Cell.IN_FLIGHT_OVERFLOW])
        await echo(scope, receive, send)

    end_of(at, app, left(1000))
    assert (overflow, cells[Cell.IN_FLIGHT_OVERFLOW]) == ([1], 0)
    inflight.free[:] = taken
