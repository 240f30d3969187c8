"""`configure` again, as services do that read their settings in lifespan: everything holds for what comes later."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import logship
from logship.worker.capture import stdlib
from logship.worker.pipeline import Pipeline
from tests.worker.driving import Desk, Message, Receive, Send, desk


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path / "state") as made:
        yield made


async def app(scope: Any, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"ok"})


def again(tmp_path: Path, **settings: object) -> None:
    told = {"service": "shop", "agent": "off", "state_dir": str(tmp_path / "state"), "probes": (), **settings}
    logship.configure(**told)


def header(sent: list[Message], name: bytes) -> bytes | None:
    return dict(sent[0]["headers"]).get(name)


def test_what_a_request_event_says_follows_the_last_configure(at: Desk, tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "query_string": b"page=3&token=x",
        "headers": [("x-tenant", "acme"), ("cookie", "theme=dark"), ("x-request-id", "first"), ("x-call", "second")],
    }
    before, sent = at.ask(app, **asked)
    assert (before["http.request.id"], header(sent, b"x-request-id")) == ("first", b"first")
    again(
        tmp_path,
        service="store",
        version="2",
        environment="production",
        slow_seconds=0,
        allow_query=["page"],
        allow_headers=["x-tenant"],
        allow_cookies=["theme"],
        client_ip="truncated",
        request_id_header="x-call",
    )
    after, sent = at.ask(app, **asked)
    assert "tags" not in before
    assert after["tags"] == ["slow"]
    assert "url.query" not in before
    assert after["url.query"] == "page=3"
    assert after["labels"] == {"http.request.header.x-tenant": "acme", "http.request.cookie.theme": "dark"}
    assert (before["client.ip"], after["client.ip"]) == ("10.1.2.3", "10.1.2.0")
    assert (after["service.name"], after["service.version"], after["service.environment"]) == ("store", "2", "production")
    assert (after["http.request.id"], header(sent, b"x-call")) == ("second", b"second")
    assert header(sent, b"x-request-id") is None


def test_probes_and_sampling_follow_the_last_configure(at: Desk, tmp_path: Path) -> None:
    at.drive(app, path="/ready")
    assert len(at.requests()) == 1
    again(tmp_path, probes=["/ready"])
    at.drive(app, path="/ready")
    assert len(at.requests()) == 1
    again(tmp_path, sample_ratio=0)
    at.drive(app, path="/orders/7")
    assert len(at.requests()) == 1
    again(tmp_path)
    at.drive(app, path="/ready")
    assert len(at.requests()) == 2


def test_names_to_redact_hold_for_what_was_seen_before(at: Desk, tmp_path: Path) -> None:
    def say() -> None:
        logging.getLogger("shop").info("signed in", extra={"loyalty_number": "77-12"})
        at.drive(app, path="/card", query_string=b"loyalty_number=77-12")

    again(tmp_path, allow_query=["loyalty_number"])
    say()
    again(tmp_path, allow_query=["loyalty_number"], redact_names=["loyalty_number"])
    say()
    first, second = at.said()
    assert (first["labels"]["loyalty_number"], second["labels"]["loyalty_number"]) == ("77-12", "[redacted:named]")
    assert ["77-12" in event["url.query"] for event in at.requests()] == [True, False]


def test_configure_in_lifespan_is_taken_by_the_request_log_that_runs_it(at: Desk, tmp_path: Path) -> None:
    async def serving(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await app(scope, receive, send)
        await receive()
        again(tmp_path, slow_seconds=0)
        await send({"type": "lifespan.startup.complete"})
        return None

    async def startup() -> None:
        async def receive() -> Message:
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            return None

        await logship.RequestLog(serving)({"type": "lifespan"}, receive, send)

    asyncio.run(startup())
    event, _ = at.ask(serving)
    assert event["tags"] == ["slow"]


def test_the_size_of_the_journal_and_the_heartbeats_follow_the_last_configure(at: Desk, tmp_path: Path) -> None:
    pipeline: Pipeline = at.pipeline()
    limit, shipper = pipeline.journal.limit_segments, pipeline.shipper
    again(tmp_path, journal_limit_bytes=4 * 2**20, heartbeat_seconds=1)
    assert limit > pipeline.journal.limit_segments > 1
    assert pipeline.shipper is not shipper  # the thread that beats was made again


def test_access_lines_are_heard_again_when_the_setting_says_so(at: Desk, tmp_path: Path) -> None:
    at.pipeline()
    access = logging.getLogger("uvicorn.access")
    stdlib.mute_access()
    again(tmp_path, mute_access=False)
    assert not access.disabled
    assert "hasHandlers" not in vars(access)
