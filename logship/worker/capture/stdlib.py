"""Records of stdlib logging as events. Every record of every logger passes us once, whatever handlers there are.

We stand at `Logger.callHandlers`, which a logger calls once for each record that it lets through, and are no handler
ourselves: with one of ours on the root, `logging.basicConfig` would do nothing, and the application's output be gone."""

import copy
import functools
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from logship.event import build
from logship.worker import registry
from logship.worker.capture import bound, rendered
from logship.worker.capture.call import (
    MOST_NESTED,
    ExcInfo,
    failure_of,
    formatted,
    inside,
    write,
    write_less,
    write_nested,
)
from logship.worker.capture.seen import CHAIN_ADDS, Seen, pending
from logship.worker.context import RECORDED
from logship.worker.pipeline import Pipeline

OWN_LOGGER = "logship"
SERVER_LOGGERS = frozenset(("uvicorn.error", "gunicorn.error", "hypercorn.error", "_granian"))
ACCESS_LOGGERS = ("uvicorn.access", "gunicorn.access", "hypercorn.access", "granian.access")
TRACEBACK = "Traceback (most recent call last):\n"

# Of a plain record, not of what an application's record factory makes: what that adds is the application's.
_PLAIN_RECORD = vars(logging.LogRecord("", 0, "", 0, "", None, None))
_STANDARD = frozenset(_PLAIN_RECORD) | set("message asctime taskName color_message _logger _name".split())
_PLAIN = len(_PLAIN_RECORD)  # more attributes than these: the call, a factory or another handler brought some

# The logger whose records are another telling of an event that is being written: asyncio's, py.warnings'.
silent: ContextVar[str] = ContextVar("logship_silent", default="")


def install(level: str) -> None:
    """Journal what loggers of logging say from now on, from `level` up. Twice does no harm."""
    if not hasattr(logging.Logger.callHandlers, "_logship"):
        logging.Logger.callHandlers = _watching(logging.Logger.callHandlers)  # type: ignore[method-assign]
    follow(level)


def _watching(call_handlers: Callable[[logging.Logger, logging.LogRecord], None]) -> Callable[..., None]:
    @functools.wraps(call_handlers)
    def logged(self: logging.Logger, record: logging.LogRecord) -> None:
        try:
            number = _number(record)
            heard = _is_kept(self, record)
            if number < _level_before and _is_ours_alone(self):
                if heard:
                    journal(record)
                return
            after = heard and _is_filtered(self)
            if heard and not after:
                journal(record)
        except Exception:  # a recursion that has no frames left: the application's next call says so
            after = False
        if after:
            _journal_after(record, functools.partial(call_handlers, self, record))
        else:
            call_handlers(self, record)

    logged._logship = True  # type: ignore[attr-defined]
    return logged


def _number(record: logging.LogRecord) -> int:
    number: Any = record.levelno
    return number if isinstance(number, int) else logging.INFO


def _is_kept(logger: logging.Logger, record: logging.LogRecord) -> bool:
    return _number(record) >= _least and registry.is_configured() and _is_heard(logger)


def is_journalled(record: logging.LogRecord) -> bool:
    """Return whether a record that a handler of this process gets is an event already."""
    return _is_kept(logging.getLogger(record.name), record)


def _is_filtered(logger: logging.Logger) -> bool:
    """Whether a handler has filters, which may add to a record: asgi-correlation-id's adds the correlation id."""
    at: logging.Logger | None = logger
    while at is not None:
        for one in at.handlers:
            if one.filters:
                return True
        at = at.parent if at.propagate else None
    return False


def _journal_after(record: logging.LogRecord, call_handlers: Callable[[], None]) -> None:
    """Journal a record with what the filters of handlers have added, and without what formatters have changed."""
    seen, message, given = pending.seen, record.msg, record.args
    try:
        call_handlers()
    finally:
        pending.seen = seen
        if record.msg is not message or record.args is not given:
            record = copy.copy(record)
            record.msg, record.args = message, given
        journal(record)


def _is_heard(logger: logging.Logger) -> bool:
    """Whether records of `logger` reach the root, or a handler on their way that is more than a NullHandler."""
    name = logger.name
    if name == OWN_LOGGER or name.startswith("logship.") or name == silent.get():
        return False
    at: logging.Logger | None = logger
    while at is not None:
        if not at.propagate:
            return name not in ACCESS_LOGGERS and _speaks(logger, at)
        at = at.parent
    return True


def _speaks(logger: logging.Logger, last: logging.Logger) -> bool:
    """Whether a logger from `logger` up to `last`, which does not propagate, has a handler: else it is silent by choice."""
    at: logging.Logger | None = logger
    while at is not None:
        if any(not isinstance(one, logging.NullHandler) for one in at.handlers):
            return True
        at = at.parent if at is not last else None
    return last.parent is None


def _is_ours_alone(logger: logging.Logger) -> bool:
    """Whether a record below the root's own level exists only because we have lowered that: other handlers do not get it."""
    at: logging.Logger | None = logger
    while at is not None and not (at.level and at.parent):
        if at.parent is None:
            return type(at.level) is _Lowered
        at = at.parent
    return False


def journal(record: logging.LogRecord) -> None:
    """Write one record into the journal, once: a call of structlog's that it stands for has its values from there."""
    pipeline = registry.current()
    if pipeline is None:
        return
    seen = pending.seen
    pending.seen = None
    depth = inside.depth
    if depth >= MOST_NESTED:
        write_nested(pipeline, _level(record), record.name, record.msg)
        return
    inside.depth = depth + 1
    try:
        if seen is None or not seen.is_rendered_as(record.msg):
            _write_record(pipeline, record)
        elif not seen.written:
            _write_seen(pipeline, record, seen)
    except Exception as error:  # a record whose attributes are properties that raise
        write_less(pipeline, _level(record), error)
    finally:
        inside.depth = depth


def _write_record(pipeline: Pipeline, record: logging.LogRecord) -> None:
    failure: ExcInfo | str | None = failure_of(record.exc_info) if record.exc_info else None
    if type(failure) is tuple and record.name in SERVER_LOGGERS and getattr(failure[1], RECORDED, False):
        return  # the server's traceback of an exception that its request's event has told
    given = vars(record)
    own: dict[str, Any] = {}
    if len(given) > _PLAIN or type(record) is not logging.LogRecord:
        own = _added(record, given)
    message: object = record.msg
    if type(message) is dict and "event" in message:  # structlog's ProcessorFormatter, from another process
        message, own, failure = _split(message, own, failure)
    else:
        if type(message) is dict:  # log.info({"from": "ann"}), as fluent-logger's handler takes it
            own = {**own, **message}
        try:
            message = record.getMessage()
        except KeyboardInterrupt:
            raise
        except BaseException:
            message = formatted(record.msg, record.args)
        if failure is None:
            if type(record.exc_text) is str and record.exc_text:
                failure = record.exc_text
            elif record.args is None and type(message) is str and TRACEBACK in message:
                message, failure = _unprepared(message)
        if type(message) is str and (message[:1] == "{" or "event=" in message):
            told = rendered.read(message)
            if told is not None:
                message, own, failure = _split({"event": told[0], **told[1]}, own, failure)
    if bound.EVER_BOUND:
        own = {**bound.values(), **own}
    stack = record.stack_info if type(record.stack_info) is str else ""
    write(pipeline, _level(record), record.name, message, own, failure, _origin(record), stack)


def _write_seen(pipeline: Pipeline, record: logging.LogRecord, seen: Seen) -> None:
    """A call of structlog that logging has let through: its values are from before it was rendered."""
    own = seen.own
    given = vars(record)
    if len(given) > _PLAIN or type(record) is not logging.LogRecord:
        own = {**_added(record, given, seen.rendered_extra), **own}
    failure = seen.failure or (failure_of(record.exc_info) if record.exc_info else None)
    write(pipeline, _level(record), record.name, seen.message, own, failure, _origin(record), seen.stack)


def _level(record: logging.LogRecord) -> str:
    return build.level_name(record.levelno) if isinstance(record.levelno, int) else "info"


def _origin(record: logging.LogRecord) -> tuple[str, int, str]:
    return record.filename, record.lineno, record.funcName or ""


def _added(record: logging.LogRecord, given: Mapping[str, Any], apart: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What the call (`extra`), a record factory or a record class has added to a plain record."""
    own = {name: given[name] for name in given.keys() - _STANDARD}
    for name in apart:
        own.pop(name, None)
    if type(record) is logging.LogRecord:
        return own
    for kind in type(record).__mro__:
        if kind is logging.LogRecord or not issubclass(kind, logging.LogRecord):
            break
        for name, value in vars(kind).items():
            if name[:1] != "_" and name not in own and name not in _STANDARD and not callable(value):
                try:
                    own[name] = getattr(record, name)
                except Exception:
                    own[name] = None
    return own


def _split(
    told: Mapping[str, Any], own: dict[str, Any], failure: ExcInfo | str | None
) -> tuple[object, dict[str, Any], ExcInfo | str | None]:
    """Return (message, fields, failure) of an event dictionary that a chain of structlog's has made."""
    own = {**own, **told}
    message = own.pop("event")
    failure = failure or failure_of(own.pop("exc_info", None))
    text = own.get("exception")
    if failure is None and type(text) is str and text:
        failure = text
    return message, {name: value for name, value in own.items() if name not in CHAIN_ADDS}, failure


def _unprepared(message: str) -> tuple[str, str]:
    """QueueHandler, for another process, has written the traceback behind the message: take them apart again."""
    at = message.index(TRACEBACK)
    return message[:at].rstrip("\n"), message[at:]


# Levels.


class _Lowered(int):
    """A level of the root that we have set: an application that sets the same one sets a plain number."""


_least = logging.INFO
_level_before = logging.NOTSET  # the root's, while ours stands in its place


def follow(level: str) -> None:
    """Hold the level of our setting: records below it are not journalled; the root lets those from it on come into being.

    The root's own level still decides what the application's handlers get."""
    global _least, _level_before
    _least = build.LEVELS[level]
    root = logging.getLogger()
    if type(root.level) is not _Lowered:
        _level_before = root.level
    wanted = _level_before if _level_before <= _least else _Lowered(_least)
    if root.level != wanted:
        root.setLevel(wanted)
    logging.getLogger(OWN_LOGGER).disabled = False  # dictConfig disables whom it does not know


def mute_access() -> None:
    """The agent has our requests: uvicorn's access lines are not needed any more, and cost more than ours."""
    access = logging.getLogger("uvicorn.access")
    access.disabled = True
    # uvicorn asks this once a connection; else it goes on making the line's arguments: 3 us a request.
    access.hasHandlers = lambda: False  # type: ignore[method-assign]


def unmute_access() -> None:
    """Let uvicorn's access lines through again."""
    access = logging.getLogger("uvicorn.access")
    if vars(access).pop("hasHandlers", None) is not None:
        access.disabled = False

