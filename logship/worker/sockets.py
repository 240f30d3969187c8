"""The account of one websocket: an event when it is accepted, one when it is over."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from time import perf_counter_ns, time_ns
from typing import Any

from logship.event import account, build
from logship.event.failure import error_fields
from logship.state.inflight import CELL
from logship.worker import hooks
from logship.worker.line import REQUEST, Line

Message = MutableMapping[str, Any]
STACK_BYTES = 16 * 1024


class Socket:
    """Counts messages and bytes both ways between the server and the application."""

    def __init__(self, line: Line, scope: MutableMapping[str, Any], fresh: bytes, id_header: bytes) -> None:
        """`fresh`: 48 random hex digits."""
        headers = dict(scope["headers"])
        parent = account.trace_of(headers.get(b"traceparent", b""))
        given = headers.get(id_header)
        self.span = fresh[:16]
        self.request_id = (account.request_id_of(given, line.redactor) if given else None) or fresh[16:]
        self.trace = parent[0] if parent else fresh[16:]
        self._line = line
        self._scope = scope
        self._wall = time_ns()
        self._began = perf_counter_ns()
        self._received = self._sent = self._messages = 0
        self._accepted = self._disconnected = False
        self._code: int | None = None
        self._status = 101
        path = account.pack_path(line.redactor, scope["path"])
        client = scope.get("client") or ("", 0)
        kept = {
            "log.logger": build.REQUEST,
            "event.dataset": build.REQUEST,
            "event.category": ["web"],
            "http.request.method": "GET",
            "http.request.id": self.request_id.decode(),
            "network.protocol": "websocket",
            "url.path": path.shown.decode("utf-8", "replace"),
            "url.scheme": scope.get("scheme", "ws"),
            "url.domain": line.redactor.text(account.domain_of(headers.get(b"host", b""))),
            "user_agent.original": line.redactor.text(headers.get(b"user-agent", b"").decode("latin-1"))[:512],
            "client.ip": account.shown_ip(client[0], line.settings.client_ip),
            "client.port": account.port_of(client[1]),
            "trace.id": self.trace.decode(),
            "span.id": self.span.decode(),
            "transaction.id": self.span.decode(),
            "parent.id": parent[1].decode() if parent else "",
            "event.start": build.time_text(self._wall),
        }
        self._fields = {name: value for name, value in kept.items() if value != ""}
        self._path = path
        inflight = line.journal.inflight
        try:
            self._cell = inflight.free.pop()
            CELL.pack_into(inflight.map, self._cell, self._wall, self.span, self.request_id, b"WEBSOCKET", path.shown)
        except IndexError:
            self._cell = -1

    async def serve(self, app: Callable[..., Awaitable[None]], receive: Any, send: Any) -> None:
        """Run the application on this websocket: `ws-open` when it accepts, `ws-close` when it is over."""
        current = [self.request_id, self.trace, self.span, self._scope]
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
                self.close(failure)
            except Exception as error:
                self._line.journal.refuse("internal_error")
                hooks.complain(error)

    async def receive(self, outer: Callable[[], Awaitable[Message]]) -> Message:
        message = await outer()
        if message["type"] == "websocket.receive":
            self._messages += 1
            self._received += len(message.get("bytes") or b"") or len((message.get("text") or "").encode())
        elif message["type"] == "websocket.disconnect":
            self._disconnected = True
            if self._code is None:
                self._code = message.get("code", 1005)
        return message

    async def send(self, outer: Callable[[Message], Awaitable[None]], message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accepted = True
            self._record("ws-open", "open", {"event.type": ["access", "start"], "event.outcome": "success"})
        elif kind == "websocket.send":
            self._messages += 1
            self._sent += len(message.get("bytes") or b"") or len((message.get("text") or "").encode())
        elif kind == "websocket.close" and self._code is None:
            self._code = message.get("code", 1000)
            self._status = 101 if self._accepted else 403
        elif kind == "websocket.http.response.start":
            self._status = message["status"]
        await outer(message)

    def close(self, failure: BaseException | None) -> None:
        """Journal the end. `failure`: what the application raised."""
        try:
            reason, failed = self._reason(failure)
            fields: dict[str, object] = {
                "event.type": ["access", "end"],
                "event.outcome": "failure" if failed else "success",
                "event.reason": reason,
                "event.duration": perf_counter_ns() - self._began,
                "http.request.body.bytes": self._received,
                "http.response.body.bytes": self._sent,
                "http.response.status_code": self._status if failure is None or self._accepted else 500,
                "logship.websocket.messages": self._messages,
            }
            if self._code is not None:
                fields["logship.websocket.close_code"] = self._code
            if failure is not None and not isinstance(failure, asyncio.CancelledError):
                fields |= error_fields(type(failure), failure, failure.__traceback__, self._line.redactor, STACK_BYTES)
            self._record("ws-close", f"closed {self._code or ''}".rstrip(), fields, "error" if failed else "info")
        finally:
            if self._cell >= 0:
                inflight = self._line.journal.inflight
                inflight.starts[self._cell >> 3] = 0
                inflight.free.append(self._cell)

    def _reason(self, failure: BaseException | None) -> tuple[str, bool]:
        if isinstance(failure, asyncio.CancelledError):
            return "cancelled", True
        if failure is not None and not (self._disconnected and type(failure).__name__ == "WebSocketDisconnect"):
            return "server_error", True
        return ("client_disconnected", False) if self._code in {1001, 1005, 1006} else ("complete", False)

    def _record(self, action: str, word: str, fields: dict[str, object], level: str = "info") -> None:
        route = hooks.route(self._scope)
        if route:
            self._fields["http.route"] = route
        message = f"WEBSOCKET {self._path.shown.decode('utf-8', 'replace')} {word}"
        self._line.record({**self._fields, "event.action": action, "message": message, "log.level": level, **fields})
