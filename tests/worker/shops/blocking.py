"""A service whose handlers block its event loop, each in its own way."""

import asyncio
import json
import re
import sqlite3
import time
from typing import Any

import anyio.to_thread

import logship.auto  # noqa: F401

ITEMS = json.dumps([{"number": number, "name": "x" * 20} for number in range(300_000)])


def sleep() -> None:
    time.sleep(0.3)


def compute() -> None:
    until = time.thread_time() + 0.4  # on a busy machine it takes longer
    while time.thread_time() < until:
        pass


def match() -> None:
    re.match(r"(a+)+$", "a" * 24 + "b")


def parse() -> None:
    json.loads(ITEMS)


def query() -> None:
    sqlite3.connect(":memory:").execute(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000000) SELECT sum(x) FROM c"
    ).fetchone()


def long() -> None:
    time.sleep(1.6)


def forever() -> None:
    time.sleep(600)


WAYS = {way.__name__: way for way in (sleep, compute, match, parse, query, long, forever)}


async def other_task() -> None:
    WAYS["sleep"]()


async def in_thread(seconds: float = 0.5) -> None:
    await anyio.to_thread.run_sync(time.sleep, seconds)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    way = scope["path"][1:]
    if way in WAYS:
        WAYS[way]()
    elif way == "task":
        await asyncio.create_task(other_task())
    elif way == "thread":
        await in_thread()
    elif way == "hang":
        await anyio.sleep(30)
    elif way == "pool":
        await in_thread(2)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})
