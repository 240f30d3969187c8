"""Records a log call as an event: message, level, logger, fields, exception and origin, with the ids of its request.

Nothing here raises into the application. A call that cannot be recorded as it is becomes a minimal event; if that fails
too, it is counted."""

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
MAX_LOGGERS = 4096
TEMPLATE_CHARACTERS = 512
MAX_TEMPLATES = 4096
# An event has 64 KB: the rest is for the message, the stack trace and logship's fields.
OWN_FIELDS_BYTES = 24 * 1024

_FUNCTION = re.compile(r'^(\s+File "[^"\n]*", line \d+, in \w+)$', re.MULTILINE)

# A value may log while it is converted to text (an object that loads itself lazily). One that logs itself recurses, and
# together with the application's handlers the recursion doubles at each level: from this depth on, values are left out.
MAX_NESTING = 2

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
    message_template: object = None,
) -> bool:
    """Record one event of the application; False if it was dropped and counted instead. Never raises.

    `own`: the fields of the call; `failure`: an exception, or the text of a traceback from another process; `stack`: the
    stack of the call, for `stack_info`; `time_ns`: wall clock, None for now; `message_template`: the message before its
    arguments were inserted, None if it had none."""
    try:
        text, cut = _text(pipeline, message)
        fields: dict[str, object] = {
            "message": text,
            "log.level": level,
            "log.logger": (_loggers.get(logger) if type(logger) is str else None) or logger_name(pipeline, logger),
            "event.dataset": build.APP,
        }
        if type(message_template) is str and message_template:
            known = _templates.get(message_template)
            fields["logship.message.template"] = known or template_text(pipeline, message_template)
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
            request_id, trace, span, scope_or_route, _ = request
            fields["http.request.id"] = request_id.decode()
            fields["trace.id"] = trace.decode()
            fields["span.id"] = fields["transaction.id"] = span.decode()
            route = scope_or_route if type(scope_or_route) is str else template(scope_or_route)
            if route:
                fields["http.route"] = route
        if cut:
            fields["tags"] = ["cut"]
        return pipeline.record(fields, time_ns)
    except Exception as error:  # a recursion at its limit, or no memory
        return write_minimal(pipeline, level, error)


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
    if cut:  # first, so that megabytes are not redacted; the margin covers a secret at the cut
        gone = max(0, len(shown) - MESSAGE_BYTES - CUT_MARGIN_CHARACTERS)
        shown = shown[: MESSAGE_BYTES + CUT_MARGIN_CHARACTERS]
    text = safe_text(shown).rstrip("\n")
    if suspicious_text(text):
        text = pipeline.redactor.text(text)
    if gone:
        text, gone = text[:-CUT_MARGIN_CHARACTERS], gone + CUT_MARGIN_CHARACTERS
    return (cut_text(text, MESSAGE_BYTES, gone) if cut or len(text) > MESSAGE_BYTES // 4 else text), cut


def _add_stack(fields: dict[str, object], stack: str, pipeline: Pipeline) -> None:
    # `in checkout` becomes `in checkout()`: the source line, which would show the call, is not always available.
    text = _FUNCTION.sub(r"\1()", safe_text(stack[: STACK_BYTES + CUT_MARGIN_CHARACTERS]))
    shown = cut_text(pipeline.redactor.text(text), STACK_BYTES // 2)
    trace = fields.get("error.stack_trace")
    fields["error.stack_trace"] = f"{str(trace)[:STACK_BYTES]}\n{shown}" if trace else shown


class _Nesting(threading.local):
    """How many log calls of this thread are being recorded, one inside the values of another."""

    depth = 0


nesting = _Nesting()

_loggers: dict[str, str] = {}
_templates: dict[str, str] = {}


def forget_names() -> None:
    """Clear the caches of logger names and templates: the redacted texts have changed."""
    _loggers.clear()
    _templates.clear()


def template_text(pipeline: Pipeline, message_template: str) -> str:
    """Return the redacted beginning of a template. Templates repeat, so results are cached."""
    shown = safe_text(message_template[: TEMPLATE_CHARACTERS + CUT_MARGIN_CHARACTERS])
    text = pipeline.redactor.text(shown)[:TEMPLATE_CHARACTERS]
    if len(_templates) < MAX_TEMPLATES and len(message_template) <= TEMPLATE_CHARACTERS:
        _templates[message_template] = text
    return text


def logger_name(pipeline: Pipeline, name: object) -> str:
    """Return the redacted name of a logger. Names repeat, so results are cached."""
    text = name if type(name) is str else str(clean.clean_value(name))
    shown = pipeline.redactor.text(safe_text(text[:1024]))[:256] or "root"
    if len(_loggers) < MAX_LOGGERS and type(name) is str and len(name) <= 256:
        _loggers[name] = shown
    return shown


def write_minimal(pipeline: Pipeline, level: str, error: Exception) -> bool:
    """Record that there was a call which could not be recorded as it is; False if that failed too. Never raises."""
    kept = False
    try:  # noqa: SIM105 - a recursion may have no frames left for a context manager, see `report_error`
        kept = pipeline.record({
            "message": f"[a log call that could not be recorded: {type(error).__name__}]",
            "log.level": level,
            "log.logger": "root",
            "event.dataset": build.APP,
            "tags": ["cut"],
        })  # fmt: skip
    except Exception:  # noqa: S110 - no frames are left in a recursion
        pass
    report_error(error)
    return kept


def write_nested(pipeline: Pipeline, level: str, logger: object, message: object) -> None:
    """Record a call that is nested too deeply in the values of others: its message as it was written, without values."""
    write(pipeline, level, logger, message if type(message) is str else "[a log call inside the values of another]", {})


def report_error(error: Exception) -> None:
    """Report an error of logship. Never raises, whatever the state of the process."""
    # Not contextlib.suppress: a recursion may have a frame left for one call, but not for two.
    try:  # noqa: SIM105
        internal_errors.report(error)
    except Exception:  # noqa: S110
        pass


def failure_of(exc_info: object) -> ExcInfo | None:
    """Return the exception that `exc_info` means: True (the one being handled), an exception or a triple; else None."""
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
            return exc_info  # an exception class without a value, which error_fields accepts
        return None
    current = sys.exc_info()
    return current if current[0] is not None else None


def formatted(message: object, args: object) -> str:
    """Return `message % args` as logging does; if they do not fit each other, the message followed by the arguments.

    Never raises: an argument that cannot be converted to text is shown as "[unreadable Order]"."""
    text = message if type(message) is str else str(clean.clean_value(message))
    if not args:
        return text
    with contextlib.suppress(Exception):
        if isinstance(args, Mapping):
            return text % {name: _readable(value) for name, value in args.items()}
        return text % tuple(_readable(value) for value in args)  # type: ignore[attr-defined]
    return f"{text} % {clean.clean_value(args)}"


def _readable(value: object) -> object:
    """Return `value` if it can be converted to text, else a text that stands for it."""
    if type(value) in {str, int, float, bool} or value is None:
        return value
    try:
        str(value), repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return clean.clean_value(value)
    return value
