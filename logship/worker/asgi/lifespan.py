"""Lifespan: the worker is closed when its last server shuts down. atexit does not run on SIGTERM, so it cannot wait."""

from logship.worker.asgi.types import Application, Message, Receive, Scope, Send
from logship.worker.capture import install as capture
from logship.worker.pipeline import Pipeline
from logship.worker.servers import detect, lifecycle

ENDS = {"lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup.failed"}


async def serve(app: Application, scope: Scope, receive: Receive, send: Send, pipeline: Pipeline) -> None:
    """Pass lifespan on to `app`, and close the worker before its end is reported to the server.

    An application without lifespan is replaced by one that does nothing, so that the worker is closed all the same. Not
    if the server requires lifespan (`--lifespan on`): then the application's exception must stop the server."""
    received = closing = False
    server, required = detect.lifespan_server(scope)

    async def logged_receive() -> Message:
        nonlocal received, closing
        received = True
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            closing = lifecycle.stopping(server)
            if closing:
                pipeline.begin_closing()
        return message

    async def logged_send(message: Message) -> None:
        nonlocal closing
        if message["type"] == "lifespan.startup.complete":
            lifecycle.started(server)
            capture.reassert()
        elif message["type"] == "lifespan.startup.failed":
            closing = lifecycle.stopping(server)
        if closing and message["type"] in ENDS:
            await lifecycle.close(pipeline)
        await send(message)

    try:
        await app(scope, logged_receive, logged_send)
    except Exception:
        if received or required:
            raise
    if not received:
        await _do_nothing(logged_receive, logged_send)


async def _do_nothing(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
