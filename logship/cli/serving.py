"""The HTTP side of `logship up` and `logship page`: uvicorn with a limit of connections, TLS, and our signals."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn

from logship.collector.accept import Acceptor
from logship.collector.listen import TLS_HANDSHAKE_SECONDS
from logship.page.app import app
from logship.page.connection import HttpConnection
from logship.page.context import PageContext
from logship.search.query import Source

# Streams end by themselves when the process does; a client that reads nothing is not waited for longer.
STOP_SECONDS = 2
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\nconnection: close\r\n"
    b'content-length: 48\r\n\r\n{"error": "too many connections; retry shortly"}'
)

_logger = logging.getLogger("logship.page")


# Different troubles that are named; a process that has more says so once.
NAMED_TROUBLES = 100


def name_troubles_once(loop: asyncio.AbstractEventLoop) -> None:
    """Log each kind of trouble that asyncio has with a callback or a task once: it may come a thousand times a second."""
    named: set[tuple[str, str]] = set()

    def tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        kind = (str(context.get("message")), type(error).__name__)
        if kind in named or len(named) >= NAMED_TROUBLES:
            return
        named.add(kind)
        _logger.error(
            "internal error, please report it: %s (further ones of this kind are not logged)", kind[0], exc_info=error
        )

    loop.set_exception_handler(tell)


class Server(uvicorn.Server):
    """Serves `source` on a listening socket, to `most` clients at a time, over TLS if there is a context.

    Leaves the signals to the caller: the page stops together with the collector."""

    def __init__(self, source: Source, context: PageContext, most: int, tls: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app(source, context),
            log_config=None,
            access_log=False,
            lifespan="off",
            # Its parser bounds headers; the other one reads as much as it is sent.
            http=HttpConnection,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        super().__init__(config)
        self._most, self._tls = most, tls
        self.refused_total = 0
        self.parts: list[asyncio.Task[None]] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept. In place of asyncio's servers, which accept more than there are descriptors for."""
        await self.lifespan.startup()
        farewell = b"" if self._tls else BUSY
        made = [Acceptor(one, self._most, self._serve_one, self._refused, farewell=farewell) for one in sockets or []]
        self.servers = made  # type: ignore[assignment]
        self.parts = [one.accepting for one in made]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn's, ten times a second; raises what ended the accepting."""
        for part in self.parts:
            if part.done() and not part.cancelled():
                part.result()
                raise RuntimeError(f"{part.get_name()} ended by itself")
        return await super().on_tick(counter)

    async def _serve_one(self, connection: socket.socket) -> None:
        def protocol() -> HttpConnection:
            return HttpConnection(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )

        loop = asyncio.get_running_loop()
        patience = {"ssl_handshake_timeout": TLS_HANDSHAKE_SECONDS} if self._tls else {}
        _, made = await loop.connect_accepted_socket(protocol, connection, ssl=self._tls, **patience)
        await made.ended.wait()

    def _refused(self, most: int) -> None:
        self.refused_total += 1
        if self.refused_total == 1:
            _logger.warning(
                "HTTP clients are refused: %d connections are open, the limit; further ones are counted", most
            )
