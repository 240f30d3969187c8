"""Bound context variables are labels of the request's own event, wherever in the request they were bound."""

import contextvars
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import Depends, FastAPI, Request, Response
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.websockets import WebSocket
from structlog.contextvars import get_contextvars

from tests.worker.driving import Desk, Message, Receive, Send, desk

Next = Callable[[Request], Awaitable[Response]]
bind = structlog.contextvars


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def shop() -> FastAPI:
    app = FastAPI()

    def sync_dependency() -> None:
        bind.bind_contextvars(by_sync_dependency="yes")

    async def async_dependency() -> None:
        bind.bind_contextvars(by_async_dependency="yes")

    @app.get("/async", dependencies=[Depends(sync_dependency), Depends(async_dependency)])
    async def in_the_loop() -> None:
        bind.bind_contextvars(user="ann", amount=12.5, basket={"size": "small"}, password="hunter2")

    @app.get("/sync")
    def in_a_thread() -> None:
        bind.bind_contextvars(user="ann")

    @app.get("/fails")
    def fails() -> None:
        with bind.bound_contextvars(user="ann"):
            raise LookupError("no such order")

    @app.get("/nothing")
    async def nothing() -> None:
        return None

    @app.websocket("/feed")
    async def feed(socket: WebSocket) -> None:
        await socket.accept()
        bind.bind_contextvars(user="ann")
        await socket.close()

    return app


def labels(at: Desk) -> dict[str, Any]:
    event = at.requests()[-1]
    return {**event.get("labels", {}), **event.get("numeric_labels", {})}


@pytest.mark.parametrize("middleware", [False, True], ids=["alone", "below BaseHTTPMiddleware"])
def test_what_handlers_and_dependencies_bind_is_on_the_request(at: Desk, middleware: bool) -> None:
    app = shop()
    if middleware:

        async def passed(request: Request, call_next: Next) -> Response:
            bind.clear_contextvars()
            bind.bind_contextvars(tenant="acme")
            return await call_next(request)

        app.add_middleware(BaseHTTPMiddleware, dispatch=passed)
    tenant = {"tenant": "acme"} if middleware else {}
    at.drive(app, path="/async")
    assert labels(at) == {
        **tenant, "user": "ann", "amount": 12.5, "basket.size": "small", "password": "[redacted:password]",
        "by_sync_dependency": "yes", "by_async_dependency": "yes",
    }  # fmt: skip
    at.drive(app, path="/sync")
    assert labels(at) == {**tenant, "user": "ann"}
    at.drive(app, path="/nothing")
    assert labels(at) == tenant


def test_a_value_that_was_bound_around_the_exception_finds_the_failed_request(at: Desk) -> None:
    at.drive(shop(), path="/fails")
    event = at.requests()[-1]
    assert (event["labels"], event["http.response.status_code"]) == ({"user": "ann"}, 500)
    assert event["error.type"] == "LookupError"


def test_values_cleared_at_the_end_of_a_request_are_still_the_requests(at: Desk) -> None:
    app = shop()

    async def tidy(request: Request, call_next: Next) -> Response:
        try:
            return await call_next(request)
        finally:
            bind.clear_contextvars()

    app.add_middleware(BaseHTTPMiddleware, dispatch=tidy)
    at.drive(app, path="/sync")
    assert labels(at) == {"user": "ann"}


async def rebinding(scope: Any, receive: Receive, send: Send) -> None:
    bind.bind_contextvars(old="1", kept="2", reset="before")
    bind.clear_contextvars()
    tokens = bind.bind_contextvars(user="ann", step="one", reset="after")
    bind.reset_contextvars(reset=tokens["reset"])
    bind.unbind_contextvars("step")
    with bind.bound_contextvars(user="bob", item="tea"):
        assert get_contextvars()["user"] == "bob"
    assert get_contextvars() == {"user": "ann"}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def test_cleared_unbound_and_reset_names_are_gone_and_the_last_value_counts(at: Desk) -> None:
    at.drive(rebinding)
    assert labels(at) == {"user": "ann", "item": "tea"}


def test_bound_labels_and_allowed_headers_are_beside_each_other(tmp_path: Path) -> None:
    with desk(tmp_path, allow_headers=["x-tenant"]) as at:
        at.drive(rebinding, headers=[("x-tenant", "acme")])
        assert labels(at) == {"user": "ann", "item": "tea", "http.request.header.x-tenant": "acme"}


def test_a_websockets_end_has_what_was_bound(at: Desk) -> None:
    asked: list[Message] = [{"type": "websocket.connect"}]
    at.drive(shop(), asked, type="websocket", path="/feed", scheme="ws", subprotocols=[])
    assert at.requests()[-1]["event.action"] == "ws-close"
    assert labels(at) == {"user": "ann"}


def test_outside_of_requests_nothing_is_noted(at: Desk) -> None:
    contextvars.copy_context().run(bind.bind_contextvars, user="nobody")
    at.drive(shop(), path="/nothing")
    assert labels(at) == {}


def test_thousands_of_bound_values_do_not_make_the_event_too_large(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        bind.bind_contextvars(**{f"value_{number}": "x" * 1000 for number in range(2000)})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    at.drive(app)
    assert 0 < len(str(labels(at))) < 16 * 1024
