"""`/api/export`: all events of a query as NDJSON or CSV, in constant memory.

A page is read from the source when the client has read the one before. If the source fails or the process stops, the
connection closes without the end of the body, so that the client notices."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from logship.errors import SourceError
from logship.page.api import limits
from logship.page.api.limits import Capacity
from logship.page.api.params import QUERY_NAMES, RequestParams, params_of
from logship.page.api.responses import error_response
from logship.page.context import PageContext
from logship.search.formats import Csv, ndjson
from logship.search.pages import column_names, record_pages
from logship.search.query import Query, Record, Source

NAMES: Final = (*QUERY_NAMES, "format")
MEDIA_TYPES: Final = {"ndjson": "application/x-ndjson", "csv": "text/csv"}


class Export:
    """The endpoint."""

    def __init__(self, source: Source, context: PageContext, capacity: Capacity) -> None:
        self._source, self._context, self._capacity = source, context, capacity

    async def respond(self, request: Request) -> Response:
        params = params_of(request, self._context, NAMES)
        query, form = _until_now(params), params.one_of("format", tuple(MEDIA_TYPES))
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPES[form])
        if self._capacity.exports >= limits.EXPORTS:
            return error_response(f"{limits.EXPORTS} exports are running, the limit; retry when one has ended", 503)
        head, write = await self._format(form)
        pages = record_pages(self._source, query)

        def read() -> bytes | None:
            records = next(pages, None)
            return None if records is None else write(records)

        first = await self._capacity.query(read)
        attachment = {"content-disposition": f'attachment; filename="logship.{form}"'}
        return self._capacity.stream(self._text(head, first, read), MEDIA_TYPES[form], attachment)

    async def _format(self, form: str) -> tuple[bytes, Callable[[Iterable[Record]], bytes]]:
        """Return the first line and the function that writes records."""
        if form == "ndjson":
            return b"", ndjson
        table = Csv(await self._capacity.query(lambda: column_names(self._source)))
        return table.head(), table.rows

    async def _text(self, head: bytes, first: bytes | None, read: Callable[[], bytes | None]) -> AsyncIterator[bytes]:
        self._capacity.exports += 1
        try:
            yield head
            page = first
            while page is not None:
                yield page
                if self._context.stopping():
                    raise SourceError("the collector stopped during an export")
                page = await self._capacity.query(read)
        finally:
            self._capacity.exports -= 1


def _until_now(params: RequestParams) -> Query:
    query = params.query()
    return replace(query, until_ns=params.now_ns if query.until_ns is None else query.until_ns)
