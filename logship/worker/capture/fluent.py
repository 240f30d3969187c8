"""Records events of fluent-logger's senders and handlers in the journal, with the ids of the request.

An event of fluent-logger is a tag, a time and a map. The tag becomes the logger's name, `message` and `level` of the map
become those of the event, and the other keys become labels."""

import time
from collections.abc import Callable, Mapping
from functools import wraps
from types import ModuleType
from typing import Any

from logship.event import build
from logship.event.entry import EVENT_TIME
from logship.worker import registry
from logship.worker.capture import stdlib
from logship.worker.capture.log_call import report_error, write

# Names that applications give to the message.
MESSAGES = ("message", "msg", "log")
LEVELS = ("level", "levelname", "severity")


def emit(tag: str | None, label: str | None, timestamp: object, data: object) -> bool:
    """Record one event of fluent-logger. False: logship is not configured, or the journal refused it. Never raises.

    `timestamp`: seconds since 1970 as a number, fluent-logger's EventTime, or None for now."""
    try:
        pipeline = registry.current()
        if pipeline is None:
            return False
        name = ".".join(str(part) for part in (tag, label) if part)
        own = dict(data) if isinstance(data, Mapping) else {}
        message = _taken(own, MESSAGES) if own or isinstance(data, Mapping) else data
        level = str(_taken(own, LEVELS) or "").lower()
        level = {"warn": "warning", "fatal": "critical"}.get(level, level)
        shown = name if message is None else message
        return write(pipeline, level if level in build.LEVELS else "info", name, shown, own, time_ns=nanoseconds(timestamp))
    except Exception as error:  # a map whose methods raise
        report_error(error)
        return False


def nanoseconds(timestamp: object) -> int:
    """Return a `timestamp` of fluent-logger in nanoseconds since 1970; the current time if it is not a time."""
    data = getattr(timestamp, "data", None)
    if type(data) is bytes and len(data) == EVENT_TIME.size:
        seconds, rest = EVENT_TIME.unpack(data)
        return int(seconds) * 10**9 + int(rest)
    if isinstance(timestamp, (int, float)) and not isinstance(timestamp, bool) and 0 <= timestamp < 2**32:
        whole = int(timestamp)
        return whole * 10**9 + int((timestamp - whole) * 1e9)
    return time.time_ns()


def _taken(own: dict[Any, Any], names: tuple[str, ...]) -> object:
    for name in names:
        if type(own.get(name)) is str:
            return own.pop(name)
    return None


# Senders of the application itself: LOGSHIP_CAPTURE_FLUENT=on.


def _captures() -> bool:
    pipeline = registry.current()
    return pipeline is not None and pipeline.settings.capture_fluent


def _patch_sender(module: ModuleType) -> None:
    sender = module.FluentSender
    original = sender.emit_with_time

    @wraps(original)
    def captured(self: Any, label: str | None, timestamp: object, data: object) -> Any:
        if not _captures():
            return original(self, label, timestamp, data)
        return not self._closed and emit(self.tag, label, timestamp, data)

    sender.emit_with_time = captured


def _patch_handler(module: ModuleType) -> None:
    handler = module.FluentHandler
    original = handler.emit

    @wraps(original)
    def captured(self: Any, record: Any) -> Any:
        # The record itself is an event already, with all its fields, of which a formatter keeps only some.
        if _captures() and stdlib.is_journalled(record):
            return True
        return original(self, record)

    handler.emit = captured


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "fluent.sender": _patch_sender,
    "fluent.handler": _patch_handler,
}
