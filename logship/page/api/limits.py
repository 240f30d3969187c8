"""How much the page does at a time: queries, streams, exports, and results that slow clients have not read yet."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from logship.errors import SourceError
from logship.page.api.responses import error_response

# Each query may use every core and 32 MB per thread for the log being written: four at a time exceeded the memory limit of
# a `Reader`, and the collector in the same process must keep storing.
QUERIES_AT_A_TIME: Final = 2
# A client at the end of a longer queue would give up before its turn.
WAITING: Final = 128
STREAMS: Final = 64
# Each export holds a window of events, 40 MB of Python objects, until its client has read it.
EXPORTS: Final = 8
# Results that are complete and not read by their clients yet; one has up to 32 MB.
UNSENT_BYTES: Final = 128 * 2**20
PIECE_BYTES: Final = 64 * 2**10

T = TypeVar("T")

_logger = logging.getLogger("logship.page")


class Capacity:
    """Runs blocking work in threads and counts what is in progress. SourceError or 503 when a limit is reached.

    One per application; used in its event loop only."""

    def __init__(self) -> None:
        self._queries: anyio.CapacityLimiter | None = None
        self._streams = self._unsent_bytes = 0
        self.exports = 0

    async def query(self, task: Callable[[], T]) -> T:
        """Return the result of `task`, which queries the source; at most QUERIES_AT_A_TIME run at the same time."""
        if self._queries is None:
            self._queries = anyio.CapacityLimiter(QUERIES_AT_A_TIME)
        if self._queries.statistics().tasks_waiting >= WAITING:
            raise SourceError(f"too many queries: {QUERIES_AT_A_TIME} are running and {WAITING} are waiting; retry shortly")
        return await anyio.to_thread.run_sync(task, limiter=self._queries)

    async def check(self, task: Callable[[], T]) -> T:
        """Return the result of `task` in a separate thread: a readiness probe must not wait for queries."""
        return await anyio.to_thread.run_sync(task, limiter=anyio.CapacityLimiter(1))

    def refuse_if_unsent(self) -> None:
        """SourceError while clients have too much left to read."""
        if self._unsent_bytes > UNSENT_BYTES:
            raise SourceError(f"{self._unsent_bytes} bytes of results wait for slow clients; retry shortly")

    def json(self, body: bytes) -> Response:
        """Return a JSON response that counts as unsent until its client has read it."""
        if len(body) <= PIECE_BYTES:
            return Response(body, media_type="application/json")
        length = {"content-length": str(len(body))}
        return StreamingResponse(self._pieces(body), media_type="application/json", headers=length)

    async def _pieces(self, body: bytes) -> AsyncIterator[bytes]:
        self._unsent_bytes += len(body)
        try:
            for start in range(0, len(body), PIECE_BYTES):
                yield body[start : start + PIECE_BYTES]
        finally:
            self._unsent_bytes -= len(body)

    def stream(self, parts: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]) -> Response:
        """Return a response that sends `parts` as they come; 503 if STREAMS are open."""
        if self._streams >= STREAMS:
            return error_response(f"{STREAMS} streams are open, the limit; close one", 503)
        # nginx would hold parts back until it has some kilobytes.
        return _Stream(self._counted(parts), media_type=media_type, headers={"x-accel-buffering": "no", **headers})

    async def _counted(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            async for part in parts:
                yield part
        finally:
            self._streams -= 1


class _Stream(StreamingResponse):
    """When the source fails, the body has no end: the server closes the connection, and the client notices."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except SourceError as error:
            _logger.warning("a response was interrupted: %s", error)
