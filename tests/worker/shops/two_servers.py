"""A process with two servers, as an API beside a port for metrics; the second stops after a second."""

import asyncio
import contextlib
import os
from typing import Any

import uvicorn

import logship.auto  # noqa: F401


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request; no lifespan."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


class Server(uvicorn.Server):
    """A server beside another: signals belong to nobody."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


async def main() -> None:
    """Serve on both, stop one, go on with the other."""
    first, second = (
        Server(uvicorn.Config(app, port=port, log_level="warning")) for port in (int(os.environ["PORT"]), 0)
    )
    serving, beside = asyncio.create_task(first.serve()), asyncio.create_task(second.serve())
    await asyncio.sleep(1)
    second.should_exit = True
    await beside
    print("one has stopped", flush=True)
    await serving


asyncio.run(main())
