"""Logs every hostile value we know, in an endless round, until `events` of them are logged; and requests that are no better.

As application fields, as names of fields, as messages, as exceptions; through structlog and through logging."""

import asyncio
import logging
import sys
import time
from collections.abc import Iterator, MutableMapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import logship

logship.configure()
log = logship.get_logger("hostile")
plain = logging.getLogger("hostile.plain")


class Refuses:
    """Nothing can be learnt of it."""

    def __repr__(self) -> str:
        raise ValueError("no")


def deep(levels: int, value: object = "bottom") -> object:
    """A map in a map in a map."""
    for number in range(levels):
        value = {"down": value} if number % 2 else [value]
    return value


CYCLE: dict[str, object] = {"a": 1}
CYCLE["self"] = CYCLE

VALUES: list[object] = [
    None, "", " ", "\x00", "a\x00b", "\ud800 alone", "é" * 40_000, "x" * 1_000_000, "🙂" * 9_000, b"\xff\xfe", b"x" * 100_000,
    2**31, 2**63, 2**64, -(2**70), 10**400, 0.1, float("nan"), float("inf"), float("-inf"), 1e308, -0.0, 5e-324, True,
    Decimal("1e999999"), Decimal("NaN"), 3 + 4j, UUID(int=7), date(1, 1, 1), datetime(9999, 12, 31, tzinfo=UTC), timedelta.max,
    "2026-01-01T00:00:00Z", "not a date", "10.0.0.1", "999.1.1.1", "true", "null", "NaN", "1e400", "[1, 2]", '{"a": 1}',
    [], {}, [[]], [{}], [None], [1, "a", None, {"b": 2}], list(range(10_000)), {str(number): number for number in range(5_000)},
    deep(20), deep(62), deep(63), deep(100), deep(990), {"deep": deep(30)}, CYCLE, [CYCLE], Refuses(), {"x": Refuses()}, object(),
    Refuses, len, (number for number in range(3)), {1: "one", None: "none", (1, 2): "pair", 2.5: "half"},
    {"": 1, " ": 2, ".": 3, "..": 4, ".x": 5, "x.": 6, "a..b": 7, "\x00": 8, "a\x00b": 9, "k" * 60_000: 10, "é" * 600: 11},
    {"": "a", " ": "b", ".": "c", "..": "d", ".x": "e", "x.": "f", "a..b": "g", "\x00": "h", "k" * 60_000: "i", "*": "j"},
    {"a": 1, "a.b": 2, "a.b.c": "text"}, {"a": "text"}, {"a": {"b": "text"}}, {"a": [1]}, {"a": True},
]  # fmt: skip
NAMES = [
    "field", "message", "event", "level", "timestamp", "@timestamp", "_id", "_index", "_source", "_routing", "_ignored", "_tier",
    "event.id", "event.sequence", "service.name", "service", "http", "labels", "numeric_labels", "numeric_labels.x", "client.ip",
    "tags", "log.level", "logship.worker.slot", "host", "error", "error.stack_trace", "ecs.version", "data_stream.type",
    "", " ", ".", "..", ".x", "x.", "a..b", "a.b", "a", "\x00", "a\x00b", "é", "🙂", "k" * 60_000, "*", "a*b", 'qu"ote',
    "back\\slash", "new\nline",
]  # fmt: skip
PATHS = ["/", "/ä", "/\x00", "/" + "x" * 40_000, "/a b?c", "//", "", "/%zz", "/\udcff"]
HEADERS = [b"", b"\x00", b"\xff\xfe", b"x" * 40_000, b"a: b\r\nc: d", "ü".encode(), b'"\\']


def tells(value: object) -> bool:
    """Whether str() of it works: without that `logging` itself has nothing to log."""
    try:
        return bool(str(value)) or True
    except ValueError:
        return False


def rounds() -> Iterator[None]:
    """One log call at each step, for ever."""
    calls = 0
    while True:
        for name in NAMES:
            for value in VALUES:
                calls += 1
                if calls % 3:
                    log.bind(**{name: value}).info("bound") if name != "event" else log.info(value)
                elif calls % 2:
                    plain.warning("%s of %s", name[:100], type(value), extra={f"x_{name}": value})
                elif tells(value):
                    plain.info(value)
                else:
                    continue
                yield
        for value in VALUES:
            try:
                raise ValueError(value)
            except ValueError:
                log.exception("failed")
            yield


async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Answers with what a server would let through."""
    await receive()
    kind = scope["headers"][0][1]
    await send(
        {"type": "http.response.start", "status": 599, "headers": [(b"content-type", kind), (b"content-length", kind)]}
    )
    await send({"type": "http.response.body", "body": b""})


async def ask(path: str, header: bytes) -> None:
    """One request, as a server hands it on."""
    names = (b"x-odd", b"x-request-id", b"user-agent", b"host", b"traceparent", b"x-forwarded-for", b"content-length")
    scope = {
        "type": "http", "method": "X" * 300, "path": path, "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": header, "headers": [(name, header) for name in names], "client": (path[:50], 70_000),
        "server": ("h", None), "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": header, "more_body": False}

    async def send(message: object) -> None:
        return

    await logship.RequestLog(app)(scope, receive, send)


events = int(sys.argv[1])
for path in PATHS:
    for header in HEADERS:
        asyncio.run(ask(path, header))
for number, _ in zip(range(events), rounds(), strict=False):
    if number % 50 == 49:
        time.sleep(0.05)  # the agent is given time: the journal has a limit, and these events are large
sys.stdout.write("logged\n")
sys.stdout.flush()
sys.exit(0 if logship.shutdown(deadline_seconds=60) else 1)
