"""The measured applications, and the ways to log their requests. `uvicorn apps:app` reads BENCH_APP and BENCH_LOG.

BENCH_APP   bare     plain ASGI, one route        fastapi   the same route
BENCH_LOG   none     no logging                   access    uvicorn's access log
            recipe   structlog + QueueHandler + JSON, as most guides recommend
            fluent   fluent-logger (synchronous) in a middleware, to BENCH_SINK
            logship  `import logship.auto`; uvicorn's access log is on until the first acknowledgement silences it"""

import logging
import os
import sys
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from time import perf_counter
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Wrapper = Callable[[Application], Application]


class Route:
    path_format = "/orders/{id}"


ROUTE = Route()


async def bare(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    scope["route"] = ROUTE
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x"})


def fastapi() -> Application:
    from fastapi import FastAPI

    made = FastAPI()

    @made.get("/orders/{number}")
    async def order(number: int) -> dict[str, float]:
        return {"id": number, "total": 99.9}

    return made


def around(application: Application, begin: Callable[[Message], None], log: Callable[..., None]) -> Application:
    """A pure ASGI middleware that calls `begin` with the scope, and `log` with the usual fields of a request."""

    async def wrapped(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await application(scope, receive, send)
        began, status = perf_counter(), 500
        begin(scope)

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await application(scope, receive, noted)
        finally:
            headers = {name: value for name, value in scope["headers"] if name in {b"user-agent", b"host"}}
            log(
                method=scope["method"],
                path=scope["path"],
                status_code=status,
                duration_ms=round((perf_counter() - began) * 1000, 3),
                client_ip=scope["client"][0],
                user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
                host=headers.get(b"host", b"").decode("latin-1"),
            )
        return None

    return wrapped


def recipe(application: Application) -> Application:
    import structlog

    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    QueueListener(queue, handler).start()
    logging.getLogger().handlers = [QueueHandler(queue)]
    logging.getLogger().setLevel(logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger("requests")

    def begin(scope: Message) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=uuid.uuid4().hex)

    return around(application, begin, lambda **fields: log.info("request", **fields))


def fluent(application: Application) -> Application:
    from fluent.sender import FluentSender

    sender = FluentSender("shop", host="127.0.0.1", port=int(os.environ["BENCH_SINK"]), nanosecond_precision=True)

    def log(**fields: object) -> None:
        sender.emit("request", {**fields, "request_id": uuid.uuid4().hex})

    return around(application, lambda scope: None, log)


def accounted(application: Application) -> Application:
    import logship

    logship.configure()
    return logship.RequestLog(application)


WRAPPERS: dict[str, Wrapper] = {"recipe": recipe, "fluent": fluent, "logship": accounted}


def build(kind: str, log: str) -> Application:
    application = fastapi() if kind == "fastapi" else bare
    return WRAPPERS[log](application) if log in WRAPPERS else application


if "BENCH_APP" in os.environ:
    if os.environ["BENCH_LOG"] == "logship":
        import logship.auto  # noqa: F401  what a user writes

        app = build(os.environ["BENCH_APP"], "none")
    else:
        app = build(os.environ["BENCH_APP"], os.environ["BENCH_LOG"])
