"""Records what nobody caught: exceptions that end the process or a thread, warnings, errors of the event loop."""

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
from logship.worker.capture.log_call import formatted, report_error, write
from logship.worker.capture.stdlib import silent
from logship.worker.context import REQUEST

_captured = False


def install() -> None:
    """Record it from now on. Idempotent. The hooks that were set before are still called."""
    global _captured
    if _captured:
        return
    _captured = True
    sys.excepthook = _chained(sys.excepthook, partial(_uncaught, "uncaught exception"))
    threading.excepthook = _chained(
        threading.excepthook,
        lambda args: _uncaught(
            f"uncaught exception in thread {args.thread.name if args.thread else '?'}",
            args.exc_type,
            args.exc_value,
            args.exc_traceback,
        ),
    )
    sys.unraisablehook = _chained(
        sys.unraisablehook,
        lambda args: _uncaught(
            args.err_msg or "exception ignored", args.exc_type, args.exc_value, args.exc_traceback, "error"
        ),
    )
    warnings.showwarning = _warning(warnings.showwarning)
    event_loop.watchers.append(_watch_loop)


def _chained(before: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(before)
    def both(*args: Any, **kwargs: Any) -> Any:
        try:
            ours(*args, **kwargs)
        except Exception as error:
            report_error(error)
        return before(*args, **kwargs)

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
    def once(*args: Any, **kwargs: Any) -> Any:
        token = silent.set("py.warnings")  # with logging.captureWarnings, its record is not a second event
        try:
            return shown(*args, **kwargs)
        finally:
            silent.reset(token)

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
            token = silent.set("asyncio")  # its record of the event that was just written
            try:
                loop.default_exception_handler(context)
            finally:
                silent.reset(token)

    logged._logship = True  # type: ignore[attr-defined]
    loop.set_exception_handler(logged)


def _keep_context() -> None:
    """Make work in a thread pool keep the context of the request that submitted it, as asyncio.to_thread does."""
    from concurrent.futures import ThreadPoolExecutor  # a server has it loaded; a script does not need it

    submit: Any = ThreadPoolExecutor.submit
    if hasattr(submit, "_logship"):
        return

    @wraps(submit)
    def logged(self: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if REQUEST.get() is None:
            return submit(self, function, *args, **kwargs)
        return submit(self, partial(contextvars.copy_context().run, function), *args, **kwargs)

    logged._logship = True  # type: ignore[attr-defined]
    ThreadPoolExecutor.submit = logged  # type: ignore[method-assign]
