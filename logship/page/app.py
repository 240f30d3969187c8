"""The HTTP interface and the start page: one ASGI application over any `Source`."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from logship import __version__
from logship.errors import QuestionError, SourceError
from logship.page.api import openapi
from logship.page.api.params import QUERY_NAMES, RequestParams
from logship.page.api.queries import QUERIES, ApiQuery, NotFound, answered, as_json, wrong
from logship.page.context import DEFAULT_CONTEXT, PageContext
from logship.page.guard import Guard
from logship.page.html.plain import PLACES, POLICY, asset, shell, start_page
from logship.search.formats import Csv, ndjson
from logship.search.pages import column_names, is_ahead, record_pages
from logship.search.query import Rows, Source
from logship.search.zone import LocalZone

# Questions at a time: each may use every core, and the collector beside it must go on storing. Each also takes a buffer
# of 32 MB a thread for the log that is being written: four at once did not fit into what a `Reader` may take.
AT_A_TIME = 2
# With more than that in line nobody would wait for an answer.
WAITING = 128
STREAMS = 64
# Each holds a window of events, 40 MB as Python's objects, until its client has taken it.
EXPORTS = 8
# Answers that are made and not yet taken by their clients; one has up to 32 MB.
UNSENT_BYTES = 128 * 2**20
PIECE_BYTES = 64 * 2**10
TAIL_SECONDS = 0.25
# Proxies drop a connection that is silent for a minute; a comment also finds out whether the client is still there.
SILENCE_SECONDS = 15.0
SKIPPED = b'event: skipped\ndata: {"reason":"this store has less than Last-Event-ID"}\n\n'
QUESTIONS = {one.path or f"/api/{name}": one for name, one in QUERIES.items()}
# The parameters of each address; an id may stand in the path.
NAMES = {path: tuple(n for n in one.names if f"{{{n}}}" not in path) for path, one in QUESTIONS.items()} | {
    "/api/tail": QUERIES["arrivals"].names,
    "/api/export": (*QUERY_NAMES, "format"),
}

Endpoint = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")

_logger = logging.getLogger("logship.page")


def app(source: Source, context: PageContext = DEFAULT_CONTEXT) -> Starlette:
    """The application. It closes nothing: the source is the caller's.

    Errors are {"error": sentence}: 400 for a question that makes no sense (KQL with "at"), 404 for an id that nothing
    has, 503 when the source cannot answer."""
    endpoints = Endpoints(source, context)
    # An id is whatever somebody sent as one: it may hold a slash.
    places: dict[str, Endpoint] = {
        path.replace("{id}", "{id:path}"): partial(endpoints.answer, one) for path, one in QUESTIONS.items()
    }
    places |= {
        "/api/export": endpoints.export,
        "/api/tail": endpoints.tail,
        "/api/health": endpoints.health,
        "/api/openapi.json": endpoints.openapi,
        "/metrics": endpoints.metrics,
        "/healthz": endpoints.alive,
        "/readyz": endpoints.ready,
        "/static/{version}/{name:path}": endpoints.static,
        "/plain": endpoints.plain,
    } | dict.fromkeys(PLACES, endpoints.shell)
    made = Starlette(
        routes=[Route(path, endpoint, methods=["GET"]) for path, endpoint in places.items()],
        middleware=[Middleware(Guard, access=context.access)],
        exception_handlers={
            QuestionError: _wrong_question,
            SourceError: _no_source,
            NotFound: _nothing,
            HTTPException: _no_such_page,
            Exception: _our_fault,
        },
    )
    made.router.redirect_slashes = False  # an address that does not exist is said so, and leads nowhere
    return made


class Endpoints:
    """The endpoints. The source blocks, so that it is asked in threads."""

    def __init__(self, source: Source, context: PageContext) -> None:
        self._source, self._context = source, context
        self._asking: anyio.CapacityLimiter | None = None
        self._streams = self._exports = self._unsent_bytes = 0

    async def answer(self, one: ApiQuery, request: Request) -> Response:
        asked = self._asked(request)
        asked.only(one.names)
        if self._unsent_bytes > UNSENT_BYTES:
            raise SourceError(f"answers of {self._unsent_bytes} bytes wait for slow clients; retry in a moment")
        return self._in_pieces(await self._in_thread(lambda: as_json(answered(one, self._source, asked))))

    async def tail(self, request: Request) -> Response:
        """Server-sent events: one for each record; the id of the last of a batch is where `Last-Event-ID` resumes.

        An event "skipped" says that the store has less than that id: it is not the one from before."""
        asked = self._asked(request)
        asked.only(NAMES["/api/tail"])
        query, limit = asked.query(), asked.whole("limit", 1000, 1000)
        after = request.headers.get("last-event-id") or asked.maybe("after")
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        now = await self._in_thread(lambda: self._source.tail(query, None, limit))
        skipped = is_ahead(after, now.next)
        begin = now.next if skipped or after is None else after
        first = await self._in_thread(lambda: self._source.tail(query, begin, limit))

        async def events() -> AsyncIterator[bytes]:
            rows, said_ns = first, time.monotonic_ns()
            yield (SKIPPED if skipped else b"") + as_events(rows)
            try:
                while not self._context.stopping():
                    key = rows.next
                    rows = await self._in_thread(lambda key=key: self._source.tail(query, key, limit))  # type: ignore[misc]
                    now_ns = time.monotonic_ns()
                    if rows.records or now_ns - said_ns > SILENCE_SECONDS * 1e9:
                        said_ns = now_ns
                        yield as_events(rows)
                    full, rows = len(rows.records) >= limit, Rows([], rows.next)  # 64 tails would keep them while they wait
                    if not full:
                        await asyncio.sleep(TAIL_SECONDS)
            except SourceError as error:
                yield b"event: error\ndata: " + as_json({"error": str(error)}) + b"\n\n"

        # nginx would hold events back until some kilobytes have gathered.
        return self._streaming(events(), "text/event-stream", {"x-accel-buffering": "no"})

    async def export(self, request: Request) -> Response:
        """Everything, a page at a time: the next is read when the client has taken the one before."""
        asked = self._asked(request)
        asked.only(NAMES["/api/export"])
        query, form = asked.query(), asked.one_of("format", ("ndjson", "csv"))
        query = replace(query, until_ns=asked.now_ns if query.until_ns is None else query.until_ns)
        media = "text/csv" if form == "csv" else "application/x-ndjson"
        if request.method == "HEAD":
            return Response(media_type=media)
        if self._exports >= EXPORTS:
            return _json(as_json({"error": f"{EXPORTS} exports are running, the limit; retry when one has ended"}), 503)
        table = Csv(await self._in_thread(lambda: column_names(self._source)) if form == "csv" else ())
        pages = record_pages(self._source, query)
        write = table.rows if form == "csv" else ndjson

        def some() -> bytes | None:
            records = next(pages, None)
            return None if records is None else write(records)

        first = await self._in_thread(some)

        async def text() -> AsyncIterator[bytes]:
            self._exports += 1
            try:
                if form == "csv":
                    yield table.head()
                page = first
                # A failure breaks the connection off, as the end of the collector does: the client sees that the end is
                # missing.
                while page is not None:
                    yield page
                    if self._context.stopping():
                        raise SourceError("the collector was stopped in the middle of an export")
                    page = await self._in_thread(some)
            finally:
                self._exports -= 1

        return self._streaming(
            text(), media, {"content-disposition": f'attachment; filename="logship.{form}"', "x-accel-buffering": "no"}
        )

    async def health(self, request: Request) -> Response:
        def told() -> Mapping[str, object]:
            return {"status": self._context.unready() or "ok", **self._context.health()}

        return _json(as_json(await self._in_thread(told)))

    async def metrics(self, request: Request) -> Response:
        from logship.page.api import metrics

        told = await self._in_thread(self._context.health)
        return Response(metrics.exposition(told), headers={"content-type": metrics.TYPE})

    async def openapi(self, request: Request) -> Response:
        return _json(as_json(openapi.document(__version__, NAMES)))

    async def alive(self, request: Request) -> Response:
        """Liveness: the process runs. A part of it that ended for good ends the process, so there is no more to check."""
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        """Readiness: 200 when events are accepted, stored and found; else 503 and why not."""
        reason = (
            "the process is stopping" if self._context.stopping() else await self._in_own_thread(self._context.unready)
        )
        return PlainTextResponse("ok\n") if not reason else PlainTextResponse(f"{reason}\n", 503)

    async def shell(self, request: Request) -> Response:
        page = shell(request.url.path, request.query_params, time.time_ns())
        return HTMLResponse(page, headers={"content-security-policy": POLICY})

    async def plain(self, request: Request) -> Response:
        given = dict(request.query_params)
        now_ns = time.time_ns()
        return HTMLResponse(await self._in_thread(lambda: start_page(self._source, given, now_ns, LocalZone())))

    async def static(self, request: Request) -> Response:
        part = request.path_params
        found = asset(part["version"], part["name"], request.headers.get("accept-encoding", ""))
        if found is None:
            raise HTTPException(404)
        return Response(found[0], headers=found[1])

    def _in_pieces(self, body: bytes) -> Response:
        """A JSON answer that is handed over as the client takes it, and counted until then."""

        async def pieces() -> AsyncIterator[bytes]:
            self._unsent_bytes += len(body)
            try:
                for start in range(0, len(body), PIECE_BYTES):
                    yield body[start : start + PIECE_BYTES]
            finally:
                self._unsent_bytes -= len(body)

        if len(body) <= PIECE_BYTES:
            return _json(body)
        length = {"content-length": str(len(body))}
        return StreamingResponse(pieces(), media_type="application/json", headers=length)

    def _streaming(self, parts: AsyncIterator[bytes], media: str, headers: Mapping[str, str] | None = None) -> Response:
        if self._streams >= STREAMS:
            return _json(as_json({"error": f"{STREAMS} streams are open, the limit; close one"}), 503)

        async def counted() -> AsyncIterator[bytes]:
            self._streams += 1
            try:
                async for part in parts:
                    yield part
            finally:
                self._streams -= 1

        return _Streaming(counted(), media_type=media, headers=headers)

    async def _in_own_thread(self, task: Callable[[], T]) -> T:
        """Not in line behind questions: whoever decides about a restart must not wait for them."""
        return await anyio.to_thread.run_sync(task, limiter=anyio.CapacityLimiter(1))

    def _asked(self, request: Request) -> RequestParams:
        """What the query string asks, and the path. A parameter that comes twice asks for two things."""
        given = request.query_params
        twice = [name for name, _ in given.multi_items() if len(given.getlist(name)) > 1]
        if twice:
            raise QuestionError(f"the parameter {twice[0]} is given more than once")
        return RequestParams({**given, **request.path_params}, time.time_ns(), LocalZone(), self._context.live_workers)

    async def _in_thread(self, task: Callable[[], T]) -> T:
        if self._asking is None:
            self._asking = anyio.CapacityLimiter(AT_A_TIME)
        if self._asking.statistics().tasks_waiting >= WAITING:
            raise SourceError(f"{AT_A_TIME} questions are being answered and {WAITING} wait; ask again in a moment")
        return await anyio.to_thread.run_sync(task, limiter=self._asking)


class _Streaming(StreamingResponse):
    """Without the end of its body when the source fails: the server then breaks the connection off."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except SourceError as error:
            _logger.warning("an answer was broken off: %s", error)


def as_events(rows: Rows) -> bytes:
    """One server-sent event for each record, the id at the last; a comment with the id when there are none."""
    key = f"id: {rows.next}\n" if rows.next is not None else ""
    if not rows.records:
        return f": nothing new\n{key}\n".encode()
    events = [b"data: " + as_json(record) + b"\n\n" for record in rows.records]
    return b"".join(events[:-1]) + key.encode() + events[-1]


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


async def _wrong_question(request: Request, error: Exception) -> Response:
    assert isinstance(error, QuestionError)
    return _json(as_json(wrong(error)), 400)


async def _no_source(request: Request, error: Exception) -> Response:
    return _json(as_json({"error": str(error)}), 503)


async def _nothing(request: Request, error: Exception) -> Response:
    return _json(as_json({"error": str(error)}), 404)


async def _no_such_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = ", ".join(["/", *openapi.PATHS])
    sentence = f"there is nothing at {request.url.path}; there is {known}" if error.status_code == 404 else error.detail
    return _json(as_json({"error": sentence}), error.status_code)


async def _our_fault(request: Request, error: Exception) -> Response:
    _logger.error("the question at %s failed", request.url.path, exc_info=error)
    return _json(as_json({"error": "the collector failed to answer; its log has the reason"}), 500)
