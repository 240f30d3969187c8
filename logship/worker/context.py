"""The request that the current context handles: what log events copy from it."""

from contextvars import ContextVar
from typing import Any

# Set on an exception that the event of its request has recorded: the server's own line about it is not a second event.
RECORDED = "_logship_recorded"

# [request id, trace id, span id, scope, bound context variables (`capture.bound.BoundValues` or None)] while a request is
# handled. A list, because it is changed in place: when the request is over, the route replaces the scope. A server's timers
# hold copies of the context for seconds, and with asyncio a hundred scopes at a time; the garbage collector visited them
# again and again (seen in profiles).
REQUEST: ContextVar[list[Any] | None] = ContextVar("logship_request", default=None)
