"""How long a serving process runs: until a signal arrives or one of its parts fails."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logship.cli.serving.http import Server

# Different errors that are logged; a process with more of them has logged enough.
LOGGED_ERRORS = 100

_logger = logging.getLogger("logship.page")


async def run_until(
    stop: asyncio.Event, parts: Sequence[Awaitable[object]], server: "Server | None", listener: socket.socket | None
) -> None:
    """Serve until `stop` is set. Raise the error that ended one of the parts, or the server, before that."""
    tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(part) for part in (stop.wait(), *parts)]
    serving = [asyncio.create_task(server.serve([listener]), name="logship http")] if server and listener else []
    try:
        done, _ = await asyncio.wait([*tasks, *serving], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        if server is not None:
            server.should_exit = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*serving)


async def task_failure(task: "asyncio.Task[None]") -> None:
    """Never return; raise when the task ends."""
    await asyncio.shield(task)
    raise RuntimeError(f"{task.get_name()} ended unexpectedly")


async def thread_failure() -> None:
    """Never return; raise when a thread of this process ends with an exception.

    Such a process looks alive but no longer does all of its work."""
    loop = asyncio.get_running_loop()
    failure: asyncio.Future[None] = loop.create_future()

    def fail(name: str, error: BaseException) -> None:
        if not failure.done():
            failure.set_exception(RuntimeError(f"the thread {name} died: {type(error).__name__}: {error}"))

    def hook(arguments: threading.ExceptHookArgs) -> None:
        previous(arguments)
        name, error = arguments.thread.name if arguments.thread else "of a library", arguments.exc_value
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            loop.call_soon_threadsafe(fail, name, error if error is not None else arguments.exc_type())

    previous, threading.excepthook = threading.excepthook, hook
    try:
        await failure
    finally:
        threading.excepthook = previous


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set. A second signal ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    log_errors_once(loop)

    def on_signal() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop


def log_errors_once(loop: asyncio.AbstractEventLoop) -> None:
    """Log each kind of error in a callback or task once: the same error can occur a thousand times a second."""
    logged: set[tuple[str, str]] = set()

    def log(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        kind = (str(context.get("message")), type(error).__name__)
        if kind in logged or len(logged) >= LOGGED_ERRORS:
            return
        logged.add(kind)
        _logger.error("internal error, please report it: %s (logged once)", kind[0], exc_info=error)

    loop.set_exception_handler(log)
