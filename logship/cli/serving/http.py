"""The HTTP server of `logship up` and `logship page`: uvicorn with a limit of connections, over TLS if configured."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator

import uvicorn

from logship.collector.accept import Acceptor
from logship.collector.listen import TLS_HANDSHAKE_SECONDS
from logship.page.app import app
from logship.page.connection import HttpConnection
from logship.page.context import PageContext
from logship.search.query import Source

# Streams end by themselves when the process stops; clients that do not read get no more time than this.
STOP_SECONDS = 2
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\nconnection: close\r\n"
    b'content-length: 48\r\n\r\n{"error": "too many connections; retry shortly"}'
)

_logger = logging.getLogger("logship.page")


class Server(uvicorn.Server):
    """Serves `source` to at most `limit` clients at a time. The caller handles signals: it stops the collector as well.

    `refused_total`: connections beyond the limit."""

    def __init__(self, source: Source, context: PageContext, limit: int, tls: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app(source, context),
            log_config=None,
            access_log=False,
            lifespan="off",
            # Its parser limits the size of headers; uvicorn's other parser does not.
            http=HttpConnection,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        super().__init__(config)
        self._limit, self._tls = limit, tls
        self.refused_total = 0
        self.tasks: list[asyncio.Task[None]] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept. This replaces the servers of asyncio, which accept more than there are descriptors for."""
        await self.lifespan.startup()
        farewell = b"" if self._tls else BUSY
        acceptors = [
            Acceptor(listener, self._limit, self._serve_client, self._refused, farewell=farewell) for listener in sockets or []
        ]
        self.servers = acceptors  # type: ignore[assignment]
        self.tasks = [acceptor.accepting for acceptor in acceptors]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second. Raise the error that ended accepting."""
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.result()
                raise RuntimeError(f"{task.get_name()} ended unexpectedly")
        return await super().on_tick(counter)

    async def _serve_client(self, connection: socket.socket) -> None:
        def protocol() -> HttpConnection:
            return HttpConnection(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )

        loop = asyncio.get_running_loop()
        limits = {"ssl_handshake_timeout": TLS_HANDSHAKE_SECONDS} if self._tls else {}
        _, client = await loop.connect_accepted_socket(protocol, connection, ssl=self._tls, **limits)
        await client.ended.wait()

    def _refused(self, limit: int) -> None:
        self.refused_total += 1
        if self.refused_total == 1:
            _logger.warning(
                "HTTP clients are refused: %d connections are open (the limit); further ones are counted", limit
            )
