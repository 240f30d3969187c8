"""A shop that does nothing but log once and answer, as quickly as it can."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import logship

logship.configure()
log = logship.get_logger("shop")
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"2")]


async def shop(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    log.info("order placed", order=scope["path"], filling="x" * 100)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"ok"})


app = logship.RequestLog(shop)
