"""The request in whose context the code of another thread runs.

A context variable is read by its own thread only. So the request is found in the context of the running task, and without
a task in the frames of RequestLog on the stack."""

import asyncio
import gc
import sys
from contextvars import Context
from types import FrameType
from typing import Any

from logship.event import account
from logship.event.redact import Redactor
from logship.worker.asgi.route import template
from logship.worker.context import REQUEST

# The list that `context.REQUEST` holds while a request is handled.
Handled = list[Any]

_REQUEST_LOG = "logship.worker.asgi.requestlog"
_FRAMES = 500


def running_task(loop: asyncio.AbstractEventLoop | None) -> Any:
    """Return the task that a loop of another thread executes; None if it executes none, or is not asyncio's."""
    return asyncio.current_task(loop) if loop is not None else None


def request_of(task: Any, frame: FrameType | None) -> Handled | None:
    """Return the request of `task`, or of the stack of `frame`; None if neither has one."""
    context = _context_of(task) if task is not None else None
    request = context.get(REQUEST) if context is not None else None
    return request if request is not None else _request_on(frame)


def _context_of(task: Any) -> Context | None:
    if sys.version_info >= (3, 12):
        context = task.get_context() if hasattr(task, "get_context") else None
        return context if isinstance(context, Context) else None
    # Before 3.12 a task does not reveal its context, but its references do.
    return next((found for found in gc.get_referents(task) if type(found) is Context), None)


def _request_on(frame: FrameType | None) -> Handled | None:
    for _ in range(_FRAMES):
        if frame is None:
            return None
        if frame.f_code.co_name == "__call__" and frame.f_globals.get("__name__") == _REQUEST_LOG:
            request = frame.f_locals.get("request")
            return request if isinstance(request, list) else None
        frame = frame.f_back
    return None


def endpoint_of(request: Handled) -> object:
    """Return the function or class that handles `request`; None before its route is known, and after its end."""
    scope = request[3]
    return scope.get("endpoint") if isinstance(scope, dict) else None


def fields_of(request: Handled, redactor: Redactor) -> dict[str, object]:
    """Return the fields that an event copies from its request: ids, route, and method and path while it runs."""
    request_id, trace, span, scope_or_route, _ = request
    fields: dict[str, object] = {
        "http.request.id": request_id.decode(),
        "trace.id": trace.decode(),
        "span.id": span.decode(),
        "transaction.id": span.decode(),
    }
    if isinstance(scope_or_route, str):
        route: str | None = scope_or_route
    else:
        route = template(scope_or_route)
        fields["http.request.method"] = str(scope_or_route.get("method", "GET"))[:16]
        fields["url.path"] = account.pack_path(redactor, scope_or_route["path"]).shown.decode()
    if route:
        fields["http.route"] = route
    return fields
