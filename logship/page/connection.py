"""One HTTP connection of the server: time limits for clients, and a hint for clients that do not speak HTTP.

uvicorn waits without limit for a first request and for a client that does not read its response; both hold a file
descriptor and memory. Its own timers start after a response."""

import asyncio
import socket
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# A request is one packet; a client that takes longer is gone or hostile.
REQUEST_SECONDS = 15.0
# How long a client may read nothing of a response while the kernel's buffers are full.
STALLED_SECONDS = 60.0
CHECK_SECONDS = 5.0
# The first byte of a TLS handshake.
TLS_RECORD = 0x16
BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{}"
NOT_FORWARD = "This is the HTTP port of logship. Send events to its Forward port (default 24224): correct LOGSHIP_AGENT.\n"
NOT_TLS = "This HTTP port does not use TLS: use http://, or set LOGSHIP_HTTP_CERT_FILE.\n"


class HttpConnection(H11Protocol):
    """uvicorn's connection without delayed packets, which closes when its client stalls. `ended` is set when it closes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.ended = asyncio.Event()
        self._received = False
        self._waits_since = time.monotonic()
        self._stalled_since: float | None = None
        self._check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            # asyncio does this only for sockets created with IPPROTO_TCP. Without it the second part of a response waits 40 ms
            # for the client's acknowledgement of the first part.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._check_later()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._check is not None:
            self._check.cancel()
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        first, self._received = not self._received, True
        if first and (hint := _hint(data)):
            self.transport.write(BAD_REQUEST.format(len(hint), hint).encode())
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
        responding = self.cycle is not None and not self.cycle.response_complete
        waits = not responding and now - self._waits_since > REQUEST_SECONDS
        stalled = self._stalled_since is not None and now - self._stalled_since > STALLED_SECONDS
        if waits or stalled:
            self.transport.abort()
        else:
            self._check_later()


def _hint(data: bytes) -> str:
    """Return a hint for a client whose first bytes cannot be HTTP; "" if they can."""
    if data[0] == TLS_RECORD:
        return NOT_TLS
    return NOT_FORWARD if data[0] >= 0x80 else ""
