"""A service whose handlers block its event loop for a given time, for bench_watchdog.py. The culprits are marked "# blocks".

GET /WAY?seconds=N answers with when it began and ended (wall clock, nanoseconds), its CPU time and the marked lines. Ways
whose length cannot be chosen exactly (a regular expression, JSON, collections) come near it."""

import gc
import json
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import logship.auto  # noqa: F401

MIB = 2**20
# The longest document; half a second and more.
JSON_BYTES = 50 * MIB
HEAP_OBJECTS = 1_500_000


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


ITEM = json.dumps({"number": 1, "name": "x" * 20, "prices": [1.5, 2.5], "tags": {"a": None}})
SMALL = f"[{', '.join([ITEM] * 10_000)}]"
SQL = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {0}) SELECT sum(x) FROM c"
database = sqlite3.connect(":memory:", check_same_thread=False)
heap = [[number, [number]] for number in range(HEAP_OBJECTS)]
gc.freeze()  # not to be visited by collections that nobody planted

# Measured once, to turn seconds into sizes.
REGEX_SECONDS = timed(lambda: re.match(r"(a+)+$", "a" * 18 + "b"))
JSON_SECONDS = timed(lambda: json.loads(SMALL))
SQL_SECONDS = timed(lambda: database.execute(SQL.format(200_000)).fetchone()) / 200_000


def sleep(seconds: float) -> None:
    time.sleep(seconds)  # blocks


def compute(seconds: float) -> None:
    until, total = time.perf_counter() + seconds, 0
    while time.perf_counter() < until:  # blocks
        total += 1  # blocks


def match(seconds: float) -> None:
    length = 18
    while REGEX_SECONDS * 2 ** (length + 1 - 18) < seconds * 1.4:
        length += 1
    text = "a" * length + "b"
    re.match(r"(a+)+$", text)  # blocks


def parse(seconds: float) -> None:
    times = max(1, min(round(10_000 * seconds / JSON_SECONDS), JSON_BYTES // len(ITEM)))
    document = f"[{', '.join([ITEM] * times)}]"  # blocks
    json.loads(document)  # blocks


def query(seconds: float) -> None:
    database.execute(SQL.format(int(seconds / SQL_SECONDS))).fetchone()  # blocks


def collect(seconds: float) -> None:
    gc.unfreeze()
    until = time.perf_counter() + seconds
    while True:
        gc.collect()  # blocks
        if time.perf_counter() > until:
            break
    gc.freeze()


WAYS: dict[str, Callable[[float], None]] = {way.__name__: way for way in (sleep, compute, match, parse, query, collect)}
SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()


def marked(way: Callable[[float], None]) -> list[int]:
    """Return the numbers of the lines of `way` that block."""
    code = way.__code__
    lines = {line for _, _, line in code.co_lines() if line is not None}
    return sorted(line for line in lines if SOURCE[line - 1].endswith("# blocks"))


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        return
    answer = {}
    way = WAYS.get(scope["path"][1:])
    if way is not None:
        seconds = float(scope["query_string"].decode().partition("=")[2])
        began, cpu_ns = time.time_ns(), time.thread_time_ns()
        way(seconds)
        cpu_ns = time.thread_time_ns() - cpu_ns
        answer = {"began": began, "ended": time.time_ns(), "cpu_ns": cpu_ns, "lines": marked(way)}
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
