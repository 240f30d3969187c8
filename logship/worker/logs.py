"""Log calls of the application: structlog and stdlib logging into the journal, and what nobody caught.

A call becomes an event with the ids of the request that it was made in. Our own logger `logship` never comes here.
"""

import asyncio
import contextvars
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial, wraps
from types import TracebackType
from typing import Any

import structlog

from logship.event import build, clean
from logship.event.cut import cut_text, cut_to, safe_text
from logship.event.failure import error_fields
from logship.event.redact import suspicious_text
from logship.worker import hooks
from logship.worker import line as lines
from logship.worker.capture import bound as bindings
from logship.worker.line import ACCOUNTED, REQUEST, Line

STACK_BYTES = 16 * 1024
MESSAGE_BYTES = 16 * 1024
MOST_LOGGERS = 4096
# A record has 64 KB: what is left by a message, a stack trace and our own fields.
OWN_FIELDS_BYTES = 24 * 1024

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | set(
    "message asctime taskName color_message _logger _name".split()
)
_PLAIN = len(vars(logging.makeLogRecord({})))  # more attributes than these: the call brought some of its own
_ADDED = frozenset(("level", "timestamp"))  # by the application's own chain: the event has them already
_OWN_LOGGER = "logship"

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def write(
    line: Line,
    level: str,
    logger: str,
    message: object,
    own: Mapping[str, Any],
    failure: ExcInfo | None = None,
    origin: tuple[str, int, str] | None = None,
) -> None:
    """Journal one event of the application. Never raises: what cannot be made is counted."""
    try:
        shown = message if type(message) is str else str(clean.clean_value(message))
        text = safe_text(shown[: 4 * MESSAGE_BYTES]).rstrip("\n")
        if suspicious_text(text):
            text = line.redactor.text(text)  # before it is cut: half a secret would not be known as one
        fields: dict[str, object] = {
            "message": cut_text(text, MESSAGE_BYTES, max(0, len(shown) - 4 * MESSAGE_BYTES)),
            "log.level": level,
            "log.logger": _loggers.get(logger) or _logger_name(line, logger),
            "event.dataset": build.APP,
        }
        if origin is not None:
            fields["log.origin.file.name"], fields["log.origin.file.line"] = origin[:2]
            if origin[2]:
                fields["log.origin.function"] = origin[2]
        labels: dict[str, str | bool] = {}
        numbers: dict[str, int | float] = {}
        cut = False
        if own:
            labels, numbers, cut = clean.application_fields(own, line.redactor)
            if labels:
                fields["labels"] = labels
            if numbers:
                fields["numeric_labels"] = numbers
        if failure is not None:
            fields |= error_fields(*failure, line.redactor, STACK_BYTES)
        request = REQUEST.get()
        if request is not None:
            request_id, trace, span, where, _ = request
            fields["http.request.id"] = request_id.decode()
            fields["trace.id"] = trace.decode()
            fields["span.id"] = fields["transaction.id"] = span.decode()
            route = where if type(where) is str else hooks.route(where)
            if route:
                fields["http.route"] = route
        if len(own) > 8 or cut:
            labels, numbers, shortened = cut_to(labels, numbers, OWN_FIELDS_BYTES)
            fields |= {"labels": labels, "numeric_labels": numbers}
            cut = cut or shortened
        if cut or len(shown) > MESSAGE_BYTES:
            fields["tags"] = ["cut"]
        line.record(fields)
    except Exception as error:
        line.journal.refuse("internal_error")
        hooks.complain(error)


_loggers: dict[str, str] = {}


def _logger_name(line: Line, name: str) -> str:
    """`name` as it may be shown; names repeat, so the verdict is kept."""
    shown = line.redactor.text(safe_text(name))[:256] or "root"
    if len(_loggers) < MOST_LOGGERS:
        _loggers[name] = shown
    return shown


class JournalHandler(logging.Handler):
    """Writes stdlib log records into the journal. It formats nothing, takes no lock, and its level is the setting's."""

    def handle(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] == _OWN_LOGGER or (self.filters and not self.filter(record)):
            return False
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        line = lines.current()
        if line is None:
            return
        try:
            message = record.getMessage()
        except Exception:  # a wrong number of arguments: the call is kept as it was written
            message = f"{record.msg!r} % {record.args!r}"
        given = vars(record)
        own = {name: given[name] for name in given.keys() - _STANDARD} if len(given) > _PLAIN else {}
        failure = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
        if failure and record.name in SERVER_LOGGERS and getattr(failure[1], ACCOUNTED, False):
            return  # the server's traceback of an exception that its request's event has told
        if type(record.msg) is dict and "event" in record.msg:  # structlog's ProcessorFormatter
            own |= record.msg
            message = own.pop("event")
            failure = failure or _failure(own.pop("exc_info", None))
        own = {**bindings.values(), **own}
        origin = (record.filename, record.lineno, record.funcName or "")
        write(line, build.level_name(record.levelno), record.name, message, own, failure, origin)


class JournalLogger:
    """The end of structlog's chain: takes the event dictionary and journals it."""

    def __init__(self, name: str = "") -> None:
        self._name = name or "app"

    def _write(self, level: str, event: Any = "", **named: Any) -> None:
        """`event`: the dictionary of `to_journal`, or what another chain of processors has made of a call."""
        line = lines.current()
        if line is None:
            return
        event_dict = event if isinstance(event, dict) else {**named, "event": event}
        message = event_dict.pop("event", "")
        exc_info = event_dict.pop("exc_info", None)
        name = event_dict.pop("logger", self._name)
        write(line, level, str(name), message, event_dict, _failure(exc_info))


for _level, _names in {
    "debug": ("debug", "notset"),
    "info": ("info", "log"),
    "warning": ("warning", "warn"),
    "error": ("error", "err", "exception", "failure"),
    "critical": ("critical", "fatal"),
}.items():
    for _name in _names:
        setattr(JournalLogger, _name, lambda self, *told, level=_level, **named: self._write(level, *told[:1], **named))


def _failure(exc_info: object) -> ExcInfo | None:
    if isinstance(exc_info, BaseException):
        return type(exc_info), exc_info, exc_info.__traceback__
    if isinstance(exc_info, tuple) and len(exc_info) == 3 and exc_info[0] is not None:
        return exc_info
    if exc_info:
        current = sys.exc_info()
        return current if current[0] is not None else None
    return None


def to_journal(logger: Any, method: str, event_dict: MutableMapping[str, Any]) -> tuple[tuple[Any], dict[str, Any]]:
    """structlog's last processor: bound contextvars, then the call's own fields, as one argument."""
    bound = bindings.values()
    return ({**bound, **event_dict} if bound else dict(event_dict),), {}


def structlog_settings(level: str) -> dict[str, Any]:
    """What `structlog.configure` takes so that every structlog logger writes into the journal."""
    return {
        "processors": [to_journal],
        "wrapper_class": structlog.make_filtering_bound_logger(build.LEVELS[level]),
        "logger_factory": JournalLogger,
        "cache_logger_on_first_use": False,
    }


def get_logger(name: str = "", **bound: Any) -> Any:
    """Return a structlog logger into the journal, whatever the application does with structlog's global configuration."""
    line = lines.existing()
    level = line.settings.level if line is not None else _level_now
    made = structlog_settings(level)
    proxy = structlog.wrap_logger(
        JournalLogger(name), processors=made["processors"], wrapper_class=made["wrapper_class"], **bound
    )
    return proxy.bind()  # once: the proxy would do it for every call, 2 us each


_level_now = "info"
_handler = JournalHandler()


def install(level: str) -> None:
    """Take hold of structlog, stdlib logging, warnings and everything that nobody catches. Twice does no harm."""
    global _level_now
    _level_now = level
    structlog.configure(**structlog_settings(level))
    _handler.setLevel(build.LEVELS[level])
    own = logging.getLogger(_OWN_LOGGER)
    if not own.handlers:
        stream = logging.StreamHandler()
        stream.setFormatter(logging.Formatter("logship: %(message)s"))
        own.addHandler(stream)
        own.setLevel(logging.INFO)
        own.propagate = False
    reassert()
    bindings.install()
    _capture()


def reassert() -> None:
    """Put our handler where records pass: on the root, and on each logger that speaks without passing them on to it.

    Somebody else's handlers stay. structlog, if the application has chosen another end for it, gets ours beside it."""
    root = logging.getLogger()
    if _handler not in root.handlers:
        root.addHandler(_handler)
    if root.level in {logging.NOTSET, logging.WARNING} or root.level > build.LEVELS[_level_now]:
        root.setLevel(build.LEVELS[_level_now])
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if not isinstance(logger, logging.Logger):
            continue
        if logger.name == _OWN_LOGGER:
            logger.disabled = False  # dictConfig disables whom it does not know
        elif _handler in logger.handlers:
            if logger.propagate:
                logger.removeHandler(_handler)  # it has begun to pass its records on: once is enough
        elif not logger.propagate and logger.name not in ACCESS_LOGGERS and _speaks(logger):
            logger.addHandler(_handler)
    _stand_beside()


def _speaks(logger: logging.Logger) -> bool:
    return any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers)


def _stand_beside() -> None:
    config = structlog.get_config()
    factory, chain = config["logger_factory"], config["processors"]
    ends_here = isinstance(factory, structlog.stdlib.LoggerFactory) or factory in (JournalLogger, logging.getLogger)
    if ends_here or beside in chain:
        return
    # Before exceptions become text; cached loggers hold this very list, so it is changed in place.
    renders = structlog.processors.ExceptionRenderer
    place = next((at for at, one in enumerate(chain) if isinstance(one, renders)), max(0, len(chain) - 1))
    if isinstance(chain, list):
        chain.insert(place, beside)
    else:
        structlog.configure(processors=[*chain[:place], beside, *chain[place:]])


def beside(logger: Any, method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor of a chain that is not ours: journals the call, and passes it on as it is."""
    if build.LEVELS.get(method, logging.CRITICAL) >= build.LEVELS[_level_now]:
        own = {
            name: value for name, value in to_journal(logger, method, event_dict)[0][0].items() if name not in _ADDED
        }
        getattr(JournalLogger(), method if hasattr(JournalLogger, method) else "info")(own)
    return event_dict


SERVER_LOGGERS = frozenset(("uvicorn.error", "gunicorn.error", "hypercorn.error", "_granian"))
ACCESS_LOGGERS = ("uvicorn.access", "gunicorn.access", "hypercorn.access", "granian.access")


def mute_access() -> None:
    """The agent has our requests: uvicorn's access lines are not needed any more, and cost more than ours."""
    access = logging.getLogger("uvicorn.access")
    access.disabled = True
    # uvicorn asks this once a connection; else it goes on making the line's arguments: 3 us a request.
    access.hasHandlers = lambda: False  # type: ignore[method-assign]


# What nobody caught.

_captured = False


def _capture() -> None:
    global _captured
    if _captured:
        return
    _captured = True
    sys.excepthook = _chained(sys.excepthook, partial(_uncaught, "uncaught exception"))
    threading.excepthook = _chained(
        threading.excepthook,
        lambda given: _uncaught(
            f"uncaught exception in thread {given.thread.name if given.thread else '?'}",
            given.exc_type,
            given.exc_value,
            given.exc_traceback,
        ),
    )
    sys.unraisablehook = _chained(
        sys.unraisablehook,
        lambda given: _uncaught(
            given.err_msg or "exception ignored", given.exc_type, given.exc_value, given.exc_traceback, "error"
        ),
    )
    warnings.showwarning = _chained(warnings.showwarning, _warned)
    hooks.loop_watchers.append(_watch_loop)


def _chained(before: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(before)
    def both(*given: Any, **named: Any) -> Any:
        try:
            ours(*given, **named)
        except Exception as error:
            hooks.complain(error)
        return before(*given, **named)

    return both


def _uncaught(
    what: str,
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
    level: str = "critical",
) -> None:
    line = lines.current()
    if line is None or issubclass(kind, (KeyboardInterrupt, SystemExit)):
        return
    write(line, level, "python", what, {}, (kind, error if error is not None else kind(), trace))


def _warned(message: object, category: type[Warning], filename: str, number: int, *_: Any, **__: Any) -> None:
    line = lines.current()
    if line is not None:
        name = filename.rpartition("/")[2]
        write(line, "warning", "py.warnings", f"{category.__name__}: {message}", {}, None, (name, number, ""))


def _watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    _keep_context()
    before = loop.get_exception_handler()
    if getattr(before, "_logship", False):
        return

    def logged(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        line = lines.current()
        if line is not None:
            failure = (type(error), error, error.__traceback__) if error is not None else None
            write(line, "error", "asyncio", context.get("message", "unhandled exception"), {}, failure)
        if before is not None:
            before(loop, context)
        else:
            quiet = _silent.set(True)  # asyncio's own words, on its logger: they are no second event
            try:
                loop.default_exception_handler(context)
            finally:
                _silent.reset(quiet)

    logged._logship = True  # type: ignore[attr-defined]
    loop.set_exception_handler(logged)


_silent: contextvars.ContextVar[bool] = contextvars.ContextVar("logship_silent", default=False)
_handler.addFilter(lambda record: not (record.name == "asyncio" and _silent.get()))


def _keep_context() -> None:
    """Work that a request gives to a thread pool keeps the request's context, as asyncio.to_thread does."""
    from concurrent.futures import ThreadPoolExecutor  # a service that serves has it loaded; a script need not pay

    submit: Any = ThreadPoolExecutor.submit
    if hasattr(submit, "_logship"):
        return

    @wraps(submit)
    def logged(self: Any, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        if REQUEST.get() is None:
            return submit(self, function, *given, **named)
        return submit(self, partial(contextvars.copy_context().run, function), *given, **named)

    logged._logship = True  # type: ignore[attr-defined]
    ThreadPoolExecutor.submit = logged  # type: ignore[method-assign]
