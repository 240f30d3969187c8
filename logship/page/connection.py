"""One HTTP connection: how long a client may take, and what it is told if it does not speak HTTP.

uvicorn waits for ever for a request that does not come and for a client that does not read; both hold a descriptor and
memory. Its timers begin after an answer only."""

import asyncio
import socket
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# A request is one packet; a client that needs longer for it is not there, or means harm.
REQUEST_SECONDS = 15.0
# Nothing of an answer was taken for so long: the kernel's own buffers are full, too.
STALLED_SECONDS = 60.0
CHECK_SECONDS = 5.0
# What a TLS handshake begins with.
TLS_RECORD = 0x16
TOLD = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{}"
NOT_FORWARD = "This is logship's HTTP port; events go to its Forward port (24224 by default): correct LOGSHIP_AGENT.\n"
NOT_TLS = "This HTTP port does not speak TLS: write http://, or set LOGSHIP_HTTP_CERT_FILE.\n"


class HttpConnection(H11Protocol):
    """uvicorn's connection, sending each answer at once and closed when its client stalls. `ended`: set at its end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.ended = asyncio.Event()
        self._heard = False
        self._waits_since = time.monotonic()
        self._stalled_since: float | None = None
        self._check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            # asyncio does so only for sockets made with IPPROTO_TCP. Without it the second piece of an answer waits 40 ms
            # for the client's acknowledgement of the first.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._check_later()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._check is not None:
            self._check.cancel()
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        first, self._heard = not self._heard, True
        if first and (told := _mistaken(data)):
            self.transport.write(TOLD.format(len(told), told).encode())
            self.transport.close()
            return
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._waits_since = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._stalled_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = None
        super().resume_writing()

    def _check_later(self) -> None:
        self._check = self.loop.call_later(CHECK_SECONDS, self._close_if_stalled)

    def _close_if_stalled(self) -> None:
        now = time.monotonic()
        answering = self.cycle is not None and not self.cycle.response_complete
        waits = not answering and now - self._waits_since > REQUEST_SECONDS
        stalled = self._stalled_since is not None and now - self._stalled_since > STALLED_SECONDS
        if waits or stalled:
            self.transport.abort()
        else:
            self._check_later()


def _mistaken(data: bytes) -> str:
    """What to tell a client whose first bytes are not HTTP; empty if they may be."""
    if data[0] == TLS_RECORD:
        return NOT_TLS
    return NOT_FORWARD if data[0] >= 0x80 else ""
