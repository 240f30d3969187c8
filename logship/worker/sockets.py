"""The account of one websocket: an event when it is accepted, one when it is over."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from time import perf_counter_ns, time_ns
from typing import Any, NamedTuple

from logship.event import account, build, client
from logship.event.failure import error_fields
from logship.state.identity import Cell
from logship.state.inflight import CELL
from logship.worker import hooks
from logship.worker.capture import bound
from logship.worker.line import REQUEST, Line

Message = MutableMapping[str, Any]
STACK_BYTES = 16 * 1024
# Close codes of RFC 6455, section 7.4, and of the IANA registry behind it.
NO_STATUS = 1005
LEFT_IN_ORDER = {1001, NO_STATUS}
# The application says by these that it could not do its work: unexpected condition, try again later, bad gateway.
SERVER_FAILED = {1011, 1013, 1014}
SERVER_STOPS = {1012}
FIRST_PRIVATE_CODE = 3000


class Socket:
    """Counts messages and bytes both ways between the server and the application."""

    def __init__(self, line: Line, scope: MutableMapping[str, Any], fresh: bytes, id_header: bytes) -> None:
        """`fresh`: 48 random hex digits."""
        self._headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # Two of a trace are none: W3C Trace Context 1, 3.2.
            self._headers[name] = b"" if name == b"traceparent" and name in self._headers else value
        self._parent = account.trace_of(self._headers.get(b"traceparent", b""))
        given = self._headers.get(id_header)
        self.span = fresh[:16]
        self.request_id = (account.request_id_of(given, line.redactor) if given else None) or fresh[16:]
        self.trace = self._parent[0] if self._parent else fresh[16:]
        self._line = line
        self._scope = scope
        self._wall = time_ns()
        self._began = perf_counter_ns()
        self._received = self._sent = self._messages = 0
        self._accepted = self._disconnected = False
        # Close codes as sent by the application and as received from the client; status of a refused handshake.
        self._sent_code: int | None = None
        self._code: int | None = None
        self._refused = 0
        self._path = account.pack_path(line.redactor, scope["path"])
        inflight = line.journal.inflight
        try:
            self._cell = inflight.free.pop()
            CELL.pack_into(
                inflight.map, self._cell, self._wall, self.span, self.request_id, b"WEBSOCKET", self._path.shown
            )
        except IndexError:
            self._cell = -1
            line.journal.cells[Cell.IN_FLIGHT_OVERFLOW] += 1

    async def serve(self, app: Callable[..., Awaitable[None]], receive: Any, send: Any) -> None:
        """Run the application on this websocket: `ws-open` when it accepts, `ws-close` when it is over."""
        current: list[Any] = [self.request_id, self.trace, self.span, self._scope, None]
        token = REQUEST.set(current)
        failure: BaseException | None = None
        try:
            await app(self._scope, partial(self.receive, receive), partial(self.send, send))
        except BaseException as error:
            failure = error
            raise
        finally:
            REQUEST.reset(token)
            current[3] = hooks.route(self._scope) or ""
            try:
                self.close(failure, bound.fields(current, self._line.redactor) if bound.EVER_BOUND else {})
            except Exception as error:
                self._line.journal.refuse("internal_error")
                hooks.complain(error)
            finally:
                current[4] = None

    async def receive(self, outer: Callable[[], Awaitable[Message]]) -> Message:
        message = await outer()
        if message["type"] == "websocket.receive":
            self._messages += 1
            self._received += len(message.get("bytes") or b"") or len((message.get("text") or "").encode())
        elif message["type"] == "websocket.disconnect":
            self._disconnected = True
            if self._code is None:
                self._code = message.get("code", NO_STATUS)
        return message

    async def send(self, outer: Callable[[Message], Awaitable[None]], message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accepted = True
            self._record("ws-open", "open", {"event.type": ["access", "start"], "event.outcome": "success"})
        elif kind == "websocket.send":
            self._messages += 1
            self._sent += len(message.get("bytes") or b"") or len((message.get("text") or "").encode())
        elif kind == "websocket.close" and not self._disconnected:
            if self._accepted:
                self._sent_code = message.get("code", 1000) if self._sent_code is None else self._sent_code
            else:
                self._refused = self._refused or 403
        elif kind == "websocket.http.response.start":
            self._refused = message["status"]
        elif kind == "websocket.http.response.body":
            self._sent += len(message.get("body", b""))
        await outer(message)

    def close(self, failure: BaseException | None, own: dict[str, object]) -> None:
        """Journal the end. `failure`: what the application raised; `own`: labels that it has bound."""
        try:
            end = self._end(failure)
            fields: dict[str, object] = {
                **own,
                "event.type": ["access", "end"],
                "event.outcome": end.outcome,
                "event.reason": end.reason,
                "event.duration": perf_counter_ns() - self._began,
                "http.request.body.bytes": self._received,
                "http.response.body.bytes": self._sent,
                "logship.websocket.messages": self._messages,
            }
            if end.status:
                fields["http.response.status_code"] = end.status
            if end.code is not None:
                fields["logship.websocket.close_code"] = end.code
            if failure is not None and not account.cancelled(failure):
                fields |= error_fields(type(failure), failure, failure.__traceback__, self._line.redactor, STACK_BYTES)
            self._record("ws-close", end.words, fields, "error" if end.outcome == "failure" else "info")
        finally:
            if self._cell >= 0:
                inflight = self._line.journal.inflight
                inflight.starts[self._cell >> 3] = 0
                inflight.free.append(self._cell)

    def _end(self, failure: BaseException | None) -> "End":
        """How it ended. A close that the application sent before the client left decides."""
        code = self._code if self._sent_code is None else self._sent_code
        status = 101 if self._accepted else self._refused
        words = f"closed {code or ''}".rstrip() if self._accepted else f"refused {status}"
        if failure is not None and account.cancelled(failure):
            return End("cancelled", "failure", status, code if self._accepted else None, "cancelled")
        left = self._disconnected and self._sent_code is None
        if failure is not None and not (account.left_by_client(failure) and (left or self._code is not None)):
            return End(
                "server_error",
                "failure",
                status or 500,
                code if self._accepted else None,
                words if status else "failed 500",
            )
        if not self._accepted:
            if self._refused:
                return End("refused", "failure" if status >= 500 else "success", status, None, words)
            if self._disconnected:
                return End("client_disconnected", "unknown", 0, None, "not accepted, the client left")
            # It returned without an answer: the server sends a 500 of its own.
            return End("server_error", "failure", 500, None, "failed 500")
        if self._sent_code is not None:
            if self._sent_code in SERVER_FAILED:
                return End("server_error", "failure", status, code, words)
            return End("complete", "success", status, code, words)
        if self._code in SERVER_STOPS:
            return End("server_shutdown", "unknown", status, code, words)
        if self._code is None or self._code == 1000 or self._code >= FIRST_PRIVATE_CODE:
            return End("complete", "success", status, code, words)
        return End("client_disconnected", "success" if self._code in LEFT_IN_ORDER else "unknown", status, code, words)

    def _record(self, action: str, words: str, fields: dict[str, object], level: str = "info") -> None:
        """Journal an event of this socket. What the server's middleware may have changed in the scope is read only now."""
        line, scope = self._line, self._scope
        peer = scope.get("client") or ("", 0)
        about = {
            "log.logger": build.REQUEST,
            "event.dataset": build.REQUEST,
            "event.category": ["web"],
            "http.request.method": "GET",
            "http.request.id": self.request_id.decode(),
            "http.route": hooks.route(scope) or "",
            "network.protocol": "websocket",
            "url.path": self._path.shown.decode("utf-8", "replace"),
            "url.scheme": scope.get("scheme", "ws")[:16],
            "url.domain": client.domain(self._headers.get(b"host", b""), line.redactor),
            "user_agent.original": client.user_agent(self._headers.get(b"user-agent", b""), line.redactor),
            "client.ip": client.shown_ip(peer[0], line.settings.client_ip),
            "client.port": client.port_of(peer[1]),
            "trace.id": self.trace.decode(),
            "span.id": self.span.decode(),
            "transaction.id": self.span.decode(),
            "parent.id": self._parent[1].decode() if self._parent else "",
            "event.start": build.time_text(self._wall),
            "event.action": action,
            "message": f"WEBSOCKET {self._path.shown.decode('utf-8', 'replace')} {words}",
            "log.level": level,
        }
        line.record({name: value for name, value in about.items() if value != ""} | fields)


class End(NamedTuple):
    """The end of a websocket: `event.reason`, `event.outcome`, status (0: no answer), close code, end of the message."""

    reason: str
    outcome: str
    status: int
    code: int | None
    words: str
