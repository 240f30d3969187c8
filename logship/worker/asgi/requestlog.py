"""RequestLog: one complete event for each request, from its first byte to the end of its background work.

Pure ASGI middleware. It measures times and sizes around the application and appends one event to the journal when the
request is over. Nothing here waits. An internal error is counted (`internal_error`) and never raised into a request.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Iterable
from sys import exception
from time import perf_counter_ns, time_ns
from typing import Any

from logship.event import account, entry
from logship.event.account import MESSAGE_KEY, NUMBER_KEYS, REQUEST_ID_KEYS, TEXT_KEYS, fixed, second_text, size16
from logship.event.client import port_of
from logship.event.entry import HEAD_START, MAP16
from logship.event.entry import head as entry_head
from logship.event.probes import PROBING
from logship.state.metric_file import (
    DURATION_BOUNDS_NS,
    SERIES_DURATION_NS,
    SERIES_REQUEST_BYTES,
    SERIES_RESPONSE_BYTES,
    MetricCell,
)
from logship.worker import internal_errors, registry
from logship.worker.asgi import extras, ids, lifespan
from logship.worker.asgi import policy as policies
from logship.worker.asgi.body import RequestBody, file_bytes
from logship.worker.asgi.route import template
from logship.worker.asgi.types import Application, Message, Receive, Scope, Send
from logship.worker.asgi.websocket import WebSocketLog
from logship.worker.capture.bound import EVER_BOUND
from logship.worker.context import REQUEST
from logship.worker.servers.uvicorn import client_left

N0, N1, N2, N3, N4, N5 = NUMBER_KEYS
T0, T1, T2, T3 = TEXT_KEYS
# How the messages of quick requests end.
TOOK = tuple(b"%dms" % milliseconds for milliseconds in range(1000))
FIELDS_OF_EVERY_REQUEST = account.NEW_FIELDS + entry.STAMP_FIELDS
NO_CLIENT = ("", 0)
# In a scope: another RequestLog records it.
MARK = "logship"
# Faster requests are not checked for a client that left before the last byte.
HASTY_NS = 5_000_000

# Plain numbers: an IntEnum as an index takes three times as long.
BEGUN, ENDED = int(MetricCell.BEGUN), int(MetricCell.ENDED)
# Of so many requests one is kept as the example of its series; slow ones and failed ones always are.
EXEMPLARS = 64

ready_ids = ids.ready


class RequestLog:
    """Pure ASGI middleware: records one event for each request of `app`, and two for each websocket.

    A RequestLog inside another one does nothing."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # One long function, because a call takes 0.05 us and values in closures are slower than locals.
        kind = scope["type"]
        if MARK in scope:
            return await self.app(scope, receive, send)
        current_pipeline = registry.pipeline
        policy = None if current_pipeline is None else current_pipeline.policy
        if policy is None:
            policy = policies.current(scope if kind != "lifespan" else None)
            if policy is None:
                return await self.app(scope, receive, send)
        if kind != "http":
            scope[MARK] = True
            if kind == "lifespan":
                return await lifespan.serve(self.app, scope, receive, send, policy.pipeline)
            if kind == "websocket":
                websocket = WebSocketLog(policy.pipeline, scope, ids.draw(), policy.id_header)
                return await websocket.serve(self.app, receive, send)
            return await self.app(scope, receive, send)

        pipeline = policy.pipeline
        wall = time_ns()
        began = perf_counter_ns()
        scope[MARK] = True
        sent_id = traceparent = parent = None
        agent = host = mime = b""
        has_body = scope["http_version"] not in {"1.1", "1.0"}  # HTTP/2 bodies need no length
        sent = status = first = last = 0
        body: RequestBody | None = None
        failure: BaseException | None = None
        handled: BaseException | None = None
        response_headers: Iterable[tuple[bytes, bytes]] = ()
        wanted = policy.wanted_headers
        id_header = policy.id_header
        for name, value in scope["headers"]:
            if name in wanted:
                if name == b"host":
                    host = value
                elif name == b"user-agent":
                    agent = value
                elif name == id_header:
                    sent_id = value
                elif name == b"traceparent":
                    traceparent = value if traceparent is None else b""  # two are invalid: W3C Trace Context 1, 3.2
                elif name != b"content-length" or value != b"0":
                    has_body = True
        try:
            fresh = ready_ids.pop()
        except IndexError:
            fresh = ids.draw()
        span = fresh[:16]
        if traceparent:
            parent = account.trace_of(traceparent)
        request_id = (account.request_id_of(sent_id, pipeline.redactor) if sent_id else None) or fresh[16:]
        trace = parent[0] if parent else fresh[16:]
        method = scope["method"]
        method_bytes = method.encode("utf-8", "replace")
        path_text = scope["path"]
        shown, packed_path, probe = policy.paths.get(path_text) or policy.path(path_text)
        inflight = pipeline.journal.inflight
        metrics = pipeline.metrics.cells
        metrics[BEGUN] += 1
        cell = inflight.begin(wall, span, request_id, method_bytes, shown)
        request: list[Any] = [request_id, trace, span, scope, None]
        token = REQUEST.set(request)
        if has_body:
            body = RequestBody(receive)
            receive = body.receive

        def logged_send(message: Message) -> Awaitable[None]:  # a plain function saves one coroutine per message
            nonlocal status, first, last, sent, mime, handled, response_headers
            kind = message["type"]
            if kind == "http.response.body":
                if "body" in message:
                    sent += len(message["body"])
                if not message.get("more_body"):
                    last = perf_counter_ns()
            elif kind == "http.response.start":
                status = message["status"]
                handled = exception()
                response_headers = headers = [*message.get("headers", ())]
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
                sent += file_bytes(message, response_headers)
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
                request[3] = ""
                duration = (last or ended) - began
                received = 0
                disconnected = duration > HASTY_NS and client_left(send)
                if body is not None:
                    received = body.received_bytes
                    disconnected = disconnected or 0 < body.disconnected_ns < (last or ended)
                if failure is None and last and not disconnected:
                    reason = "complete"
                else:
                    reason, status = account.reason_of(failure, status, last, disconnected, handled)
                if method == "HEAD":
                    sent = 0  # the server sends only the headers
                slow = duration >= policy.slow_ns
                try:
                    route = template(scope) if scope.get("root_path") else scope["route"].path_format
                except (KeyError, AttributeError):
                    route = template(scope)
                key = (method, route, status, mime, reason, slow)
                head, head_count, begin, answer, text_bytes, series, reason_cell = (
                    policy.heads.get(key) or policy.head(key)
                )
                bucket = series + bisect_left(DURATION_BOUNDS_NS, duration)
                metrics[bucket] = count = metrics[bucket] + 1
                metrics[series + SERIES_DURATION_NS] += duration
                metrics[series + SERIES_RESPONSE_BYTES] += sent
                if received:
                    metrics[series + SERIES_REQUEST_BYTES] += received
                metrics[reason_cell] += 1
                if count % EXEMPLARS == 1 or slow or status >= 500:
                    pipeline.metrics.exemplar(series, duration, wall + duration, trace)
                if not (probe or policy.samples) or policy.records(
                    probe and method in PROBING, status, failure is not None, slow
                ):
                    request[3] = route or ""
                    client = scope.get("client") or NO_CLIENT
                    client_key = (agent, host, client[0], scope["http_version"], scope.get("scheme", "http"))
                    client_fields, client_count = policy.clients.get(client_key) or policy.client(client_key)
                    seconds, nanoseconds = divmod(wall + duration, 1000000000)
                    milliseconds = duration // 1000000
                    took = TOOK[milliseconds] if milliseconds < 1000 else b"%dms" % milliseconds
                    extra, extra_count = b"", 0
                    if failure is not None or policy.allows_values or parent or EVER_BOUND:
                        extra, extra_count = extras.pack(policy, scope, failure, parent, request)
                    count = pipeline.common_count + head_count + client_count + FIELDS_OF_EVERY_REQUEST + extra_count
                    start_seconds, start_nanoseconds = divmod(wall, 1000000000)
                    pipeline.journal.append(
                        (
                            entry_head(HEAD_START, seconds, nanoseconds, MAP16, count),
                            pipeline.common,
                            head,
                            client_fields,
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
                pipeline.journal.refuse("internal_error")
                internal_errors.report(error)
            finally:
                failure = handled = None  # an exception and the frame that refers to it are a reference cycle
                request[4] = None
                metrics[ENDED] += 1
                inflight.end(cell)
