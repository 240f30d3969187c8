"""Context variables that were bound with structlog during a request: they become labels of the request's event.

A value that is bound in a thread pool, a sync dependency or below BaseHTTPMiddleware is set in a copy of the request's
context, which the request never sees. So each binding is also noted on the request itself, which all copies share:

- bind_contextvars and bound_contextvars: the last value of a name counts, also after `with bound_contextvars(...)` ended,
  because people search for the exception that left such a block;
- unbind_contextvars removes the name; reset_contextvars restores what was there before;
- clear_contextvars removes everything if something is bound afterwards (the usual first line of a middleware). If nothing
  is, it was a clean-up at the end, and the request keeps its values.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextvars import Token
from typing import Any

import structlog

from logship.event import clean
from logship.event.cut import cut_to
from logship.event.redact import Redactor
from logship.worker.context import REQUEST

LABELS_BYTES = 8 * 1024

_contextvars: Any = structlog.contextvars
# structlog's own register of names. It is empty until the first value is bound in this process: testing it is all that a
# request pays until then. With a structlog that lacks it, every request looks for bound values.
EVER_BOUND: Mapping[str, object] = getattr(_contextvars, "_CONTEXT_VARS", {"unknown": None})


class BoundValues:
    """The values that were bound during one request, and those from before they were cleared."""

    __slots__ = ("before_clear", "now")

    def __init__(self) -> None:
        self.now: dict[str, Any] = {}
        self.before_clear: dict[str, Any] = {}


def fields(request: list[Any], redactor: Redactor) -> dict[str, object]:
    """Return `labels` and `numeric_labels` of the values bound during a request. `request`: the value of `context.REQUEST`."""
    noted: BoundValues | None = request[4]
    bound = {**((noted.now or noted.before_clear) if noted is not None else {}), **structlog.contextvars.get_contextvars()}
    if not bound:
        return {}
    labels, numbers, _ = clean.application_fields(bound, redactor)
    labels, numbers, _ = cut_to(labels, numbers, LABELS_BYTES)
    result: dict[str, object] = {}
    if labels:
        result["labels"] = labels
    if numbers:
        result["numeric_labels"] = numbers
    return result


def values() -> dict[str, Any]:
    """Return the values bound in this context, as structlog.contextvars.get_contextvars. Cheap while none was ever bound."""
    return structlog.contextvars.get_contextvars() if EVER_BOUND else {}


def _note(values: Mapping[str, Any]) -> None:
    request = REQUEST.get()
    if request is None or not values:
        return
    noted: BoundValues | None = request[4]
    if noted is None:
        noted = request[4] = BoundValues()
    noted.now.update(values)
    noted.before_clear = {}


def _forget(names: tuple[str, ...]) -> None:
    request = REQUEST.get()
    if request is not None and request[4] is not None:
        for name in names:
            request[4].now.pop(name, None)


def _cleared() -> None:
    request = REQUEST.get()
    if request is not None and request[4] is not None and request[4].now:
        noted = request[4]
        noted.before_clear, noted.now = noted.now, {}


def install() -> None:
    """Note bindings on the request from now on. Idempotent."""
    if hasattr(_contextvars.bind_contextvars, "_logship"):
        return
    bind: Callable[..., Mapping[str, Token[Any]]] = _contextvars.bind_contextvars
    unbind: Callable[..., None] = _contextvars.unbind_contextvars
    clear: Callable[[], None] = _contextvars.clear_contextvars
    reset: Callable[..., None] = _contextvars.reset_contextvars

    @functools.wraps(bind)
    def bind_contextvars(**kw: Any) -> Mapping[str, Token[Any]]:
        tokens = bind(**kw)
        _note(kw)
        return tokens

    @functools.wraps(unbind)
    def unbind_contextvars(*keys: str) -> None:
        unbind(*keys)
        _forget(keys)

    @functools.wraps(clear)
    def clear_contextvars() -> None:
        clear()
        _cleared()

    @functools.wraps(reset)
    def reset_contextvars(**kw: Token[Any]) -> None:
        reset(**kw)
        bound = _contextvars.get_contextvars()
        _forget(tuple(kw))
        _note({name: bound[name] for name in kw if name in bound})

    @contextlib.contextmanager
    @functools.wraps(_contextvars.bound_contextvars)
    def bound_contextvars(**kw: Any) -> Iterator[None]:
        outer = _contextvars.get_contextvars()
        outer = {name: outer[name] for name in outer.keys() & kw.keys()}
        bind_contextvars(**kw)
        try:
            yield
        finally:
            unbind(*kw)  # structlog's own function: the values stay noted
            bind_contextvars(**outer)

    for ours in (bind_contextvars, unbind_contextvars, clear_contextvars, reset_contextvars, bound_contextvars):
        setattr(_contextvars, ours.__name__, ours)
    _contextvars.bind_contextvars._logship = True
