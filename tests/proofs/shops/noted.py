"""A shop that notes beside logship what it does: one line by os.write into a file of each process.

`begun ID`, then `logged ID STEP` when a log call has returned, `ended ID` when RequestLog has; `serving` after start-up."""

import asyncio
import ctypes
import os
import random
import resource
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import logship

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

STEPS = 3
MEMORY_BYTES = 64 * 2**20
_notes = os.open(Path(os.environ["NOTES"]) / f"{os.getpid()}.notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

logship.configure()
log = logship.get_logger("shop")


def note(text: str) -> None:
    os.write(_notes, text.encode() + b"\n")


def request_id(scope: Scope) -> str:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return headers[b"x-request-id"].decode()


async def shop(scope: Scope, receive: Receive, send: Send) -> None:
    """Log in steps, then answer the pid. `/hang` never answers; `/exit`, `/segfault` and `/memory` do what they say."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    name = request_id(scope)
    note(f"begun {name}")
    if scope["path"] == "/memory":
        _eat_memory(name)
    for step in range(STEPS):
        log.info("step", step=step, filling="x" * 200)
        note(f"logged {name} {step}")
        await asyncio.sleep(random.uniform(0, 0.02))
    if scope["path"] == "/hang":
        await asyncio.sleep(600)
    if scope["path"] == "/exit":
        os._exit(1)
    if scope["path"] == "/segfault":
        ctypes.string_at(0)
    body = str(os.getpid()).encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _eat_memory(name: str) -> None:
    """Live from now on with an address space that is used up, and log in it."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    hoard = []
    try:
        while True:
            hoard.append(bytearray(2**20))
    except MemoryError:
        for step in range(100):
            log.warning("no memory", step=100 + step, filling="x" * 200)
            note(f"logged {name} {100 + step}")
        raise


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            note("serving")
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class Noted:
    """Outside of RequestLog: notes that it has returned, and with it the request's event was journalled."""

    def __init__(self, logged: logship.RequestLog) -> None:
        self.logged = logged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.logged(scope, receive, send)
        finally:
            if scope["type"] == "http":
                note(f"ended {request_id(scope)}")


app = Noted(logship.RequestLog(shop))
