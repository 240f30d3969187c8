"""structlog: every call of a configured one is journalled beside its output; an unconfigured one writes into the journal.

structlog's configuration is never touched. We stand at two places that all of its loggers pass, cached ones and those
made before or after: `BoundLoggerBase._process_event` (documented for subclasses), where the processors run, and the
binding of a lazy proxy, where the name given to `get_logger("orders")` is known.
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
from logship.worker.capture.call import MOST_NESTED, complain, failure_of, formatted, inside, write, write_nested
from logship.worker.capture.seen import LEVEL_OF_METHOD, Seen, guarded, pending, stack_of_call, steps_of
from logship.worker.pipeline import Pipeline

NAME = "_logship_name"
STDLIB = (logging.Logger, logging.LoggerAdapter)

_least = build.LEVELS["info"]


class JournalLogger:
    """The wrapped logger of `Journalling`: it has the name. What another chain of processors hands to it is journalled."""

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


class Journalling(BoundLoggerBase):
    """A bound logger that writes into the journal, without processors. Its level is the setting's, also when that changes."""

    def _proxy_to_logger(self, method_name: str, event: Any = None, **event_kw: Any) -> Any:
        self._say(LEVEL_OF_METHOD.get(method_name, "info"), event, (), event_kw)

    def _say(self, level: str, event: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        pipeline = registry.current()
        if pipeline is None:
            return
        chain = self._processors
        if chain and type(chain[-1]) is not ConsoleRenderer:  # type: ignore[index]
            # structlog.testing.capture_logs has put its own processor in the place of all others.
            super()._proxy_to_logger(level, event, **named)
            return
        depth = inside.depth
        if depth >= MOST_NESTED:
            write_nested(pipeline, level, self._logger.name, event)
            return
        inside.depth = depth + 1
        try:
            self._record(pipeline, level, event, given, named)
        finally:
            inside.depth = depth

    def _record(
        self, pipeline: Pipeline, level: str, event: Any, given: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        try:
            own = {**bound.values(), **self._context, **named} if bound.EVER_BOUND else {**self._context, **named}
            if event is None:
                event = own.pop("event", "")
            if given:
                event = formatted(event, given[0] if len(given) == 1 and isinstance(given[0], Mapping) else given)
            failure = stack = None
            if "exc_info" in own:
                failure = failure_of(own.pop("exc_info"))
            if "stack_info" in own and own.pop("stack_info"):
                stack = stack_of_call()
            name = own.pop("logger") if "logger" in own else self._logger.name
        except Exception as error:  # a context of the application's own kind
            complain(error)
            own, failure, stack, name = named, None, None, "app"
        write(pipeline, level, name, event, own, failure, None, stack or "")

    def is_enabled_for(self, level: int) -> bool:
        return level >= _least

    def get_effective_level(self) -> int:
        return _least

    def log(self, level: Any, event: Any = None, /, *given: Any, **named: Any) -> None:
        number = level if type(level) is int else build.LEVELS.get(str(level).lower(), 20)
        if number >= _least:
            self._say(build.level_name(number), event, given, named)

    async def alog(self, level: Any, event: Any = None, /, *given: Any, **named: Any) -> None:
        self.log(level, event, *given, **named)


def _nothing(self: Journalling, event: Any = None, /, *given: Any, **named: Any) -> None:
    return None


def _said(level: str, failed: bool) -> Callable[..., None]:
    def method(self: Journalling, event: Any = None, /, *given: Any, **named: Any) -> None:
        if failed:
            named.setdefault("exc_info", True)
        try:  # noqa: SIM105
            self._say(level, event, given, named)
        except Exception:  # noqa: S110 - a recursion that has no frames left: the application's next call says so
            pass

    return method


def _awaited(method: Callable[..., None]) -> Callable[..., Awaitable[None]]:
    async def amethod(self: Journalling, event: Any = None, /, *given: Any, **named: Any) -> None:
        method(self, event, *given, **named)  # never waits: there is nothing to hand to a thread

    return amethod


_METHODS = {
    name: (level, _said(level, name == "exception"))
    for name, level in LEVEL_OF_METHOD.items()
    if name not in {"log", "notset"}
}


def follow(level: str) -> None:
    """Set the level: of all loggers of ours, those that exist included, because their class is changed."""
    global _least
    _least = build.LEVELS[level]
    for name, (its, method) in _METHODS.items():
        heard = method if build.LEVELS[its] >= _least else _nothing
        setattr(Journalling, name, heard)
        setattr(Journalling, f"a{name}", _awaited(heard))


def get_logger(name: str = "", **values: Any) -> Any:
    """Return a structlog logger into the journal, whatever the application does with structlog's global configuration."""
    return Journalling(JournalLogger(name), [], dict(values))


def install(level: str) -> None:
    """Journal what structlog's loggers say from now on, from `level` up. Twice does no harm."""
    follow(level)
    if not hasattr(BoundLoggerBase._process_event, "_logship"):
        BoundLoggerBase._process_event = _as_structlogs(_watching(BoundLoggerBase._process_event))  # type: ignore[method-assign]
    with contextlib.suppress(ImportError, AttributeError):  # another structlog: names given to get_logger are not known
        from structlog._config import BoundLoggerLazyProxy

        if not hasattr(BoundLoggerLazyProxy.bind, "_logship"):
            BoundLoggerLazyProxy.bind = _as_structlogs(_binding(BoundLoggerLazyProxy.bind))  # type: ignore[method-assign]


def _as_structlogs(function: Any) -> Any:
    """`function` as if it were structlog's: where a call was made is looked for behind the last frame of structlog.

    CallsiteParameterAdder, StackInfoRenderer and LoggerFactory, which names a logger after its module, would find us."""
    named = {**function.__globals__, "__name__": "structlog.logship"}
    its = types.FunctionType(function.__code__, named, function.__name__, function.__defaults__, function.__closure__)
    its.__kwdefaults__ = function.__kwdefaults__
    return functools.update_wrapper(its, function)


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
        seen = Seen()
        steps = steps_of(self._processors)
        # As BoundLoggerBase does it: what a processor raises is the application's, DropEvent too.
        try:
            for processor, looked_at in steps.each:
                if looked_at:
                    guarded(seen.look, event_dict)
                event_dict = processor(logger, method_name, event_dict)
        except Exception as error:
            if not isinstance(error, structlog.DropEvent):  # it could not be rendered, say
                guarded(seen.look, event_dict)
                guarded(_journal, pipeline, seen, steps, self, method_name, event_kw, None)
            raise
        if isinstance(event_dict, (str, bytes, bytearray)):
            answer: Any = ((event_dict,), {})
        elif isinstance(event_dict, tuple):
            answer = event_dict
        elif isinstance(event_dict, dict):
            answer = ((), event_dict)
        else:
            return process_event(_Ended(event_dict), method_name, None, {})  # structlog's own error
        guarded(_journal, pipeline, seen, steps, self, method_name, event_kw, answer)
        return answer

    logged._logship = True  # type: ignore[attr-defined]
    return logged


class _Ended:
    """Stands for a bound logger whose chain ended with `value`."""

    _logger = None

    def __init__(self, value: object) -> None:
        self._context: dict[str, Any] = {}
        self._processors = [lambda logger, method, event_dict: value]


def _journal(
    pipeline: Pipeline, seen: Seen, steps: Any, logger: Any, method: str, event_kw: Mapping[str, Any], answer: Any
) -> None:
    """Journal a call, or leave it to logging. `answer`: what the wrapped logger is called with; None: nothing will be."""
    seen.finish(steps, event_kw, logger._context)
    wrapped = logger._logger
    level = seen.level(method)
    if answer is not None:
        seen.render(*answer)
    if isinstance(wrapped, STDLIB) and answer is not None:
        if wrapped.isEnabledFor(build.LEVELS[level]):
            pending.seen = seen  # our handler takes it from here
        return
    if build.LEVELS[level] < _least:
        return
    name = seen.logger() or getattr(wrapped, NAME, "") or getattr(wrapped, "name", "")
    depth = inside.depth
    if depth >= MOST_NESTED:
        write_nested(pipeline, level, name, seen.message)
        return
    inside.depth = depth + 1
    try:
        _write(pipeline, level, name, seen, steps)
    finally:
        inside.depth = depth
    seen.done()
    pending.seen = seen  # a logger of the application's own may hand it on to logging


def _write(pipeline: Pipeline, level: str, name: object, seen: Seen, steps: Any) -> None:
    logger = name if isinstance(name, str) and name else "app"
    write(pipeline, level, logger, seen.message, seen.own, seen.failure, seen.origin(steps), seen.stack)


def _binding(bind: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(bind)
    def logged(self: Any, **new_values: Any) -> Any:
        given = self._logger_factory_args
        if self._logger is None and _is_ours(self):
            name = given[0] if given and isinstance(given[0], str) else ""
            context = {**self._initial_values, **new_values}
            return Journalling(JournalLogger(name), structlog.get_config()["processors"], context)
        made = bind(self, **new_values)
        if given and isinstance(given[0], str) and not isinstance(getattr(made, "_logger", None), STDLIB):
            with contextlib.suppress(Exception):  # no place for it: slots, or a logger of another kind
                known = vars(made._logger).get(NAME)
                # One logger for all names, which a factory may return, has none.
                setattr(made._logger, NAME, given[0] if known in {None, given[0]} else "")
        return made

    logged._logship = True  # type: ignore[attr-defined]
    return logged


def _is_ours(proxy: Any) -> bool:
    """Whether nobody has said where this logger's calls go."""
    return (
        not structlog.is_configured()
        and registry.is_configured()
        and not (proxy._processors or proxy._wrapper_class or proxy._context_class)
    )
