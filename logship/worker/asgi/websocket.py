"""The events of one websocket: `ws-open` when the application accepts it, `ws-close` when it is over."""

from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter_ns, time_ns
from typing import Any, NamedTuple

from logship.event import account, build, client
from logship.event.failure import error_fields
from logship.state.metric_file import MetricCell
from logship.worker import internal_errors
from logship.worker.asgi.extras import STACK_BYTES
from logship.worker.asgi.route import template
from logship.worker.asgi.types import Application, Message, Receive, Scope, Send
from logship.worker.capture import bound
from logship.worker.context import REQUEST
from logship.worker.pipeline import Pipeline

# Close codes of RFC 6455, section 7.4, and of the IANA registry behind it.
NORMAL = 1000
NO_STATUS = 1005
GOING_AWAY = {1001, NO_STATUS}
# The application reports with these that it failed: unexpected condition, try again later, bad gateway.
SERVER_FAILED = {1011, 1013, 1014}
SERVER_STOPS = {1012}
FIRST_PRIVATE_CODE = 3000


class WebSocketEnd(NamedTuple):
    """How a websocket ended: `event.reason`, `event.outcome`, status (0: no response), close code, end of the message."""

    reason: str
    outcome: str
    status: int
    code: int | None
    text: str


class WebSocketLog:
    """Counts messages and bytes both ways between the server and the application, and records the two events."""

    def __init__(self, pipeline: Pipeline, scope: Scope, fresh_id: bytes, id_header: bytes) -> None:
        """`fresh_id`: 48 random hex digits. `id_header`: name of the header with the client's request id."""
        self._headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # Two of a trace are invalid: W3C Trace Context 1, 3.2.
            self._headers[name] = b"" if name == b"traceparent" and name in self._headers else value
        self._parent = account.trace_of(self._headers.get(b"traceparent", b""))
        sent_id = self._headers.get(id_header)
        self.span = fresh_id[:16]
        self.request_id = (account.request_id_of(sent_id, pipeline.redactor) if sent_id else None) or fresh_id[16:]
        self.trace = self._parent[0] if self._parent else fresh_id[16:]
        self._pipeline = pipeline
        self._scope = scope
        self._wall_ns = time_ns()
        self._began_ns = perf_counter_ns()
        self._received_bytes = self._sent_bytes = self._messages = 0
        self._accepted = self._disconnected = False
        # Close codes as sent by the application and as received from the client; status of a refused handshake.
        self._sent_code: int | None = None
        self._received_code: int | None = None
        self._refused_status = 0
        self._path = account.pack_path(pipeline.redactor, scope["path"])
        self._cell = pipeline.journal.inflight.begin(
            self._wall_ns, self.span, self.request_id, b"WEBSOCKET", self._path.shown
        )
        pipeline.metrics.cells[MetricCell.WEBSOCKETS_BEGUN] += 1

    async def serve(self, app: Application, receive: Receive, send: Send) -> None:
        """Run the application on this websocket and record its end."""
        request: list[Any] = [self.request_id, self.trace, self.span, self._scope, None]
        token = REQUEST.set(request)
        failure: BaseException | None = None
        try:
            await app(self._scope, partial(self.receive, receive), partial(self.send, send))
        except BaseException as error:
            failure = error
            raise
        finally:
            REQUEST.reset(token)
            try:
                request[3] = template(self._scope) or ""
                self._close(failure, bound.fields(request, self._pipeline.redactor) if bound.EVER_BOUND else {})
            except Exception as error:
                self._pipeline.journal.refuse("internal_error")
                internal_errors.report(error)
            finally:
                self._pipeline.metrics.cells[MetricCell.WEBSOCKETS_ENDED] += 1
                self._pipeline.journal.inflight.end(self._cell)
                request[4] = None

    async def receive(self, outer: Callable[[], Awaitable[Message]]) -> Message:
        """Return the next message of the server, counted."""
        message = await outer()
        if message["type"] == "websocket.receive":
            self._messages += 1
            self._received_bytes += _size(message)
        elif message["type"] == "websocket.disconnect":
            self._disconnected = True
            if self._received_code is None:
                self._received_code = message.get("code", NO_STATUS)
        return message

    async def send(self, outer: Callable[[Message], Awaitable[None]], message: Message) -> None:
        """Count a message of the application and pass it to the server."""
        kind = message["type"]
        if kind == "websocket.accept":
            self._accepted = True
            self._record("ws-open", "open", {"event.type": ["access", "start"], "event.outcome": "success"})
        elif kind == "websocket.send":
            self._messages += 1
            self._sent_bytes += _size(message)
        elif kind == "websocket.close" and not self._disconnected:
            if self._accepted:
                self._sent_code = message.get("code", NORMAL) if self._sent_code is None else self._sent_code
            else:
                self._refused_status = self._refused_status or 403
        elif kind == "websocket.http.response.start":
            self._refused_status = message["status"]
        elif kind == "websocket.http.response.body":
            self._sent_bytes += len(message.get("body", b""))
        await outer(message)

    def _close(self, failure: BaseException | None, bound_fields: dict[str, object]) -> None:
        """Record `ws-close`. `failure`: what the application raised; `bound_fields`: labels that it has bound."""
        end = self._end(failure)
        fields: dict[str, object] = {
            **bound_fields,
            "event.type": ["access", "end"],
            "event.outcome": end.outcome,
            "event.reason": end.reason,
            "event.duration": perf_counter_ns() - self._began_ns,
            "http.request.body.bytes": self._received_bytes,
            "http.response.body.bytes": self._sent_bytes,
            "logship.websocket.messages": self._messages,
        }
        if end.status:
            fields["http.response.status_code"] = end.status
        if end.code is not None:
            fields["logship.websocket.close_code"] = end.code
        if failure is not None and not account.cancelled(failure):
            redactor = self._pipeline.redactor
            fields |= error_fields(type(failure), failure, failure.__traceback__, redactor, STACK_BYTES)
        self._record("ws-close", end.text, fields, "error" if end.outcome == "failure" else "info")

    def _end(self, failure: BaseException | None) -> WebSocketEnd:
        """Return how it ended. A close that the application sent before the client disconnected decides."""
        if failure is not None:
            end = self._failed(failure)
            if end is not None:
                return end
        return self._closed() if self._accepted else self._not_accepted()

    @property
    def _code(self) -> int | None:
        return self._received_code if self._sent_code is None else self._sent_code

    def _failed(self, failure: BaseException) -> WebSocketEnd | None:
        """Return the end that an exception of the application means; None if it only reports that the client disconnected."""
        status = 101 if self._accepted else self._refused_status
        code = self._code if self._accepted else None
        if account.cancelled(failure):
            return WebSocketEnd("cancelled", "failure", status, code, "cancelled")
        left = self._disconnected and self._sent_code is None
        if account.left_by_client(failure) and (left or self._received_code is not None):
            return None
        text = self._text() if status else "failed 500"
        return WebSocketEnd("server_error", "failure", status or 500, code, text)

    def _not_accepted(self) -> WebSocketEnd:
        status = self._refused_status
        if status:
            return WebSocketEnd("refused", "failure" if status >= 500 else "success", status, None, self._text())
        if self._disconnected:
            return WebSocketEnd("client_disconnected", "unknown", 0, None, "not accepted: the client disconnected")
        # The application returned without a response: the server sends a 500 itself.
        return WebSocketEnd("server_error", "failure", 500, None, "failed 500")

    def _closed(self) -> WebSocketEnd:
        code, text = self._code, self._text()
        if self._sent_code is not None:
            if self._sent_code in SERVER_FAILED:
                return WebSocketEnd("server_error", "failure", 101, code, text)
            return WebSocketEnd("complete", "success", 101, code, text)
        if code in SERVER_STOPS:
            return WebSocketEnd("server_shutdown", "unknown", 101, code, text)
        if code is None or code == NORMAL or code >= FIRST_PRIVATE_CODE:
            return WebSocketEnd("complete", "success", 101, code, text)
        return WebSocketEnd("client_disconnected", "success" if code in GOING_AWAY else "unknown", 101, code, text)

    def _text(self) -> str:
        if self._accepted:
            return f"closed {self._code or ''}".rstrip()
        return f"refused {self._refused_status}"

    def _record(self, action: str, text: str, fields: dict[str, object], level: str = "info") -> None:
        """Record an event of this websocket. The scope is read now: a middleware of the server may have changed it."""
        shown_path = self._path.shown.decode("utf-8", "replace")
        event: dict[str, object] = {
            "log.logger": build.REQUEST,
            "event.dataset": build.REQUEST,
            "event.category": ["web"],
            "http.request.method": "GET",
            "http.request.id": self.request_id.decode(),
            "network.protocol": "websocket",
            "url.path": shown_path,
            "trace.id": self.trace.decode(),
            "span.id": self.span.decode(),
            "transaction.id": self.span.decode(),
            "parent.id": self._parent[1].decode() if self._parent else "",
            "event.start": build.time_text(self._wall_ns),
            "event.action": action,
            "message": f"WEBSOCKET {shown_path} {text}",
            "log.level": level,
            **self._client_fields(),
        }
        self._pipeline.record({name: value for name, value in event.items() if value != ""} | fields)

    def _client_fields(self) -> dict[str, object]:
        scope, redactor = self._scope, self._pipeline.redactor
        host, port = (scope.get("client") or ("", 0))[:2]
        return {
            "http.route": template(scope) or "",
            "url.scheme": scope.get("scheme", "ws")[:16],
            "url.domain": client.domain(self._headers.get(b"host", b""), redactor),
            "user_agent.original": client.user_agent(self._headers.get(b"user-agent", b""), redactor),
            "client.ip": client.shown_ip(host, self._pipeline.settings.client_ip),
            "client.port": client.port_of(port),
        }


def _size(message: Message) -> int:
    return len(message.get("bytes") or b"") or len((message.get("text") or "").encode())
