"""What nobody caught, as events: exceptions that end the process or a thread, warnings, errors of the event loop."""

import asyncio
import contextvars
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial, wraps
from types import TracebackType
from typing import Any

from logship.worker import event_loop, registry
from logship.worker.capture.call import complain, formatted, write
from logship.worker.capture.stdlib import silent
from logship.worker.context import REQUEST

_captured = False


def install() -> None:
    """Journal what nobody caught from now on. Twice does no harm."""
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
    warnings.showwarning = _warning(warnings.showwarning)
    event_loop.watchers.append(_watch_loop)


def _chained(before: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(before)
    def both(*given: Any, **named: Any) -> Any:
        try:
            ours(*given, **named)
        except Exception as error:
            complain(error)
        return before(*given, **named)

    return both


def _uncaught(
    what: str,
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
    level: str = "critical",
) -> None:
    pipeline = registry.current()
    if pipeline is None or issubclass(kind, (KeyboardInterrupt, SystemExit)):
        return
    write(pipeline, level, "python", what, {}, (kind, error if error is not None else kind(), trace))


def _warning(before: Callable[..., Any]) -> Callable[..., Any]:
    shown = _chained(before, _warned)

    @wraps(before)
    def once(*given: Any, **named: Any) -> Any:
        quiet = silent.set("py.warnings")  # logging.captureWarnings was first: its record is not a second event
        try:
            return shown(*given, **named)
        finally:
            silent.reset(quiet)

    return once


def _warned(message: object, category: type[Warning], filename: str, number: int, *_: Any, **__: Any) -> None:
    pipeline = registry.current()
    if pipeline is not None:
        name = filename.rpartition("/")[2]
        write(pipeline, "warning", "py.warnings", formatted("%s: %s", (category.__name__, message)), {}, None, (name, number, ""))


def _watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    _keep_context()
    before = loop.get_exception_handler()
    if getattr(before, "_logship", False):
        return

    def logged(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        pipeline = registry.current()
        if pipeline is not None:
            failure = (type(error), error, error.__traceback__) if error is not None else None
            write(pipeline, "error", "asyncio", context.get("message", "unhandled exception"), {}, failure)
        if before is not None:
            before(loop, context)
        else:
            quiet = silent.set("asyncio")  # its own record of what has just been written
            try:
                loop.default_exception_handler(context)
            finally:
                silent.reset(quiet)

    logged._logship = True  # type: ignore[attr-defined]
    loop.set_exception_handler(logged)


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
