"""Measure the highest cost of one request or log call, by the size of the data that a client or application sends.

python benchmarks/bench_hostile.py

For each kind of text: microseconds of CPU per request, compared with the same request without logging. The text is the most
expensive one for the redactor and differs each time. The last row is the cost of redacting the whole text before cutting it. The
columns are text sizes: the cost must not grow with the size."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from machine import scratch, table

import logship
from logship.event.redact import Redactor

SIZES = [100, 1_000, 10_000, 100_000, 1_000_000]
TIMES = {100: 200, 1_000: 100, 10_000: 40, 100_000: 10, 1_000_000: 4}
HOSTILE = "api key: "

Scope = dict[str, Any]


def texts(size: int) -> Iterator[str]:
    """Yield different texts of `size` characters."""
    number = 0
    while True:
        number += 1
        yield f"{number} {HOSTILE * (size // len(HOSTILE) + 1)}"[:size]


def scope_of(**others: Any) -> Scope:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/orders/7",
        "query_string": b"",
        "headers": [(b"host", b"shop.example")],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
        **others,
    }


def header(name: str) -> Callable[[str], Scope]:
    return lambda text: scope_of(headers=[(name.encode(), text.encode())])


REQUESTS: dict[str, Callable[[str], Scope]] = {
    "user agent": header("user-agent"),
    "host": header("host"),
    "request id": header("x-request-id"),
    "traceparent": header("traceparent"),
    "header allowed by name": header("x-tenant"),
    "cookies, one allowed": lambda text: scope_of(
        headers=[(b"cookie", (f"c={text[:2000]};" + "a=b;" * (len(text) // 4)).encode())]
    ),
    "path": lambda text: scope_of(path="/" + text),
    "query, one name allowed": lambda text: scope_of(query_string=f"q={text}".encode()),
    "method": lambda text: scope_of(method=text),
    "address": lambda text: scope_of(client=(text, 1)),
}
VALUES: dict[str, Callable[[str], dict[str, object]]] = {
    "field: one text": lambda text: {"value": text},
    "field: list of short texts": lambda text: {"value": [text[at : at + 50] for at in range(0, len(text), 50)]},
    "field: map with many names": lambda text: {
        "value": {text[at : at + 50] + str(at): 1 for at in range(0, len(text), 50)}
    },
    "field: shared, 2^n deep": lambda text: {"value": shared(len(text))},
}


def shared(size: int) -> list[object]:
    inner: list[object] = [HOSTILE]
    while size > 1:
        inner, size = [inner, inner], size // 2
    return inner


async def app(scope: Scope, receive: Any, send: Any) -> None:
    if "fails" in scope:
        raise ValueError(scope["fails"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def nothing(*_: Any) -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def cost_us(call: Callable[[Any], object], made: list[Any]) -> float:
    """Return the median CPU time in microseconds that `call` takes for each of `made`."""
    took = []
    for one in made:
        began = time.thread_time_ns()
        call(one)
        took.append(time.thread_time_ns() - began)
    return sorted(took)[len(took) // 2] / 1000


def drive(application: Any) -> Callable[[Scope], None]:
    def call(scope: Scope) -> None:
        step = application(scope, nothing, nothing)
        with contextlib.suppress(StopIteration, ValueError):
            step.__await__().send(None)

    return call


def main() -> None:
    with scratch() as folder:
        measure(Path(folder))


def measure(folder: Path) -> None:
    logship.configure(
        service="shop", state_dir=folder, agent="off", console="off", allow_headers="x-tenant", allow_query="q",
        allow_cookies="c", probes=(), journal_limit_bytes=2**30,
    )  # fmt: skip
    log = logging.getLogger("shop")
    logged, plain = drive(logship.RequestLog(app)), drive(app)
    redactor = Redactor()
    rows = []
    for name, make in REQUESTS.items():
        above = cost_by_size(make, logged)
        below = cost_by_size(make, plain)
        rows.append([name, *(f"{with_log - without:,.0f}" for with_log, without in zip(above, below, strict=True))])
    calls: dict[str, tuple[Callable[[str], Any], Callable[[Any], object]]] = {
        "exception with the text": (lambda text: scope_of(fails=text), logged),
        **{name: (make, lambda extra: log.info("seen", extra=extra)) for name, make in VALUES.items()},
        "log message": (str, log.info),
        "for comparison: redact the whole text": (str, redactor.text),
    }
    rows += [[name, *(f"{cost:,.0f}" for cost in cost_by_size(*call))] for name, call in calls.items()]
    table(
        "Highest cost of one request or log call",
        ["us of CPU, by size of the text", *(f"{size:,}" for size in SIZES)],
        rows,
    )
    logship.shutdown(0)


def cost_by_size(make: Callable[[str], Any], call: Callable[[Any], object]) -> list[float]:
    found = []
    for size in SIZES:
        some = texts(size)
        found.append(cost_us(call, [make(next(some)) for _ in range(TIMES[size])]))
    return found


if __name__ == "__main__":
    main()
