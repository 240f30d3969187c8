"""A desk for tests of RequestLog: a pipeline in this process, applications driven by hand, events read back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

import logship
from logship.event import build
from logship.event.entry import unpack
from logship.state import segment
from logship.worker import configure, registry
from logship.worker.capture import install as capture
from logship.worker.pipeline import Pipeline
from logship.worker.servers import lifecycle

Message = MutableMapping[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

EMPTY: Message = {"type": "http.request", "body": b"", "more_body": False}


class Desk:
    """Drives applications inside RequestLog and reads what the journal then holds."""

    def pipeline(self) -> Pipeline:
        found = registry.current()
        assert found is not None
        return found

    def events(self) -> list[Event]:
        """All events of the journal, oldest first."""
        directory = self.pipeline().journal.directory
        assert directory is not None
        parts = [segment.read(directory / segment.file_name(number)) for number in segment.numbers(directory)]
        return [unpack(record)[1] for records in parts for record in records]

    def times(self) -> list[str]:
        """The times of all events, as RFC 3339."""
        directory = self.pipeline().journal.directory
        assert directory is not None
        parts = [segment.read(directory / segment.file_name(number)) for number in segment.numbers(directory)]
        return [build.time_text(unpack(record)[0]) for records in parts for record in records]

    def requests(self) -> list[Event]:
        """The request and websocket events."""
        return [event for event in self.events() if event["event.dataset"] == "logship.request"]

    def said(self) -> list[Event]:
        """The events of the application."""
        return [event for event in self.events() if event["event.dataset"] == "logship.app"]

    def ask(
        self, app: Application, messages: Iterable[Message] = (EMPTY,), **scope: Any
    ) -> tuple[Event, list[Message]]:
        """(event, what was sent) of one request; an exception of the application is swallowed, as servers do."""
        sent = self.drive(app, messages, **scope)
        event = self.requests()[-1]
        return event, sent

    def drive(self, app: Application, messages: Iterable[Message] = (EMPTY,), **scope: Any) -> list[Message]:
        """What was sent in answer to one request."""
        sent: list[Message] = []
        asyncio.run(self._drive(app, list(messages), sent, scope_of(**scope)))
        return sent

    async def _drive(self, app: Application, messages: list[Message], sent: list[Message], scope: Any) -> None:
        waiting = iter(messages)

        async def receive() -> Message:
            for message in waiting:
                return message
            await asyncio.sleep(600)
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        try:
            await logship.RequestLog(app)(scope, receive, send)
        except Exception:
            return


def scope_of(*, headers: Iterable[tuple[str, str]] = (), **others: Any) -> dict[str, Any]:
    """An HTTP scope as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/orders/7",
        "raw_path": b"/orders/7",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": ("10.1.2.3", 4711),
        "server": ("127.0.0.1", 8000),
        **others,
    }


@contextmanager
def desk(state: Path, **settings: object) -> Iterator[Desk]:
    """A configured process, and the same process as it was before."""
    root = logging.getLogger()
    level = root.level
    registry.forget()
    configure.configure(**{"service": "shop", "agent": "off", "state_dir": str(state), "probes": (), **settings})
    try:
        yield Desk()
    finally:
        found = registry.existing()
        if found is not None and found.shipper is not None:
            found.shipper.end()
        registry.install(None)
        registry.forget()
        lifecycle._serving.clear()
        configure._settings = None
        capture._level = None
        root.setLevel(level)
        structlog.reset_defaults()
