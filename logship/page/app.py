"""The HTTP interface and the start page: one ASGI application over any `Source`."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
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

from logship.errors import QuestionError, SourceError
from logship.page.answers import ANSWERS, Answer, as_json, wrong
from logship.page.asked import Asked
from logship.page.guard import Guard
from logship.page.html import STYLE, start_page
from logship.search.query import Rows, Source

# Questions at a time: each may use every core, and the collector beside it must go on storing.
QUESTIONS = 4
TAILS = 64
TAIL_SECONDS = 0.25
# Proxies drop a connection that is silent for a minute; a comment also finds out whether the client is still there.
SILENCE_SECONDS = 15.0

T = TypeVar("T")

_logger = logging.getLogger("logship.page")


@dataclass(frozen=True, slots=True)
class Around:
    """What the page is told by the process it runs in: counters, whether it is ending, who may ask."""

    health: Callable[[], Mapping[str, object]] = dict
    stopping: Callable[[], bool] = lambda: False
    token: str = ""
    hosts: Iterable[str] = ()


def app(source: Source, around: Around = Around()) -> Starlette:
    """The application. It closes nothing: the source is the caller's.

    Errors are {"error": sentence}: 400 for a question that makes no sense (KQL with "at"), 503 when the source cannot
    answer. `around.hosts`: names beside localhost under which it may be asked."""
    doors = Doors(source, around)
    routes = [Route(f"/api/{name}", partial(doors.answer, one), methods=["GET"]) for name, one in ANSWERS.items()]
    routes += [
        Route("/api/stream", doors.stream, methods=["GET"]),
        Route("/api/health", doors.health, methods=["GET"]),
        Route("/healthz", doors.alive, methods=["GET"]),
        Route("/style.css", doors.style, methods=["GET"]),
        Route("/", doors.start, methods=["GET"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=around.token, hosts=around.hosts)],
        exception_handlers={
            QuestionError: _wrong_question,
            SourceError: _no_source,
            HTTPException: _no_such_page,
            Exception: _our_fault,
        },
    )


class Doors:
    """The endpoints. The source blocks, so that it is asked in threads."""

    def __init__(self, source: Source, around: Around) -> None:
        self._source, self._around = source, around
        self._questions: anyio.CapacityLimiter | None = None
        self._tails = 0

    async def answer(self, one: Answer, request: Request) -> Response:
        asked = _asked(request)
        asked.only(one.names)
        return _json(await self._in_thread(lambda: as_json(one.ask(self._source, asked))))

    async def stream(self, request: Request) -> Response:
        """Server-sent events: one for each record; the id of the last of a batch is where `Last-Event-ID` resumes."""
        asked = _asked(request)
        asked.only(ANSWERS["tail"].names)
        query, limit = asked.query(), asked.whole("limit", 1000, 1000)
        after = request.headers.get("last-event-id") or asked.maybe("after")
        if self._tails >= TAILS:
            return _json(as_json({"error": f"{TAILS} streams are open, the limit; close one"}), 503)
        first = await self._in_thread(lambda: self._source.tail(query, after, limit))

        async def events() -> AsyncIterator[bytes]:
            self._tails += 1
            try:
                rows, said_ns = first, 0
                while not self._around.stopping():
                    now_ns = time.monotonic_ns()
                    if rows.records or now_ns - said_ns > SILENCE_SECONDS * 1e9:
                        said_ns = now_ns
                        yield as_events(rows)
                    if len(rows.records) < limit:
                        await asyncio.sleep(TAIL_SECONDS)
                    key = rows.next
                    rows = await self._in_thread(lambda key=key: self._source.tail(query, key, limit))  # type: ignore[misc]
            except SourceError as error:
                yield b"event: error\ndata: " + as_json({"error": str(error)}) + b"\n\n"
            finally:
                self._tails -= 1

        return StreamingResponse(events(), media_type="text/event-stream")

    async def health(self, request: Request) -> Response:
        return _json(as_json({"status": "ok", **self._around.health()}))

    async def alive(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def style(self, request: Request) -> Response:
        return Response(STYLE, media_type="text/css")

    async def start(self, request: Request) -> Response:
        given = dict(request.query_params)
        now_ns = time.time_ns()
        page = await self._in_thread(lambda: start_page(self._source, given, now_ns, _zone()))
        return HTMLResponse(page)

    async def _in_thread(self, task: Callable[[], T]) -> T:
        if self._questions is None:
            self._questions = anyio.CapacityLimiter(QUESTIONS)
        return await anyio.to_thread.run_sync(task, limiter=self._questions)


def as_events(rows: Rows) -> bytes:
    """One server-sent event for each record, the id at the last; a comment with the id when there are none."""
    key = f"id: {rows.next}\n" if rows.next is not None else ""
    if not rows.records:
        return f": nothing new\n{key}\n".encode()
    events = [b"data: " + as_json(record) + b"\n\n" for record in rows.records]
    return b"".join(events[:-1]) + key.encode() + events[-1]


def _asked(request: Request) -> Asked:
    return Asked(request.query_params, time.time_ns(), _zone())


def _zone() -> tzinfo:
    """The zone of the machine the page runs on: what a time without an offset means."""
    return datetime.now(UTC).astimezone().tzinfo or UTC


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


async def _wrong_question(request: Request, error: Exception) -> Response:
    assert isinstance(error, QuestionError)
    return _json(as_json(wrong(error)), 400)


async def _no_source(request: Request, error: Exception) -> Response:
    return _json(as_json({"error": str(error)}), 503)


async def _no_such_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = ", ".join(["/", *(f"/api/{name}" for name in ANSWERS), "/api/stream", "/api/health"])
    sentence = f"there is nothing at {request.url.path}; there is {known}" if error.status_code == 404 else error.detail
    return _json(as_json({"error": sentence}), error.status_code)


async def _our_fault(request: Request, error: Exception) -> Response:
    _logger.error("the question at %s failed", request.url.path, exc_info=error)
    return _json(as_json({"error": "the collector failed to answer; its log has the reason"}), 500)
