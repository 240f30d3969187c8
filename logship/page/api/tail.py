"""`/api/tail`: new events as server-sent events.

One message for each event. The id of the last message of a batch is the key at which `Last-Event-ID` resumes. The message
"skipped" means that the store does not reach the client's key: it is another store, or it was emptied."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from logship.errors import SourceError
from logship.page.api.limits import Capacity
from logship.page.api.params import QUERY_NAMES, params_of
from logship.page.api.responses import as_json
from logship.page.context import PageContext
from logship.search.pages import is_ahead
from logship.search.query import Query, Rows, Source

NAMES: Final = (*QUERY_NAMES, "after", "limit")
MEDIA_TYPE: Final = "text/event-stream"
POLL_SECONDS: Final = 0.25
# Proxies close a connection that is silent for a minute. A comment also shows whether the client is still connected.
SILENCE_NS: Final = 15 * 10**9
SKIPPED: Final = b'event: skipped\ndata: {"reason":"this store does not reach Last-Event-ID"}\n\n'


class Tail:
    """The endpoint. A stream ends when the process stops or the source fails."""

    def __init__(self, source: Source, context: PageContext, capacity: Capacity) -> None:
        self._source, self._context, self._capacity = source, context, capacity

    async def respond(self, request: Request) -> Response:
        params = params_of(request, self._context, NAMES)
        query, limit = params.query(), params.whole("limit", 1000, 1000)
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        after = request.headers.get("last-event-id") or params.maybe("after")
        newest = await self._read(query, None, limit)
        skipped = is_ahead(after, newest.next)
        first = await self._read(query, newest.next if skipped or after is None else after, limit)
        return self._capacity.stream(self._messages(query, limit, first, skipped), MEDIA_TYPE, {})

    async def _read(self, query: Query, after: str | None, limit: int) -> Rows:
        return await self._capacity.query(lambda: self._source.tail(query, after, limit))

    async def _messages(self, query: Query, limit: int, rows: Rows, skipped: bool) -> AsyncIterator[bytes]:
        yield (SKIPPED if skipped else b"") + as_messages(rows)
        sent_ns = time.monotonic_ns()
        try:
            while not self._context.stopping():
                rows = await self._read(query, rows.next, limit)
                if rows.records or time.monotonic_ns() - sent_ns > SILENCE_NS:
                    sent_ns = time.monotonic_ns()
                    yield as_messages(rows)
                # Records are not kept: 64 streams would hold them while they wait.
                full, rows = len(rows.records) >= limit, Rows([], rows.next)
                if not full:
                    await asyncio.sleep(POLL_SECONDS)
        except SourceError as error:
            yield b"event: error\ndata: " + as_json({"error": str(error)}) + b"\n\n"


def as_messages(rows: Rows) -> bytes:
    """Return one message for each record, the last with the id; without records a comment with the id."""
    key = f"id: {rows.next}\n" if rows.next is not None else ""
    if not rows.records:
        return f": nothing new\n{key}\n".encode()
    messages = [b"data: " + as_json(record) + b"\n\n" for record in rows.records]
    return b"".join(messages[:-1]) + key.encode() + messages[-1]
