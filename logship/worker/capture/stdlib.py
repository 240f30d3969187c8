"""Records each record of stdlib logging as an event, once, whatever handlers the application has.

It patches `Logger.callHandlers`, which a logger calls once for each record that it lets through. It is not a handler: with
a handler on the root, `logging.basicConfig` would do nothing, and the application would lose its output."""

import copy
import functools
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from logship.event import build
from logship.worker import registry
from logship.worker.capture import bound, rendered
from logship.worker.capture.log_call import (
    MAX_NESTING,
    ExcInfo,
    failure_of,
    formatted,
    nesting,
    write,
    write_minimal,
    write_nested,
)
from logship.worker.capture.structlog_call import CHAIN_ADDS, CapturedCall, pending
from logship.worker.context import RECORDED
from logship.worker.pipeline import Pipeline

OWN_LOGGER = "logship"
SERVER_LOGGERS = frozenset(("uvicorn.error", "gunicorn.error", "hypercorn.error", "_granian"))
ACCESS_LOGGERS = ("uvicorn.access", "gunicorn.access", "hypercorn.access", "granian.access")
TRACEBACK = "Traceback (most recent call last):\n"

# Of a plain record, not of one from the application's record factory, whose additions are fields of the application.
_PLAIN_RECORD = vars(logging.LogRecord("", 0, "", 0, "", None, None))
_STANDARD = frozenset(_PLAIN_RECORD) | set("message asctime taskName color_message _logger _name".split())
_PLAIN = len(_PLAIN_RECORD)  # a record with more attributes has some from the call, a factory or a handler

# Name of the logger whose records repeat an event that is being recorded: asyncio or py.warnings.
silent: ContextVar[str] = ContextVar("logship_silent", default="")


def install(level: str) -> None:
    """Record what the loggers of logging let through from now on, from `level` up. Idempotent."""
    if not hasattr(logging.Logger.callHandlers, "_logship"):
        logging.Logger.callHandlers = _watching(logging.Logger.callHandlers)  # type: ignore[method-assign]
    follow(level)


def _watching(call_handlers: Callable[[logging.Logger, logging.LogRecord], None]) -> Callable[..., None]:
    @functools.wraps(call_handlers)
    def logged(self: logging.Logger, record: logging.LogRecord) -> None:
        try:
            number = _number(record)
            recorded = _is_recorded(self, record)
            if number < _level_before and _exists_only_for_us(self):
                if recorded:
                    journal(record)
                return
            after = recorded and _is_filtered(self)
            if recorded and not after:
                journal(record)
        except Exception:  # a recursion at its limit: the application's next call raises
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


def _is_recorded(logger: logging.Logger, record: logging.LogRecord) -> bool:
    return _number(record) >= (_named_least(record.name) if _named else _least) and registry.is_configured() and _is_heard(logger)


def is_journalled(record: logging.LogRecord) -> bool:
    """Return whether a record that a handler of this process receives is recorded as an event already."""
    return _is_recorded(logging.getLogger(record.name), record)


def _is_filtered(logger: logging.Logger) -> bool:
    """Whether a handler has filters, which may add fields to a record, as asgi-correlation-id adds the correlation id."""
    at: logging.Logger | None = logger
    while at is not None:
        if any(handler.filters for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False


def _journal_after(record: logging.LogRecord, call_handlers: Callable[[], None]) -> None:
    """Record a record with the fields that filters of handlers added, and without the changes of formatters."""
    call, message, args = pending.call, record.msg, record.args
    try:
        call_handlers()
    finally:
        pending.call = call
        if record.msg is not message or record.args is not args:
            record = copy.copy(record)
            record.msg, record.args = message, args
        journal(record)


def _is_heard(logger: logging.Logger) -> bool:
    """Whether records of `logger` reach the root, or a handler on their way that is not a NullHandler."""
    name = logger.name
    if name == OWN_LOGGER or name.startswith("logship.") or name == silent.get():
        return False
    at: logging.Logger | None = logger
    while at is not None:
        if not at.propagate:
            return name not in ACCESS_LOGGERS and _has_handler(logger, at)
        at = at.parent
    return True


def _has_handler(logger: logging.Logger, last: logging.Logger) -> bool:
    """Whether a logger from `logger` up to `last`, which does not propagate, has a handler; else it is silent by choice."""
    at: logging.Logger | None = logger
    while at is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in at.handlers):
            return True
        at = at.parent if at is not last else None
    return last.parent is None


def _exists_only_for_us(logger: logging.Logger) -> bool:
    """Whether a record below the root's own level exists only because logship lowered that: handlers must not get it."""
    at: logging.Logger | None = logger
    while at is not None and not (at.level and at.parent):
        if at.parent is None:
            return type(at.level) is _Lowered
        at = at.parent
    return False


def journal(record: logging.LogRecord) -> None:
    """Record one record, once. If it is the rendered form of a structlog call, the values are those of that call."""
    pipeline = registry.current()
    if pipeline is None:
        return
    call = pending.call
    pending.call = None
    depth = nesting.depth
    if depth >= MAX_NESTING:
        write_nested(pipeline, _level(record), record.name, record.msg)
        return
    nesting.depth = depth + 1
    try:
        if call is None or not call.is_rendered_as(record.msg):
            _write_record(pipeline, record)
        elif not call.written:
            _write_call(pipeline, record, call)
    except Exception as error:  # attributes of the record are properties that raise
        write_minimal(pipeline, _level(record), error)
    finally:
        nesting.depth = depth


def _write_record(pipeline: Pipeline, record: logging.LogRecord) -> None:
    failure: ExcInfo | str | None = failure_of(record.exc_info) if record.exc_info else None
    if type(failure) is tuple and record.name in SERVER_LOGGERS and getattr(failure[1], RECORDED, False):
        return  # the server's traceback of an exception that the event of its request has recorded
    attributes = vars(record)
    own: dict[str, Any] = {}
    if len(attributes) > _PLAIN or type(record) is not logging.LogRecord:
        own = _added(record, attributes)
    message: object = record.msg
    template = message if record.args else None
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
            fields = rendered.read(message)
            if fields is not None:
                message, own, failure = _split({"event": fields[0], **fields[1]}, own, failure)
    if bound.EVER_BOUND:
        own = {**bound.values(), **own}
    stack = record.stack_info if type(record.stack_info) is str else ""
    write(pipeline, _level(record), record.name, message, own, failure, _origin(record), stack, message_template=template)


def _write_call(pipeline: Pipeline, record: logging.LogRecord, call: CapturedCall) -> None:
    """Record a structlog call that logging has let through, with its values from before it was rendered."""
    own = call.own
    attributes = vars(record)
    if len(attributes) > _PLAIN or type(record) is not logging.LogRecord:
        own = {**_added(record, attributes, call.rendered_extra), **own}
    failure = call.failure or (failure_of(record.exc_info) if record.exc_info else None)
    write(pipeline, _level(record), record.name, call.message, own, failure, _origin(record), call.stack)


def _level(record: logging.LogRecord) -> str:
    return build.level_name(record.levelno) if isinstance(record.levelno, int) else "info"


def _origin(record: logging.LogRecord) -> tuple[str, int, str]:
    return record.filename, record.lineno, record.funcName or ""


def _added(record: logging.LogRecord, attributes: Mapping[str, Any], apart: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the fields that the call (`extra`), a record factory or a record class has added to a plain record.

    `apart`: names to leave out."""
    own = {name: attributes[name] for name in attributes.keys() - _STANDARD}
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
    fields: Mapping[str, Any], own: dict[str, Any], failure: ExcInfo | str | None
) -> tuple[object, dict[str, Any], ExcInfo | str | None]:
    """Return (message, fields, failure) of an event dictionary of structlog. `own`, `failure`: what is known from elsewhere."""
    own = {**own, **fields}
    message = own.pop("event")
    failure = failure or failure_of(own.pop("exc_info", None))
    text = own.get("exception")
    if failure is None and type(text) is str and text:
        failure = text
    return message, {name: value for name, value in own.items() if name not in CHAIN_ADDS}, failure


def _unprepared(message: str) -> tuple[str, str]:
    """Separate (message, traceback): QueueHandler appends the traceback to the message for another process."""
    at = message.index(TRACEBACK)
    return message[:at].rstrip("\n"), message[at:]


# Levels.


class _Lowered(int):
    """A level of the root logger that logship has set. If the application sets the same level, it is a plain int."""


_least = logging.INFO
# Loggers with another level for a while: their own level, and the one in force.
_named: dict[str, tuple[int, int]] = {}
_level_before = logging.NOTSET  # the root's own level, while logship's is in its place


def follow(level: str) -> None:
    """Record from `level` up: the root logger is lowered to it, so that such records are created.

    The root's own level still decides which records the application's handlers get."""
    global _least, _level_before
    _least = build.LEVELS[level]
    root = logging.getLogger()
    if type(root.level) is not _Lowered:
        _level_before = root.level
    wanted = _level_before if _level_before <= _least else _Lowered(_least)
    if root.level != wanted:
        root.setLevel(wanted)
    logging.getLogger(OWN_LOGGER).disabled = False  # dictConfig disables loggers that it does not name


def name_levels(levels: Mapping[str, int]) -> None:
    """Record from these levels up for these loggers and those below them; the loggers before get their own level back."""
    global _named
    before = _named
    for name, (own, _) in before.items():
        if name not in levels:
            logging.getLogger(name).setLevel(own)
    _named = {}
    for name, level in levels.items():
        logger = logging.getLogger(name)
        own = before[name][0] if name in before else logger.level
        logger.setLevel(level)
        _named[name] = (own, level)


def _named_least(name: object) -> int:
    """Return the level of the nearest named logger above `name`, or of all loggers. A name that is not text has none."""
    while name and isinstance(name, str):
        if name in _named:
            return _named[name][1]
        name = name.rpartition(".")[0]
    return _least


def release() -> None:
    """Give the root logger its own level back."""
    root = logging.getLogger()
    if type(root.level) is _Lowered:
        root.setLevel(_level_before)


def mute_access() -> None:
    """Mute uvicorn's access log: the agent has the requests, and an access line costs more than an event."""
    access = logging.getLogger("uvicorn.access")
    access.disabled = True
    # uvicorn calls this once per connection; otherwise it prepares the line's arguments: 3 us per request.
    access.hasHandlers = lambda: False  # type: ignore[method-assign]


def unmute_access() -> None:
    """Unmute uvicorn's access log."""
    access = logging.getLogger("uvicorn.access")
    if vars(access).pop("hasHandlers", None) is not None:
        access.disabled = False

