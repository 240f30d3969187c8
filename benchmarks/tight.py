"""One way to log requests in a tight loop without a server: `python tight.py VARIANT`, driven by stdin.

Each line of stdin is a number of requests. The output is three numbers: CPU microseconds per request without logging, with
it (this thread), and of other threads, measured when everything is shipped or written."""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import apps
from apps import Application, Message

HEADERS = [
    (b"host", b"shop.example.com:8000"),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    ),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip"),
    (b"accept-language", b"en"),
    (b"cookie", b"a=b"),
    (b"connection", b"keep-alive"),
]


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    return None


def drive(application: Application) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        # A server creates new bytes objects for each request, so their hashes are not cached.
        "headers": [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in HEADERS],
        "path": "/orders/7",
        "raw_path": b"/orders/7",
        "query_string": b"",
        "method": "GET",
        "http_version": "1.1",
        "scheme": "http",
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
    }
    step = application(scope, receive, send)
    with suppress(StopIteration):
        step.__await__().send(None)


def access(application: Application) -> Application:
    """Log uvicorn's access line as its HTTP protocols do."""
    from uvicorn.logging import AccessFormatter
    from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

    log = logging.getLogger("uvicorn.access")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(AccessFormatter('%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'))
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)

    async def wrapped(scope: Any, receive: apps.Receive, send: apps.Send) -> None:
        await application(scope, receive, send)
        log.info(
            '%s - "%s %s HTTP/%s" %d',
            get_client_addr(scope),
            scope["method"],
            get_path_with_query_string(scope),
            scope["http_version"],
            200,
        )

    return wrapped


def shipped(variant: str) -> Callable[[], object]:
    """Return a function that waits until everything logged so far is delivered."""
    if variant == "logship":
        import logship

        return lambda: logship.flush(5)
    return lambda: time.sleep(0.05)


def main(variant: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = (Path(os.environ["BENCH_FOLDER"]) / "lines").open("w")
    logged = access(apps.bare) if variant == "access" else apps.build("bare", variant)
    wait = shipped(variant)
    for line in sys.stdin:
        count = int(line)
        started = time.thread_time_ns()
        for _ in range(count):
            drive(apps.bare)
        middle, process = time.thread_time_ns(), time.process_time_ns()
        for _ in range(count):
            drive(logged)
        ended = time.thread_time_ns()
        wait()
        others = (time.process_time_ns() - process) - (time.thread_time_ns() - middle)
        print(*((part / count / 1000) for part in (middle - started, ended - middle, others)), file=answers)


if __name__ == "__main__":
    main(sys.argv[1])
