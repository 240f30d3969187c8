"""Records each call of structlog: beside its output if it is configured, else in place of it.

structlog's configuration is never changed. Two functions are patched through which all loggers go, cached ones and those
created earlier or later: `BoundLoggerBase._process_event` (documented for subclasses), which runs the processors, and the
`bind` of a lazy proxy, which knows the name given to `get_logger("orders")`.
"""

import contextlib
import functools
import logging
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from structlog import BoundLoggerBase
from structlog.dev import ConsoleRenderer

from logship.event import build
from logship.worker import registry
from logship.worker.capture import bound
from logship.worker.capture.log_call import (
    MAX_NESTING,
    failure_of,
    formatted,
    nesting,
    report_error,
    write,
    write_nested,
)
from logship.worker.capture.structlog_call import (
    LEVEL_OF_METHOD,
    CapturedCall,
    chain_of,
    guarded,
    pending,
    stack_of_call,
)
from logship.worker.pipeline import Pipeline

NAME = "_logship_name"
STDLIB = (logging.Logger, logging.LoggerAdapter)

_least = build.LEVELS["info"]


class JournalLogger:
    """The logger that `JournalBoundLogger` wraps: it has the name, and records what another chain of processors passes to it."""

    def __init__(self, name: str = "") -> None:
        self.name = name or "app"

    def __getattr__(self, method: str) -> Callable[..., None]:
        level = LEVEL_OF_METHOD.get(method)
        if level is None:
            raise AttributeError(method)
        return functools.partial(self._write, level)

    def _write(self, level: str, event: object = "", **own: Any) -> None:
        pipeline = registry.current()
        if pipeline is not None:
            write(pipeline, level, self.name, event, own)


class JournalBoundLogger(BoundLoggerBase):
    """A bound logger that records its calls without processors. Its level is the setting's, also after a change."""

    def _proxy_to_logger(self, method_name: str, event: Any = None, **event_kw: Any) -> Any:
        self._log(LEVEL_OF_METHOD.get(method_name, "info"), event, (), event_kw)

    def _log(self, level: str, event: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        pipeline = registry.current()
        if pipeline is None:
            return
        chain = self._processors
        if chain and type(chain[-1]) is not ConsoleRenderer:  # type: ignore[index]
            # structlog.testing.capture_logs has replaced all processors by its own.
            super()._proxy_to_logger(level, event, **kwargs)
            return
        depth = nesting.depth
        if depth >= MAX_NESTING:
            write_nested(pipeline, level, self._logger.name, event)
            return
        nesting.depth = depth + 1
        try:
            self._record(pipeline, level, event, args, kwargs)
        finally:
            nesting.depth = depth

    def _record(
        self, pipeline: Pipeline, level: str, event: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        try:
            own = {**bound.values(), **self._context, **kwargs} if bound.EVER_BOUND else {**self._context, **kwargs}
            if event is None:
                event = own.pop("event", "")
            template = event if args else None
            if args:
                event = formatted(event, args[0] if len(args) == 1 and isinstance(args[0], Mapping) else args)
            failure = stack = None
            if "exc_info" in own:
                failure = failure_of(own.pop("exc_info"))
            if "stack_info" in own and own.pop("stack_info"):
                stack = stack_of_call()
            name = own.pop("logger") if "logger" in own else self._logger.name
        except Exception as error:  # the application's own class of context
            report_error(error)
            own, failure, stack, name, template = kwargs, None, None, "app", None
        write(pipeline, level, name, event, own, failure, None, stack or "", message_template=template)

    def is_enabled_for(self, level: int) -> bool:
        return level >= _least

    def get_effective_level(self) -> int:
        return _least

    def log(self, level: Any, event: Any = None, /, *args: Any, **kwargs: Any) -> None:
        number = level if type(level) is int else build.LEVELS.get(str(level).lower(), 20)
        if number >= _least:
            self._log(build.level_name(number), event, args, kwargs)

    async def alog(self, level: Any, event: Any = None, /, *args: Any, **kwargs: Any) -> None:
        self.log(level, event, *args, **kwargs)


def _nothing(self: JournalBoundLogger, event: Any = None, /, *args: Any, **kwargs: Any) -> None:
    return None


def _method(level: str, failed: bool) -> Callable[..., None]:
    def method(self: JournalBoundLogger, event: Any = None, /, *args: Any, **kwargs: Any) -> None:
        if failed:
            kwargs.setdefault("exc_info", True)
        try:  # noqa: SIM105
            self._log(level, event, args, kwargs)
        except Exception:  # noqa: S110 - a recursion at its limit: the application's next call raises
            pass

    return method


def _awaited(method: Callable[..., None]) -> Callable[..., Awaitable[None]]:
    async def amethod(self: JournalBoundLogger, event: Any = None, /, *args: Any, **kwargs: Any) -> None:
        method(self, event, *args, **kwargs)  # never waits, so it needs no thread

    return amethod


_METHODS = {
    name: (level, _method(level, name == "exception"))
    for name, level in LEVEL_OF_METHOD.items()
    if name not in {"log", "notset"}
}


def follow(level: str) -> None:
    """Set the level of all loggers of logship. Existing ones follow, because their class is changed."""
    global _least
    _least = build.LEVELS[level]
    for name, (method_level, method) in _METHODS.items():
        active = method if build.LEVELS[method_level] >= _least else _nothing
        setattr(JournalBoundLogger, name, active)
        setattr(JournalBoundLogger, f"a{name}", _awaited(active))


def get_logger(name: str = "", **values: Any) -> Any:
    """Return a structlog logger that writes into the journal, independent of structlog's global configuration."""
    return JournalBoundLogger(JournalLogger(name), [], dict(values))


def install(level: str) -> None:
    """Record the calls of structlog's loggers from now on, from `level` up. Idempotent."""
    follow(level)
    if not hasattr(BoundLoggerBase._process_event, "_logship"):
        BoundLoggerBase._process_event = _as_structlogs(_watching(BoundLoggerBase._process_event))  # type: ignore[method-assign]
    with contextlib.suppress(ImportError, AttributeError):  # an unknown structlog: names given to get_logger stay unknown
        from structlog._config import BoundLoggerLazyProxy

        if not hasattr(BoundLoggerLazyProxy.bind, "_logship"):
            BoundLoggerLazyProxy.bind = _as_structlogs(_binding(BoundLoggerLazyProxy.bind))  # type: ignore[method-assign]


def _as_structlogs(function: Any) -> Any:
    """Return `function` as if it were defined in structlog.

    CallsiteParameterAdder, StackInfoRenderer and LoggerFactory, which names a logger after its module, take the first frame
    outside of structlog for the caller."""
    globals_ = {**function.__globals__, "__name__": "structlog.logship"}
    copy = types.FunctionType(function.__code__, globals_, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return functools.update_wrapper(copy, function)


def _watching(process_event: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(process_event)
    def logged(self: Any, method_name: str, event: Any, event_kw: dict[str, Any]) -> Any:
        pipeline = registry.current()
        logger = self._logger
        if pipeline is None or type(logger) is JournalLogger:
            return process_event(self, method_name, event, event_kw)
        event_dict: Any = self._context.copy()
        event_dict.update(**event_kw)
        if event is not None:
            event_dict["event"] = event
        call = CapturedCall()
        chain = chain_of(self._processors)
        # As in BoundLoggerBase: an exception of a processor goes to the application, DropEvent too.
        try:
            for processor, is_read in chain.each:
                if is_read:
                    guarded(call.look, event_dict)
                event_dict = processor(logger, method_name, event_dict)
        except Exception as error:
            if not isinstance(error, structlog.DropEvent):  # for example, a value could not be rendered
                guarded(call.look, event_dict)
                guarded(_journal, pipeline, call, chain, self, method_name, event_kw, None)
            raise
        if isinstance(event_dict, (str, bytes, bytearray)):
            output: Any = ((event_dict,), {})
        elif isinstance(event_dict, tuple):
            output = event_dict
        elif isinstance(event_dict, dict):
            output = ((), event_dict)
        else:
            return process_event(_FinishedChain(event_dict), method_name, None, {})  # structlog's own error
        guarded(_journal, pipeline, call, chain, self, method_name, event_kw, output)
        return output

    logged._logship = True  # type: ignore[attr-defined]
    return logged


class _FinishedChain:
    """A bound logger whose chain ended with `value`, for structlog's own error message."""

    _logger = None

    def __init__(self, value: object) -> None:
        self._context: dict[str, Any] = {}
        self._processors = [lambda logger, method, event_dict: value]


def _journal(
    pipeline: Pipeline, call: CapturedCall, chain: Any, logger: Any, method: str, event_kw: Mapping[str, Any], output: Any
) -> None:
    """Record a call, or leave it to logging. `output`: what the wrapped logger is called with; None if it is not called."""
    call.finish(chain, event_kw, logger._context)
    wrapped = logger._logger
    level = call.level(method)
    if output is not None:
        call.render(*output)
    if isinstance(wrapped, STDLIB) and output is not None:
        if wrapped.isEnabledFor(build.LEVELS[level]):
            pending.call = call  # `capture.stdlib` records it
        return
    if build.LEVELS[level] < _least:
        return
    name = call.logger() or getattr(wrapped, NAME, "") or getattr(wrapped, "name", "")
    depth = nesting.depth
    if depth >= MAX_NESTING:
        write_nested(pipeline, level, name, call.message)
        return
    nesting.depth = depth + 1
    try:
        _write(pipeline, level, name, call, chain)
    finally:
        nesting.depth = depth
    call.done()
    pending.call = call  # a logger of the application may pass it on to logging


def _write(pipeline: Pipeline, level: str, name: object, call: CapturedCall, chain: Any) -> None:
    logger = name if isinstance(name, str) and name else "app"
    write(pipeline, level, logger, call.message, call.own, call.failure, call.origin(chain), call.stack)


def _binding(bind: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(bind)
    def logged(self: Any, **new_values: Any) -> Any:
        args = self._logger_factory_args
        if self._logger is None and _is_ours(self):
            name = args[0] if args and isinstance(args[0], str) else ""
            context = {**self._initial_values, **new_values}
            return JournalBoundLogger(JournalLogger(name), structlog.get_config()["processors"], context)
        made = bind(self, **new_values)
        if args and isinstance(args[0], str) and not isinstance(getattr(made, "_logger", None), STDLIB):
            with contextlib.suppress(Exception):  # a logger with slots, or of an unknown kind
                known = vars(made._logger).get(NAME)
                # A factory may return one logger for all names: that one has no name.
                setattr(made._logger, NAME, args[0] if known in {None, args[0]} else "")
        return made

    logged._logship = True  # type: ignore[attr-defined]
    return logged


def _is_ours(proxy: Any) -> bool:
    """Whether the application has configured neither structlog nor this logger."""
    return (
        not structlog.is_configured()
        and registry.is_configured()
        and not (proxy._processors or proxy._wrapper_class or proxy._context_class)
    )
