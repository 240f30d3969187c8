"""`logship.metrics()`: an ASGI application that serves the metrics of all workers of its service."""

import asyncio
from typing import TYPE_CHECKING

from logship.worker import registry
from logship.worker.asgi.types import Application, Receive, Scope, Send
from logship.worker.metrics.own import registry_of

if TYPE_CHECKING:
    from logship.prometheus.exposition import Exposition

MISSING = b"the metrics need prometheus_client: pip install 'logship[metrics]'\n"
NOT_CONFIGURED = b"logship is not configured in this process: import logship.auto before the application\n"
TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


def metrics() -> Application:
    """Return the application, to be mounted: `app.mount("/metrics", logship.metrics())`.

    One scrape has the metrics of all workers of the service on this machine, whichever worker answers. It is rendered in a
    thread, not on the event loop. Without prometheus_client it answers 501 and says what to install."""
    return _serve


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    if scope["method"] not in {"GET", "HEAD"}:
        await _respond(send, 405, [(b"allow", b"GET, HEAD")], b"")
        return
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    try:
        exposition = await _in_thread(headers.get(b"accept", ""), headers.get(b"accept-encoding", ""))
    except ImportError:
        await _respond(send, 501, TEXT, MISSING)
        return
    if exposition is None:
        await _respond(send, 503, TEXT, NOT_CONFIGURED)
        return
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in exposition.headers]
    await _respond(send, 200, fields, exposition.body if scope["method"] == "GET" else b"")


async def _in_thread(accept: str, accept_encoding: str) -> "Exposition | None":
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio: the loop waits
        return _expose(accept, accept_encoding)
    return await loop.run_in_executor(None, _expose, accept, accept_encoding)


def _expose(accept: str, accept_encoding: str) -> "Exposition | None":
    from logship.prometheus.exposition import expose

    pipeline = registry.existing()
    return None if pipeline is None else expose(registry_of(pipeline), accept, accept_encoding)


async def _respond(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
