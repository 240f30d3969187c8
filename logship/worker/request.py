"""RequestLog: one complete account of each request, from the first byte asked to the end of its background work.

Pure ASGI. Around the application it takes times, ids and sizes; when the request is over it packs one event into the
journal. Nothing here waits, and a mistake of ours is counted (`internal_error`), never raised into a request.
"""

import contextlib
import os
import random
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import partial
from sys import exception
from time import perf_counter_ns, time_ns
from typing import Any

from logship.event import account, entry
from logship.event.account import MESSAGE_KEY, NUMBER_KEYS, REQUEST_ID_KEYS, TEXT_KEYS, fixed, second_text, size16
from logship.event.client import port_of
from logship.event.cut import redacted_head
from logship.event.entry import HEAD_START, MAP16
from logship.event.entry import head as entry_head
from logship.event.failure import error_fields
from logship.event.probes import PROBING, Probes
from logship.event.redact import Redactor
from logship.event.remember import Remembered
from logship.settings import Settings
from logship.state.identity import Cell
from logship.state.inflight import CELL
from logship.worker import hooks
from logship.worker import line as lines
from logship.worker.capture import bound
from logship.worker.capture.bound import EVER_BOUND
from logship.worker.line import ACCOUNTED, REQUEST, Line
from logship.worker.sockets import Socket

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

N0, N1, N2, N3, N4, N5 = NUMBER_KEYS
T0, T1, T2, T3 = TEXT_KEYS
# How the messages of quick requests end.
TOOK = tuple(b"%dms" % milliseconds for milliseconds in range(1000))
FIELDS_OF_EACH = account.NEW_FIELDS + entry.STAMP_FIELDS
NOBODY = ("", 0)
MARK = "logship"
LIFESPAN_ENDS = {"lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup.failed"}
STACK_BYTES = 16 * 1024
# Of a header or cookie that is allowed by name.
VALUE_CHARACTERS = 1024
VALUE_BYTES_READ = 4 * VALUE_CHARACTERS
COOKIE_BYTES_READ = 32 * 1024
# Whether a client has left is asked for only when it has waited at least for so long.
HASTY_NS = 5_000_000

# Our own generator: an application that calls random.seed() must not make ids repeat. Reseeded after fork.
_random = random.Random()
_random_bytes = _random.randbytes
# Span, request and trace id of the requests to come, drawn many at a time: one draw a request takes 0.1 us longer.
_ids: list[bytes] = []
IDS_AT_ONCE = 64
ID_BYTES = 24
_write_cell = CELL.pack_into


class Plan:
    """What the settings mean for each request. Made with the first request after `configure`, and never changed."""

    __slots__ = (
        "allowed",
        "cookies",
        "headers",
        "id_header",
        "line",
        "paths",
        "probes",
        "samples",
        "settings",
        "slow_ns",
        "wanted",
    )

    def __init__(self, line: Line, settings: Settings) -> None:
        self.line = line
        self.settings = settings
        self.id_header = settings.request_id_header.lower().encode("latin-1")
        self.headers = frozenset(name.lower().encode("latin-1") for name in settings.allow_headers)
        self.cookies = frozenset(name.encode("latin-1") for name in settings.allow_cookies)
        self.allowed = bool(settings.allow_headers or settings.allow_query or settings.allow_cookies)
        self.wanted = frozenset(
            (self.id_header, b"traceparent", b"content-length", b"transfer-encoding", b"host", b"user-agent")
        )
        self.slow_ns = int(settings.slow_seconds * 1e9)
        self.samples = settings.sample_ratio < 1
        self.probes = Probes(settings.probes)
        self.paths: Remembered[account.Path] = Remembered()


def _plan_now(scope: Scope | None) -> Plan | None:
    """The plan for this process's line, serving from now on; None if logship is not configured. Never raises."""
    try:
        line = lines.current()
        if line is None:
            return None
        if line.serving is None:
            line.serve(hooks.serving(scope))
            hooks.watch_loop(line)
        _random.seed()
        _ids.clear()
        while True:
            settings = line.settings
            plan = line.plan = Plan(line, settings)
            if line.settings is settings:  # else another thread has called `configure` in the meantime
                return plan
    except Exception as error:
        hooks.complain(error)
        return None


class Body:
    """Counts a request's body as the application receives it, and notes when it hears that the client has left."""

    __slots__ = ("_receive", "left_ns", "received_bytes")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.received_bytes = 0
        self.left_ns = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.left_ns = perf_counter_ns()
        else:
            self.received_bytes += len(message.get("body", b""))
        return message


class RequestLog:
    """ASGI application around `app` that accounts for each request. One inside another is passed through."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if MARK in scope:
            return await self.app(scope, receive, send)
        current_line = lines._line
        plan = None if current_line is None else current_line.plan
        if plan is None:
            plan = _plan_now(scope if kind != "lifespan" else None)
            if plan is None:
                return await self.app(scope, receive, send)
        if kind != "http":
            scope[MARK] = True
            if kind == "lifespan":
                return await _lifespan(self.app, scope, receive, send, plan.line)
            if kind == "websocket":
                socket = Socket(plan.line, scope, _more_ids(), plan.id_header)
                return await socket.serve(self.app, receive, send)
            return await self.app(scope, receive, send)

        line = plan.line
        wall = time_ns()
        began = perf_counter_ns()
        scope[MARK] = True
        given_id = given_trace = parent = None
        agent = host = mime = b""
        has_body = scope["http_version"] not in {"1.1", "1.0"}  # HTTP/2 bodies need no length
        sent = status = first = last = 0
        body: Body | None = None
        failure: BaseException | None = None
        answered: BaseException | None = None
        answer_headers: Iterable[tuple[bytes, bytes]] = ()
        wanted = plan.wanted
        id_header = plan.id_header
        for name, value in scope["headers"]:
            if name in wanted:
                if name == b"host":
                    host = value
                elif name == b"user-agent":
                    agent = value
                elif name == id_header:
                    given_id = value
                elif name == b"traceparent":
                    given_trace = value if given_trace is None else b""  # two are none: W3C Trace Context 1, 3.2
                elif name != b"content-length" or value != b"0":
                    has_body = True
        try:
            fresh = _ids.pop()
        except IndexError:
            fresh = _more_ids()
        span = fresh[:16]
        if given_trace:
            parent = account.trace_of(given_trace)
        request_id = (account.request_id_of(given_id, line.redactor) if given_id else None) or fresh[16:]
        trace = parent[0] if parent else fresh[16:]
        method = scope["method"]
        method_bytes = method.encode("utf-8", "replace")
        path_text = scope["path"]
        shown, packed_path, probe = plan.paths.get(path_text) or _path(plan, path_text)
        inflight = line.journal.inflight
        try:
            cell = inflight.free.pop()
            _write_cell(inflight.map, cell, wall, span, request_id, method_bytes, shown)
        except IndexError:
            cell = -1
            line.journal.cells[Cell.IN_FLIGHT_OVERFLOW] += 1
        current: list[Any] = [request_id, trace, span, scope, None]
        token = REQUEST.set(current)
        if has_body:
            body = Body(receive)
            receive = body.receive

        def logged_send(message: Message) -> Awaitable[None]:  # a plain function: no coroutine of ours in between
            nonlocal status, first, last, sent, mime, answered, answer_headers
            kind = message["type"]
            if kind == "http.response.body":
                if "body" in message:
                    sent += len(message["body"])
                if not message.get("more_body"):
                    last = perf_counter_ns()
            elif kind == "http.response.start":
                status = message["status"]
                answered = exception()
                answer_headers = headers = [*message.get("headers", ())]
                has_id = False
                for name, value in headers:
                    if name == b"content-type":
                        mime = value
                    elif name == id_header:
                        has_id = True
                first = perf_counter_ns()
                if not has_id:
                    headers.append((id_header, request_id))
                    return send({**message, "headers": headers})
            elif kind in {"http.response.pathsend", "http.response.zerocopysend"}:
                sent += _file_bytes(message, answer_headers)
                if not message.get("more_body"):
                    last = perf_counter_ns()
            return send(message)

        try:
            await self.app(scope, receive, logged_send)
        except BaseException as error:
            failure = error
            raise
        finally:
            try:
                ended = perf_counter_ns()
                REQUEST.reset(token)
                current[3] = ""
                duration = (last or ended) - began
                received = 0
                disconnected = duration > HASTY_NS and hooks.left(send)
                if body is not None:
                    received = body.received_bytes
                    disconnected = disconnected or 0 < body.left_ns < (last or ended)
                if failure is None and last and not disconnected:
                    reason = "complete"
                else:
                    reason, status = account.reason_of(failure, status, last, disconnected, answered)
                if method == "HEAD":
                    sent = 0  # the server sends the header alone
                slow = duration >= plan.slow_ns
                if not (probe or plan.samples) or _kept(plan, probe and method in PROBING, status, failure, slow):
                    try:
                        route = hooks.route(scope) if scope.get("root_path") else scope["route"].path_format
                    except (KeyError, AttributeError):
                        route = hooks.route(scope)
                    current[3] = route or ""
                    key = (method, route, status, mime, reason, slow)
                    head, head_count, begin, answer, text_bytes = line.heads.get(key) or _head(line, key)
                    client = scope.get("client") or NOBODY
                    who_key = (agent, host, client[0], scope["http_version"], scope.get("scheme", "http"))
                    who, who_count = line.clients.get(who_key) or _client(line, who_key)
                    seconds, nanoseconds = divmod(wall + duration, 1000000000)
                    milliseconds = duration // 1000000
                    took = TOOK[milliseconds] if milliseconds < 1000 else b"%dms" % milliseconds
                    extra, extra_count = b"", 0
                    if failure is not None or plan.allowed or parent or EVER_BOUND:
                        extra, extra_count = _extra(plan, scope, failure, parent, current)
                    count = line.common_count + head_count + who_count + FIELDS_OF_EACH + extra_count
                    start_seconds, start_nanoseconds = divmod(wall, 1000000000)
                    line.journal.append(
                        (
                            entry_head(HEAD_START, seconds, nanoseconds, MAP16, count),
                            line.common,
                            head,
                            who,
                            fixed(
                                N0, duration, N1, received, N2, sent,
                                N3, port if type(port := client[1]) is int else port_of(port),
                                N4, (first or ended) - began, N5, ended - (last or ended),
                                T0, second_text(start_seconds), b"%09dZ" % start_nanoseconds, T1, trace, T2, span, T3, span,
                            ),
                            packed_path,
                            REQUEST_ID_KEYS[len(request_id)], request_id,
                            MESSAGE_KEY, size16(text_bytes + len(shown) + len(took)), begin, shown, answer, took,
                            extra,
                        ),
                    )  # fmt: skip
            except Exception as error:
                line.journal.refuse("internal_error")
                hooks.complain(error)
            finally:
                failure = answered = None  # an exception and the frame that holds it are a circle
                current[4] = None
                if cell >= 0:
                    inflight.starts[cell >> 3] = 0
                    inflight.free.append(cell)


def _more_ids() -> bytes:
    drawn = _random_bytes(ID_BYTES * IDS_AT_ONCE).hex().encode()
    _ids.extend(drawn[at : at + 2 * ID_BYTES] for at in range(0, len(drawn) - 2 * ID_BYTES, 2 * ID_BYTES))
    return drawn[-2 * ID_BYTES :]


def _path(plan: Plan, text: str) -> account.Path:
    return plan.paths.keep(text, account.pack_path(plan.line.redactor, text, plan.probes.match(text)))


def _head(line: Line, key: tuple[str, str | None, int, bytes, str, bool]) -> account.Head:
    head: account.Head = line.heads.keep(key, account.pack_head(*key))
    return head


def _client(line: Line, key: tuple[bytes, bytes, str, str, str]) -> tuple[bytes, int]:
    return line.clients.keep(key, account.pack_client(line.redactor, line.settings.client_ip, *key))


def _file_bytes(message: Message, headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The bytes of a file that the server sends by itself; 0 if nobody says how many."""
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
    except Exception:  # what the application names is no file: the server will say so
        return 0


def _kept(plan: Plan, probe: bool, status: int, failure: BaseException | None, slow: bool) -> bool:
    """Whether the request is logged: probes that went well are counted only; sampling spares failures and slow ones."""
    if failure is not None or status >= 400 or status == 0:
        return True
    if probe:
        plan.line.journal.cells[Cell.PROBES] += 1
        return False
    if plan.samples and not slow and _random.random() >= plan.settings.sample_ratio:
        plan.line.journal.cells[Cell.SAMPLED_OUT] += 1
        return False
    return True


def _extra(
    plan: Plan, scope: Scope, failure: BaseException | None, parent: tuple[bytes, bytes] | None, current: list[Any]
) -> tuple[bytes, int]:
    """Packed pairs that most requests do not have: the exception, bound context variables, values that are allowed by
    name, the parent span."""
    line = plan.line
    fields: dict[str, Any] = bound.fields(current, line.redactor) if EVER_BOUND else {}
    if parent:
        fields["parent.id"] = parent[1].decode()
    if failure is not None and not account.cancelled(failure):
        fields |= error_fields(type(failure), failure, failure.__traceback__, line.redactor, STACK_BYTES)
        with contextlib.suppress(Exception):
            setattr(failure, ACCOUNTED, True)
    if plan.allowed:
        settings = plan.settings
        query = account.allowed_query(
            scope.get("query_string", b""), dict.fromkeys(settings.allow_query), line.redactor
        )
        if query:
            fields["url.query"] = query
        labels = _allowed_values(plan, scope["headers"])
        if labels:
            fields["labels"] = {**fields.get("labels", {}), **labels}
    return entry.limited_pairs(fields)


def _allowed_values(plan: Plan, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Labels of the headers and cookies that are allowed by name. Repeated ones are joined; each is cut, then redacted."""
    kept: dict[tuple[str, str], bytes] = {}
    for name, value in headers:
        if name in plan.headers:
            _join(kept, ("header", name.decode("latin-1")), value)
        elif name == b"cookie" and plan.cookies:
            for part in value[:COOKIE_BYTES_READ].split(b";"):
                cookie, _, content = part.strip().partition(b"=")
                if cookie in plan.cookies:
                    _join(kept, ("cookie", cookie.decode("latin-1")), content)
    redactor = plan.line.redactor
    return {
        f"http.request.{kind}.{name}": redacted_head(
            value,
            VALUE_CHARACTERS,
            partial(_redacted_header, redactor, name) if kind == "header" else redactor.text,
        )
        for (kind, name), value in kept.items()
    }


def _redacted_header(redactor: Redactor, name: str, value: str) -> str:
    return str(redactor.value(name, value))


def _join(kept: dict[tuple[str, str], bytes], name: tuple[str, str], value: bytes) -> None:
    so_far = kept.get(name)
    if so_far is None:
        kept[name] = value[:VALUE_BYTES_READ]
    elif len(so_far) < VALUE_BYTES_READ:
        kept[name] = so_far + b", " + value[:VALUE_BYTES_READ]


async def _lifespan(app: Application, scope: Scope, receive: Receive, send: Send, line: Line) -> None:
    """Pass lifespan on; keep the handlers ours at start-up; flush at shutdown, because atexit does not run on SIGTERM.

    An application without lifespan gets one of ours, so that the flush happens all the same; not where the server insists
    on lifespan (`--lifespan on`): there the application's exception must stop it."""
    asked = last = False
    server, insists = hooks.server_of(scope)

    async def logged_receive() -> Message:
        nonlocal asked, last
        asked = True
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            last = hooks.stops(server)
            if last:
                line.begin_closing()
        return message

    async def logged_send(message: Message) -> None:
        nonlocal last
        if message["type"] == "lifespan.startup.complete":
            hooks.opened(server)
            hooks.reassert()
        elif message["type"] == "lifespan.startup.failed":
            last = hooks.stops(server)
        if last and message["type"] in LIFESPAN_ENDS:
            await hooks.finish(line)
        await send(message)

    try:
        await app(scope, logged_receive, logged_send)
    except Exception:
        if asked or insists:
            raise
    if asked:
        return
    await logged_receive()
    await logged_send({"type": "lifespan.startup.complete"})
    await logged_receive()
    await logged_send({"type": "lifespan.shutdown.complete"})
