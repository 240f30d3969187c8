"""One way to log from an application, in a tight loop: `python calls.py VARIANT`, driven by stdin.

Each line of stdin is a number of calls. The output is two numbers: CPU microseconds per call of the caller, and of other
threads, measured when everything is written or shipped."""

import logging
import os
import sys
import time
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue
from typing import Any

Call = Callable[[], object]
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def folder() -> Path:
    return Path(os.environ["BENCH_FOLDER"])


def stdlib(handler: logging.Handler) -> Call:
    log = logging.getLogger("shop.orders")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    return lambda: log.info("order placed", extra={"order_id": 7, "customer": "ada"})


def file_handler() -> logging.Handler:
    handler = logging.FileHandler(folder() / "app.log")
    handler.setFormatter(logging.Formatter(FORMAT))
    return handler


def queue_handler() -> logging.Handler:
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    QueueListener(queue, file_handler()).start()
    return QueueHandler(queue)


def structured(log: Any) -> Call:
    return lambda: log.info("order placed", order_id=7, customer="ada")


def through_get_logger() -> Call:
    import logship

    logship.configure()
    return structured(logship.get_logger("shop.orders"))


def through_structlog() -> Call:
    import structlog

    import logship

    logship.configure()
    return structured(structlog.get_logger())


def through_stdlib() -> Call:
    import logship

    logship.configure()
    log = logging.getLogger("shop.orders")
    return lambda: log.info("order placed", extra={"order_id": 7, "customer": "ada"})


def structlog_json() -> Call:
    import orjson
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory((folder() / "app.log").open("ab")),
        cache_logger_on_first_use=True,
    )
    return structured(structlog.get_logger())


def fluent(synchronous: bool) -> Call:
    from fluent.asyncsender import FluentSender as Asynchronous
    from fluent.sender import FluentSender

    port = int(os.environ["BENCH_SINK"])
    sender = (FluentSender if synchronous else Asynchronous)("shop", host="127.0.0.1", port=port)
    return lambda: sender.emit("orders", {"message": "order placed", "order_id": 7, "customer": "ada"})


def loguru() -> Call:
    from loguru import logger

    logger.remove()
    logger.add(folder() / "app.log", serialize=True)
    return lambda: logger.info("order placed", order_id=7, customer="ada")


VARIANTS: dict[str, tuple[str, Callable[[], Call]]] = {
    "get_logger": ("logship.get_logger", through_get_logger),
    "structlog": ("structlog, configured by logship", through_structlog),
    "stdlib": ("stdlib logging, captured by logship", through_stdlib),
    "file": ("stdlib FileHandler, text", lambda: stdlib(file_handler())),
    "queue": ("stdlib QueueHandler, listener writes text", lambda: stdlib(queue_handler())),
    "json": ("structlog, orjson lines to a file", structlog_json),
    "loguru": ("loguru, JSON lines to a file", loguru),
    "fluent": ("fluent-logger, synchronous", lambda: fluent(True)),
    "fluent-async": ("fluent-logger, asynchronous", lambda: fluent(False)),
}


def main(variant: str) -> None:
    call = VARIANTS[variant][1]()
    wait: Call = lambda: time.sleep(0.05)  # noqa: E731
    if "logship" in sys.modules:
        import logship

        wait = lambda: logship.flush(5)  # noqa: E731
    for line in sys.stdin:
        count = int(line)
        started, process = time.thread_time_ns(), time.process_time_ns()
        for _ in range(count):
            call()
        ended = time.thread_time_ns()
        wait()
        others = (time.process_time_ns() - process) - (time.thread_time_ns() - started)
        print((ended - started) / count / 1000, others / count / 1000, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
