"""Sizes of request and response bodies."""

import os
from collections.abc import Iterable
from time import perf_counter_ns

from logship.worker.asgi.types import Message, Receive


class RequestBody:
    """Counts the bytes of a request body as the application receives it.

    `disconnected_ns`: when the application received that the client disconnected (`perf_counter_ns`), else 0."""

    __slots__ = ("_receive", "disconnected_ns", "received_bytes")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.received_bytes = self.disconnected_ns = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.disconnected_ns = perf_counter_ns()
        else:
            self.received_bytes += len(message.get("body", b""))
        return message


def file_bytes(message: Message, headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the size of a file that the server sends by itself (`pathsend`, `zerocopysend`); 0 if it is unknown."""
    count = message.get("count")
    if isinstance(count, int):
        return count
    for name, value in headers:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    try:
        if "path" in message:
            return os.stat(message["path"]).st_size
        return os.fstat(message["file"].fileno()).st_size - (message.get("offset") or 0)
    except Exception:  # not a file: the server will report it
        return 0
