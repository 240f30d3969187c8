"""A log call as an event: its message, level, logger, fields, exception and origin, with the ids of its request.

Nothing here raises into the application. What cannot be recorded as it was given is recorded in a shorter form; if even
that fails, it is counted."""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Mapping
from threading import get_ident
from types import TracebackType
from typing import Any

from logship.event import build, clean
from logship.event.cut import cut_text, cut_to, safe_text
from logship.event.failure import error_fields, error_fields_of_text
from logship.event.redact import CUT_MARGIN_CHARACTERS, suspicious_text
from logship.worker import internal_errors
from logship.worker.asgi.route import template
from logship.worker.context import REQUEST
from logship.worker.pipeline import Pipeline

STACK_BYTES = 16 * 1024
MESSAGE_BYTES = 16 * 1024
MOST_LOGGERS = 4096
# A record has 64 KB: what is left by a message, a stack trace and our own fields.
OWN_FIELDS_BYTES = 24 * 1024

_FUNCTION = re.compile(r'^(\s+File "[^"\n]*", line \d+, in \w+)$', re.MULTILINE)

# A value may log while its text is made (an object that loads itself). One that logs itself is in a recursion, and with
# the application's own handlers beside us in one that doubles at each level: from here on no text of a value is made.
MOST_NESTED = 2

_main_thread = threading.main_thread().ident


def _after_fork() -> None:
    global _main_thread
    _main_thread = get_ident()


os.register_at_fork(after_in_child=_after_fork)

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Origin = tuple[str, int, str]  # file, line, function


def write(
    pipeline: Pipeline,
    level: str,
    logger: object,
    message: object,
    own: Mapping[str, Any],
    failure: ExcInfo | str | None = None,
    origin: Origin | None = None,
    stack: str = "",
    time_ns: int | None = None,
) -> bool:
    """Journal one event of the application; False if it was counted instead. Never raises.

    `own`: the call's fields; `failure`: an exception, or the text of a traceback from another process; `stack`: the
    stack of the call, where the caller wanted it (`stack_info`); `time_ns`: when it happened, None for now."""
    try:
        text, cut = _text(pipeline, message)
        fields: dict[str, object] = {
            "message": text,
            "log.level": level,
            "log.logger": (_loggers.get(logger) if type(logger) is str else None) or logger_name(pipeline, logger),
            "event.dataset": build.APP,
        }
        if get_ident() != _main_thread:
            fields["process.thread.name"] = _thread_name(pipeline)
        if origin is not None:
            file, number, function = origin
            if type(file) is str and type(number) is int:
                fields["log.origin.file.name"] = file if file.isascii() else safe_text(file)
                fields["log.origin.file.line"] = number
            if type(function) is str and function:
                fields["log.origin.function"] = function if function.isascii() else safe_text(function)
        if own:
            labels, numbers, shortened = clean.application_fields(own, pipeline.redactor)
            cut = cut or shortened
            if len(own) > 8 or shortened:
                labels, numbers, shortened = cut_to(labels, numbers, OWN_FIELDS_BYTES)
                cut = cut or shortened
            if labels:
                fields["labels"] = labels
            if numbers:
                fields["numeric_labels"] = numbers
        if failure is not None:
            if isinstance(failure, str):
                fields |= error_fields_of_text(failure, pipeline.redactor, STACK_BYTES)
            else:
                fields |= error_fields(*failure, pipeline.redactor, STACK_BYTES)
        if stack:
            _add_stack(fields, stack, pipeline)
        request = REQUEST.get()
        if request is not None:
            request_id, trace, span, where, _ = request
            fields["http.request.id"] = request_id.decode()
            fields["trace.id"] = trace.decode()
            fields["span.id"] = fields["transaction.id"] = span.decode()
            route = where if type(where) is str else template(where)
            if route:
                fields["http.route"] = route
        if cut:
            fields["tags"] = ["cut"]
        return pipeline.record(fields, time_ns)
    except Exception as error:  # no frames are left in a recursion, no memory
        return write_less(pipeline, level, error)


def _thread_name(pipeline: Pipeline) -> str:
    name = threading.current_thread().name[:256]
    return pipeline.redactor.text(safe_text(name)) if suspicious_text(name) else safe_text(name)


def _text(pipeline: Pipeline, message: object) -> tuple[str, bool]:
    shown: str = message if type(message) is str else str(clean.clean_value(message))
    size = len(shown)
    if size < 256 and shown.isascii():
        if suspicious_text(shown):
            shown = pipeline.redactor.text(shown)
        return shown.rstrip("\n"), False
    cut = size > MESSAGE_BYTES
    gone = 0
    if cut:  # first, so that a message of megabytes is not redacted whole; of a secret at the cut nothing may stay
        gone = max(0, len(shown) - MESSAGE_BYTES - CUT_MARGIN_CHARACTERS)
        shown = shown[: MESSAGE_BYTES + CUT_MARGIN_CHARACTERS]
    text = safe_text(shown).rstrip("\n")
    if suspicious_text(text):
        text = pipeline.redactor.text(text)
    if gone:
        text, gone = text[:-CUT_MARGIN_CHARACTERS], gone + CUT_MARGIN_CHARACTERS
    return (cut_text(text, MESSAGE_BYTES, gone) if cut or len(text) > MESSAGE_BYTES // 4 else text), cut


def _add_stack(fields: dict[str, object], stack: str, pipeline: Pipeline) -> None:
    # `in checkout` becomes `in checkout()`: the source of the calling line, which would show it, is not always there.
    text = _FUNCTION.sub(r"\1()", safe_text(stack[: STACK_BYTES + CUT_MARGIN_CHARACTERS]))
    shown = cut_text(pipeline.redactor.text(text), STACK_BYTES // 2)
    trace = fields.get("error.stack_trace")
    fields["error.stack_trace"] = f"{str(trace)[:STACK_BYTES]}\n{shown}" if trace else shown


class _Inside(threading.local):
    """How many log calls of this thread are being recorded, one inside of another's values."""

    depth = 0


inside = _Inside()

_loggers: dict[str, str] = {}


def forget_names() -> None:
    """Forget how logger names are shown: other names are redacted now."""
    _loggers.clear()


def logger_name(pipeline: Pipeline, name: object) -> str:
    """`name` as it may be shown; names repeat, so the verdict is kept."""
    text = name if type(name) is str else str(clean.clean_value(name))
    shown = pipeline.redactor.text(safe_text(text[:1024]))[:256] or "root"
    if len(_loggers) < MOST_LOGGERS and type(name) is str and len(name) <= 256:
        _loggers[name] = shown
    return shown


def write_less(pipeline: Pipeline, level: str, error: Exception) -> bool:
    """Record that there was a call, which could not be recorded as it was; False if even that failed. Never raises."""
    kept = False
    try:  # noqa: SIM105 - no frames for a context manager, see `complain`
        kept = pipeline.record({
            "message": f"[a log call that could not be recorded: {type(error).__name__}]",
            "log.level": level,
            "log.logger": "root",
            "event.dataset": build.APP,
            "tags": ["cut"],
        })  # fmt: skip
    except Exception:  # noqa: S110 - there is not even room for this in a recursion without frames
        pass
    complain(error)
    return kept


def write_nested(pipeline: Pipeline, level: str, logger: object, message: object) -> None:
    """Record a call that was made inside of too many others: its message as it was written, and no values."""
    write(pipeline, level, logger, message if type(message) is str else "[a log call inside of its own values]", {})


def complain(error: Exception) -> None:
    """Say a mistake of ours; without raising, whatever the state of the process."""
    # Not contextlib.suppress: a recursion may have frames for a call, and none for two.
    try:  # noqa: SIM105
        internal_errors.report(error)
    except Exception:  # noqa: S110
        pass


def failure_of(exc_info: object) -> ExcInfo | None:
    """Return the exception that `exc_info` means: True for the one being handled, an exception, or a triple; else None."""
    if exc_info is None or exc_info is False:
        return None
    if isinstance(exc_info, BaseException):
        return type(exc_info), exc_info, exc_info.__traceback__
    if type(exc_info) is tuple:
        if len(exc_info) == 3 and isinstance(exc_info[1], BaseException):
            kind, error, trace = exc_info
            return (
                kind if isinstance(kind, type) else type(error),
                error,
                trace if isinstance(trace, TracebackType) else error.__traceback__,
            )
        if len(exc_info) == 3 and isinstance(exc_info[0], type) and issubclass(exc_info[0], BaseException):
            return exc_info  # an exception without a value: error_fields knows it
        return None
    current = sys.exc_info()
    return current if current[0] is not None else None


def formatted(message: object, given: object) -> str:
    """Return `message % given` as logging does it; what cannot be formatted so is written behind each other instead.

    Never raises: an argument whose text cannot be made is shown as "[unreadable Order]"."""
    text = message if type(message) is str else str(clean.clean_value(message))
    if not given:
        return text
    with contextlib.suppress(Exception):
        if isinstance(given, Mapping):
            return text % {name: _readable(value) for name, value in given.items()}
        return text % tuple(_readable(value) for value in given)  # type: ignore[attr-defined]
    return f"{text} % {clean.clean_value(given)}"


def _readable(value: object) -> object:
    """`value` if its text can be made, else what stands for it."""
    if type(value) in {str, int, float, bool} or value is None:
        return value
    try:
        str(value), repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return clean.clean_value(value)
    return value
