"""RequestLog: what the account of a request says, in every way that a request can go."""

import asyncio
import contextvars
import logging
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import structlog
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import PlainTextResponse
from websockets.sync.client import connect

import logship
from logship.event.entry import ENTRY_LIMIT_BYTES
from logship.event.remember import TOTAL_BYTES
from logship.state.identity import Cell
from logship.state.inflight import CELL_COUNT, parse
from logship.worker import context
from tests.worker.driving import EMPTY, Desk, Message, Receive, Send, desk, scope_of
from tests.worker.serving import Server, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def answering(*bodies: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Any:
    """An application that sends `bodies` one by one."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for place, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": place < len(bodies) - 1})

    return app


def header(sent: list[Message], name: bytes) -> list[bytes]:
    return [value for key, value in sent[0]["headers"] if key == name]


# What a complete request says.


def test_a_request_says_who_asked_for_what_and_what_came_back(at: Desk) -> None:
    app = answering(b"hello", headers=((b"content-type", b"text/plain"),))
    event, _ = at.ask(app, headers=[("host", "shop.example:8000"), ("user-agent", "curl/8")])
    expected = {
        "event.action": "http-request",
        "event.outcome": "success",
        "event.reason": "complete",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.response.mime_type": "text/plain",
        "http.response.body.bytes": 5,
        "http.request.body.bytes": 0,
        "http.version": "1.1",
        "url.path": "/orders/7",
        "url.scheme": "http",
        "url.domain": "shop.example",
        "user_agent.original": "curl/8",
        "client.ip": "10.1.2.3",
        "client.port": 4711,
        "log.level": "info",
    }
    assert {name: event.get(name) for name in expected} == expected
    assert event["message"].startswith("GET /orders/7 200 ")
    assert 0 <= event["logship.ttfb_ns"] <= event["event.duration"]


def test_the_bytes_of_a_stream_are_added_up(at: Desk) -> None:
    event, _ = at.ask(answering(b"one", b"two", b"", b"three"))
    assert event["http.response.body.bytes"] == 11
    assert event["event.reason"] == "complete"


@pytest.mark.parametrize("status", [204, 304, 200])
def test_an_empty_answer_is_complete(at: Desk, status: int) -> None:
    event, _ = at.ask(answering(b"", status=status))
    assert (event["http.response.status_code"], event["event.reason"]) == (status, "complete")
    assert event["http.response.body.bytes"] == 0


def test_a_body_message_without_a_body_is_complete(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    event, _ = at.ask(app)
    assert event["event.reason"] == "complete"


def test_head_sends_no_body(at: Desk) -> None:
    event, _ = at.ask(answering(b"the server leaves this away"), method="HEAD")
    assert event["http.response.body.bytes"] == 0
    assert event["message"].startswith("HEAD /orders/7 200 ")


def test_early_hints_are_not_the_answer(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await answering(b"page", status=201)(scope, receive, send)

    event, _ = at.ask(app)
    assert event["http.response.status_code"] == 201


def test_a_chunked_upload_is_counted(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await answering(b"thanks")(scope, receive, send)

    chunks = [{"type": "http.request", "body": b"x" * size, "more_body": size < 300} for size in (100, 200, 300)]
    event, _ = at.ask(app, chunks, method="POST", headers=[("transfer-encoding", "chunked")])
    assert event["http.request.body.bytes"] == 600


def test_time_after_the_last_byte_is_background_and_no_part_of_the_duration(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await answering(b"soon")(scope, receive, send)
        await asyncio.sleep(0.05)

    event, _ = at.ask(app)
    assert event["logship.background_ns"] >= 50_000_000 > event["event.duration"]


@pytest.mark.parametrize(
    ("headers", "message", "sent_bytes"),
    [
        (((b"content-length", b"42"),), {"type": "http.response.pathsend"}, 42),
        ((), {"type": "http.response.pathsend"}, 5000),
        ((), {"type": "http.response.zerocopysend", "count": 300}, 300),
        ((), {"type": "http.response.zerocopysend", "offset": 1000}, 4000),
    ],
)
def test_a_file_that_the_server_sends_counts_its_bytes(
    at: Desk, tmp_path: Path, headers: tuple[tuple[bytes, bytes], ...], message: Message, sent_bytes: int
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    with (tmp_path / "file").open("rb") as file:
        where = {"path": str(tmp_path / "file")} if "path" in message["type"] else {"file": file}

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
            await send({**message, **where})

        event, _ = at.ask(app)
    assert (event["http.response.body.bytes"], event["event.reason"]) == (sent_bytes, "complete")


def test_a_client_makes_no_event_larger_than_its_limit_and_nothing_remembers_it(tmp_path: Path) -> None:
    with desk(tmp_path, allow_headers="x-tenant", allow_query="q", allow_cookies="c") as at:
        for number in range(300):
            long = f"{number} " + "ab " * 20_000
            headers = [(name, long) for name in ("user-agent", "host", "x-tenant", "x-request-id", "traceparent")]
            headers += [("x-tenant", "again")] * 1000 + [("cookie", f"c={long}")] * 3
            at.drive(answering(b""), headers=headers, method="M" * 60_000, path=f"/{long}", query_string=f"q={long}".encode())
        policy = at.pipeline().policy
        assert max(len(str(event)) for event in at.requests()) < ENTRY_LIMIT_BYTES
        assert policy.heads.total_bytes + policy.clients.total_bytes < 2 * TOTAL_BYTES
        assert policy.heads.total_bytes < 100_000
        assert len(at.requests()) == 300


# How it can end otherwise.


def test_what_fails_after_the_answer_is_no_failure_of_the_request(at: Desk) -> None:
    app = FastAPI()

    def work() -> None:
        raise RuntimeError("mail server is away")

    @app.get("/orders/{number}")
    async def order(number: int, tasks: BackgroundTasks) -> int:
        tasks.add_task(work)
        return number

    event, _ = at.ask(app)
    assert (event["http.response.status_code"], event["event.outcome"]) == (200, "success")
    assert (event["event.reason"], event["log.level"]) == ("background_failed", "error")
    assert event["error.message"] == "mail server is away"


def test_a_handler_that_answers_an_exception_kindly_hides_no_failure(at: Desk) -> None:
    app = FastAPI()

    @app.get("/orders/{number}")
    async def order(number: int) -> int:
        raise RuntimeError("no")

    @app.exception_handler(Exception)
    async def on_error(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", 422)

    event, _ = at.ask(app)
    assert (event["http.response.status_code"], event["event.outcome"]) == (422, "failure")
    assert event["event.reason"] == "server_error"


def test_an_exception_before_the_answer_is_a_500(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError("division by zero")

    event, _ = at.ask(app)
    assert (event["event.reason"], event["http.response.status_code"]) == ("server_error", 500)
    assert (event["event.outcome"], event["log.level"]) == ("failure", "error")
    assert event["error.type"] == "ZeroDivisionError"
    assert "test_requestlog.py" in event["error.stack_trace"]


def test_an_exception_in_the_middle_of_the_answer_keeps_the_status_that_was_sent(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("the other half is gone")

    event, _ = at.ask(app)
    assert (event["event.reason"], event["event.outcome"]) == ("server_error", "failure")
    assert event["http.response.status_code"] == 200
    assert event["http.response.body.bytes"] == 4
    assert event["error.message"] == "the other half is gone"


def test_an_exception_reaches_the_server(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        raise KeyError("mine")

    async def nothing(*_: Any) -> Any:
        return EMPTY

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(logship.RequestLog(app)(scope_of(), nothing, nothing))


def test_an_application_that_answers_nothing_failed(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        return

    event, _ = at.ask(app)
    assert (event["event.reason"], event["event.outcome"]) == ("server_error", "failure")


def test_a_client_that_goes_during_the_upload_is_told_apart(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request" and message.get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            await answering(b"for nobody", status=400)(scope, receive, send)

    chunk = {"type": "http.request", "body": b"x" * 100, "more_body": True}
    event, _ = at.ask(app, [chunk, {"type": "http.disconnect"}], method="POST", headers=[("content-length", "1000")])
    assert event["event.reason"] == "client_disconnected"
    assert event["http.request.body.bytes"] == 100


def test_a_stream_that_ends_because_the_client_has_gone_is_told_apart(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    event, _ = at.ask(app, [{"type": "http.disconnect"}])
    assert (event["event.reason"], event["http.response.status_code"]) == ("client_disconnected", 200)


def test_the_disconnect_that_servers_tell_after_a_complete_answer_is_none(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await answering(b"all of it")(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    event, _ = at.ask(app, [{"type": "http.disconnect"}], method="POST", headers=[("content-length", "1")])
    assert event["event.reason"] == "complete"


def test_a_cancelled_request_says_so(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    async def cancelled() -> None:
        async def nothing(*_: Any) -> Any:
            return EMPTY

        task = asyncio.create_task(logship.RequestLog(app)(scope_of(), nothing, nothing))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert at.requests()[-1]["event.reason"] == "cancelled"


# Ids.


def test_a_request_id_is_kept_and_returned(at: Desk) -> None:
    event, sent = at.ask(answering(b""), headers=[("x-request-id", "abc-123")])
    assert event["http.request.id"] == "abc-123"
    assert header(sent, b"x-request-id") == [b"abc-123"]


@pytest.mark.parametrize("bad", ["", "with space", "x" * 300, "<script>", "a\x7fb"])
def test_a_bad_request_id_is_replaced(at: Desk, bad: str) -> None:
    event, sent = at.ask(answering(b""), headers=[("x-request-id", bad)])
    assert event["http.request.id"] != bad
    assert len(event["http.request.id"]) == 32
    assert header(sent, b"x-request-id") == [event["http.request.id"].encode()]


def test_the_application_may_set_the_request_id_itself(at: Desk) -> None:
    _, sent = at.ask(answering(b"", headers=((b"x-request-id", b"mine"),)))
    assert header(sent, b"x-request-id") == [b"mine"]


def test_a_trace_is_continued(at: Desk) -> None:
    event, _ = at.ask(answering(b""), headers=[("traceparent", f"00-{TRACE}-{PARENT}-01")])
    assert (event["trace.id"], event["parent.id"]) == (TRACE, PARENT)
    assert event["span.id"] == event["transaction.id"] != PARENT


@pytest.mark.parametrize(
    "bad",
    ["", "00", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{PARENT}-01", "00-xyz-1-01"],
)
def test_an_invalid_trace_is_replaced(at: Desk, bad: str) -> None:
    event, _ = at.ask(answering(b""), headers=[("traceparent", bad)])
    assert len(event["trace.id"]) == 32
    assert event["trace.id"] not in {TRACE, "0" * 32}
    assert "parent.id" not in event


def test_two_traces_are_none(at: Desk) -> None:
    both = [("traceparent", f"00-{TRACE}-{PARENT}-01"), ("traceparent", f"00-{TRACE}-{PARENT}-01")]
    event, _ = at.ask(answering(b""), headers=both)
    assert event["trace.id"] != TRACE
    assert "parent.id" not in event


def test_the_request_id_is_returned_in_the_500_of_a_framework_too(at: Desk) -> None:
    app = FastAPI()

    @app.get("/orders/{number}")
    async def order(number: int) -> int:
        raise RuntimeError("no")

    seen = []

    @app.exception_handler(Exception)
    async def on_error(request: Any, error: Exception) -> PlainTextResponse:
        structlog.get_logger().error("handled")
        seen.append(error)
        return PlainTextResponse("sorry", 500)

    event, sent = at.ask(app, headers=[("x-request-id", "r-1")])
    assert header(sent, b"x-request-id") == [b"r-1"]
    assert (event["http.response.status_code"], event["http.route"]) == (500, "/orders/{number}")
    assert event["error.type"] == "RuntimeError"
    assert at.said()[-1]["http.request.id"] == "r-1"


# What is kept.


def test_probes_are_counted_and_only_those_that_fail_are_logged(tmp_path: Path) -> None:
    with desk(tmp_path, probes=("/health*", "/ping")) as at:
        at.drive(answering(b"ok"), path="/healthz")
        at.drive(answering(b"ok"), path="/ping", method="HEAD")
        at.drive(answering(b"no", status=503), path="/health")
        at.drive(answering(b"ok"), path="/pinged")
        at.drive(answering(b"ok"), path="/healthcare/patients/7")
        at.drive(answering(b"ok"), path="/healthz", method="POST")
        paths = [event["url.path"] for event in at.requests()]
        assert paths == ["/health", "/pinged", "/healthcare/patients/7", "/healthz"]
        assert at.pipeline().journal.cells[Cell.PROBES] == 2


def test_sampling_spares_failures_and_slow_requests(tmp_path: Path) -> None:
    async def slow(scope: Any, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)
        await answering(b"")(scope, receive, send)

    with desk(tmp_path, sample_ratio=0.0, slow_seconds=0.04) as at:
        for _ in range(20):
            at.drive(answering(b"ok"))
        at.drive(answering(b"", status=404))
        at.drive(slow)
        assert [event["http.response.status_code"] for event in at.requests()] == [404, 200]
        assert at.pipeline().journal.cells[Cell.SAMPLED_OUT] == 20


def test_requests_beyond_the_in_flight_table_are_counted_while_they_run_and_logged_all_the_same(at: Desk) -> None:
    inflight, cells = at.pipeline().journal.inflight, at.pipeline().journal.cells
    taken, inflight.free[:] = list(inflight.free), []
    overflow: list[int] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        overflow.append(cells[Cell.IN_FLIGHT_OVERFLOW])
        await answering(b"ok")(scope, receive, send)

    event, _ = at.ask(app)
    assert event["event.reason"] == "complete"
    assert (overflow, cells[Cell.IN_FLIGHT_OVERFLOW]) == ([1], 0)
    inflight.free[:] = taken
    at.ask(answering(b"ok"))
    assert len(inflight.free) == CELL_COUNT


def test_a_request_is_in_the_table_while_it_is_answered(at: Desk) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        seen.extend(parse(bytes(at.pipeline().journal.inflight.map)))
        await answering(b"")(scope, receive, send)

    at.ask(app, headers=[("x-request-id", "r-9")])
    assert [(one.request_id, one.method, one.path) for one in seen] == [("r-9", "GET", "/orders/7")]
    assert parse(bytes(at.pipeline().journal.inflight.map)) == []


def test_the_servers_line_about_a_recorded_exception_is_not_a_second_event(at: Desk) -> None:
    failures: list[Exception] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        failures.append(ValueError("no card"))
        raise failures[0]

    at.drive(app)
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=failures[0])
    logging.getLogger("uvicorn.error").error("another", exc_info=KeyError("unknown"))
    assert [event["message"] for event in at.events() if event["log.level"] == "error"] [1:] == ["another"]


def test_one_inside_another_steps_aside(at: Desk) -> None:
    at.drive(logship.RequestLog(answering(b"ok")))
    assert len(at.requests()) == 1


# Events of the application carry the request.


def test_what_the_application_logs_carries_the_request_wherever_it_runs(at: Desk) -> None:
    pool = ThreadPoolExecutor(1)
    app = FastAPI()

    def work(where: str) -> None:
        structlog.get_logger().info(where)
        logging.getLogger("shop").info("stdlib in %s", where)

    @app.get("/orders/{number}")
    async def order(number: int, tasks: BackgroundTasks) -> int:
        structlog.contextvars.bind_contextvars(customer="ada", basket=3)
        work("handler")
        await asyncio.to_thread(work, "to_thread")
        await asyncio.get_running_loop().run_in_executor(pool, work, "pool")
        pool.submit(work, "submit").result()
        await asyncio.create_task(asyncio.to_thread(work, "task"))
        tasks.add_task(work, "background")
        return number

    event, _ = at.ask(app, headers=[("x-request-id", "r-2"), ("traceparent", f"00-{TRACE}-{PARENT}-01")])
    pool.shutdown()
    said = [one for one in at.said() if one["log.logger"] in {"app", "shop"}]
    places = ["handler", "to_thread", "pool", "submit", "task", "background"]
    assert [one["message"] for one in said if one["log.logger"] == "app"] == places
    for one in said:
        assert (one["http.request.id"], one["trace.id"], one["http.route"]) == ("r-2", TRACE, "/orders/{number}")
        assert one["span.id"] == event["span.id"]
        assert one["labels"]["customer"] == "ada", one
        assert one["numeric_labels"]["basket"] == 3


def test_what_is_logged_outside_of_requests_carries_none(at: Desk) -> None:
    at.drive(answering(b"ok"))
    structlog.get_logger().info("later")
    assert "http.request.id" not in at.said()[-1]


# Lifespan.

LIFESPAN: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]


async def without_lifespan(scope: Any, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"


async def silent_on_lifespan(scope: Any, receive: Receive, send: Send) -> None:
    return


@pytest.mark.parametrize("app", [without_lifespan, silent_on_lifespan])
def test_an_application_without_lifespan_gets_one_that_says_goodbye(at: Desk, app: Any) -> None:
    sent = at.drive(app, LIFESPAN, type="lifespan")
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert [event.get("event.action") for event in at.events()] == ["worker-started", "worker-closed"]


def test_a_start_that_fails_is_passed_on_and_the_worker_is_closed(at: Desk) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    assert at.drive(app, LIFESPAN, type="lifespan") == [{"type": "lifespan.startup.failed", "message": "no database"}]
    assert [event.get("event.action") for event in at.events()] == ["worker-started", "worker-closed"]


def test_the_worker_is_closed_when_the_last_of_its_servers_stops(at: Desk) -> None:
    async def two_servers() -> None:
        stop = [asyncio.Event(), asyncio.Event()]
        servers = []
        for event in stop:
            messages = iter([LIFESPAN[0], LIFESPAN[1]])

            async def receive(messages: Iterator[Message] = messages, event: asyncio.Event = event) -> Message:
                message = next(messages)
                if message["type"] == "lifespan.shutdown":
                    await event.wait()
                return message

            async def send(message: Message) -> None:
                return

            app = logship.RequestLog(without_lifespan)
            servers.append(asyncio.create_task(app({"type": "lifespan"}, receive, send)))
        await asyncio.sleep(0.01)
        stop[0].set()
        await servers[0]
        assert at.pipeline().journal.cells[Cell.CLOSING] == 0
        stop[1].set()
        await servers[1]

    asyncio.run(two_servers())
    assert [event.get("event.action") for event in at.events()] == ["worker-started", "worker-closed"]


ROUTED: list[tuple[dict[str, Any], str | None]] = [
    ({}, "/orders/{n}"),
    ({"root_path": "/api/v1"}, "/api/v1/orders/{n}"),
    ({"root_path": "/api/v1/sub", "app_root_path": "/api/v1"}, "/api/v1/sub/orders/{n}"),
    ({"root_path": "/sub", "app_root_path": ""}, "/sub/orders/{n}"),
    (
        {"root_path": "/api/shops/7", "app_root_path": "/api", "path_params": {"shop": 7, "n": 1}},
        "/api/shops/{shop}/orders/{n}",
    ),
]


@pytest.mark.parametrize(("scope", "route"), ROUTED)
def test_a_route_is_the_whole_template_with_prefixes_and_mounts(
    at: Desk, scope: dict[str, Any], route: str | None
) -> None:
    class Route:
        path_format = "/orders/{n}"

    async def app(inner: Any, receive: Receive, send: Send) -> None:
        inner.update({"route": Route(), **scope})
        await answering(b"ok")(inner, receive, send)

    assert at.ask(app)[0]["http.route"] == route


def test_mounted_applications_have_whole_routes_behind_a_prefix(at: Desk) -> None:
    app, sub = FastAPI(), FastAPI()

    @app.get("/orders/{n}")
    def order(n: int) -> int:
        return n

    @sub.get("/items/{n}")
    def item(n: int) -> int:
        return n

    app.mount("/shops/{shop}", sub)
    for path, route in (
        ("/api/v1/orders/7", "/api/v1/orders/{n}"),
        ("/api/v1/shops/9/items/7", "/api/v1/shops/{shop}/items/{n}"),
    ):
        event, _ = at.ask(app, path=path, raw_path=path.encode(), root_path="/api/v1")
        assert event["http.route"] == route


# What never happens.


def test_a_context_that_outlives_its_request_keeps_the_route_but_not_the_scope(at: Desk) -> None:
    class Route:
        path_format = "/orders/{number}"

    kept: list[contextvars.Context] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        scope["route"] = Route()
        kept.append(contextvars.copy_context())  # as the timers of a server do
        await answering(b"ok")(scope, receive, send)

    at.drive(app)
    kept[0].run(logging.getLogger("shop").info, "late")
    [said] = [event for event in at.said() if event["message"] == "late"]
    assert said["http.route"] == "/orders/{number}"
    current = kept[0][context.REQUEST]
    assert current is not None
    assert [type(part) for part in current] == [bytes, bytes, bytes, str, type(None)]


def test_nothing_on_the_way_of_a_request_can_wait(at: Desk) -> None:
    """No call into the system while a request is accounted for: neither file nor socket, lock with others, nor sleep."""
    waits = {
        "open",
        "write",
        "pwrite",
        "writev",
        "read",
        "send",
        "sendall",
        "sendto",
        "recv",
        "connect",
        "fsync",
        "flush",
    }
    waits |= {
        "fdatasync",
        "sleep",
        "select",
        "poll",
        "lockf",
        "flock",
        "stat",
        "rename",
        "unlink",
        "ftruncate",
        "print",
    }
    at.drive(answering(b"warm"))
    called: list[str] = []

    async def watched() -> None:
        async def nothing(*_: Any) -> Any:
            return EMPTY

        request = logship.RequestLog(answering(b"ok"))(scope_of(), nothing, nothing)

        def note(frame: FrameType, event: str, argument: Any) -> None:
            if event == "c_call":
                called.append(argument.__name__)

        sys.setprofile(note)
        try:
            await request
        finally:
            sys.setprofile(None)

    asyncio.run(watched())
    assert "perf_counter_ns" in called
    assert not waits & set(called)


def test_a_mistake_of_ours_is_counted_and_the_answer_is_sent(at: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    sent = at.drive(answering(b"fine"), client=("10.0.0.1", object()), scheme=object())
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    sent = at.drive(answering(b"fine"), method="GET", http_version=object())
    assert len(sent) == 2
    total = len(at.requests()) + at.pipeline().journal.identity.dropped()["internal_error"]
    assert total == 2


# Clients of a real server.


def leave(server: Server, start: str, wait_for: bytes = b"") -> None:
    """Send `start`, wait until `wait_for` has come back, and go without a word."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(start.replace("\n", "\r\n").encode())
        got = b""
        while wait_for not in got:
            got += connection.recv(4096)
        time.sleep(0.1)


LEAVING = {
    "slow": "GET /slow HTTP/1.1\nHost: x\nx-request-id: slow\n\n",
    "events": "GET /events HTTP/1.1\nHost: x\nx-request-id: events\n\n",
    "upload": "POST /upload HTTP/1.1\nHost: x\nx-request-id: upload\nContent-Length: 1000\n\nhalf",
    "form": "POST /form HTTP/1.1\nHost: x\nx-request-id: form\nContent-Type: application/json\nContent-Length: 1000\n\n{",
}


@pytest.mark.parametrize("words", ["uvicorn leaving:app --port {port} --http h11", "uvicorn leaving:app --port {port}"])
def test_clients_that_leave_a_real_server_are_told_apart(tmp_path: Path, words: str) -> None:
    with Server(tmp_path, words) as server:
        server.wait_ready()
        for name, start in LEAVING.items():
            leave(server, start, b"tick" if name == "events" else b"")
        assert server.ask("/slow", request_id="stays") == (200, b"1")
        chat(server)
        until(lambda: len(server.requests()) == len(LEAVING) + 1, "the end of all requests")
        until(lambda: server.actions("ws-close"), "the end of the websocket")
        server.stop()
        reasons = {event["http.request.id"]: event["event.reason"] for event in server.actions("http-request")}
        assert reasons == {**dict.fromkeys(LEAVING, "client_disconnected"), "stays": "complete"}
        assert set(server.requests().values()) == {1}
        [closed] = server.actions("ws-close")
        assert (closed["http.request.body.bytes"], closed["logship.websocket.messages"]) == (5, 2)
        assert closed["http.route"] == "/chat"


def chat(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/chat") as talk:
        talk.send("hello")
        assert talk.recv() == "hello"
