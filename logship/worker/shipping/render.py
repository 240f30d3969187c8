"""Events as text: JSON lines, and pretty lines for a terminal."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from logship.event import build
from logship.event.entry import unpack
from logship.event.invisible import visible, visible_json
from logship.worker.capture.stdlib import SERVER_LOGGERS
from logship.worker.shipping.bundle import Bundle

_COLORS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


def lines(bundle: Bundle, render: Callable[[bytes], bytes]) -> bytes:
    """Return the rendered entries of a bundle. An entry that cannot be read becomes a line that says so."""
    return b"".join(_line(record, render) for record in bundle.entries())


def _line(record: bytes, render: Callable[[bytes], bytes]) -> bytes:
    try:
        return render(record)
    except Exception as error:
        # Another process wrote into the journal. The entries behind this one must not wait for it.
        return orjson.dumps({"message": f"cannot read a record of {len(record)} bytes: {error}"}) + b"\n"


def json_line(record: bytes) -> bytes:
    """Return one event as a line of JSON, `@timestamp` first. Characters that a terminal would interpret are escaped."""
    time_ns, fields = unpack(record)
    event = {"@timestamp": build.time_text(time_ns), **fields}
    return visible_json(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))


def pretty_line(record: bytes, color: bool) -> bytes:
    """Return one event for a person: local time, level, worker, message, the application's fields, the stack trace.

    Empty for heartbeats and for the server's own lines, which are on stderr already."""
    time_ns, fields = unpack(record)
    if fields.get("event.action") == "worker-heartbeat" or fields.get("log.logger") in SERVER_LOGGERS:
        return b""
    level = visible(str(fields.get("log.level", "info")))
    own = {**(fields.get("labels") or {}), **(fields.get("numeric_labels") or {})}
    shown_level = f"{level:<8}"
    shown_fields = visible("".join(f"  {name}={value}" for name, value in own.items()))
    if color:
        shown_level = f"\x1b[{_COLORS.get(level, '0')}m{shown_level}\x1b[0m"
        shown_fields = f"\x1b[2m{shown_fields}\x1b[0m" if shown_fields else ""
    slot = fields.get("logship.worker.slot")
    worker = f"w{slot}" if slot is not None else "--"
    message = visible(str(fields.get("message", "")))
    first = f"{_local_time(time_ns)} {shown_level} {worker:<3} {message}{shown_fields}\n"
    return (first + _stack(fields)).encode("utf-8", "replace")


def _local_time(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{nanoseconds // 1_000_000:03d}"


def _stack(fields: Mapping[str, Any]) -> str:
    stack = str(fields.get("error.stack_trace", "")).splitlines()
    if fields.get("event.dataset") == build.REQUEST:
        stack = stack[-1:]  # the server has shown the rest
    return "".join(f"    {visible(line)}\n" for line in stack)
