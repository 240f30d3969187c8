"""One event as text: a line of JSON, or a line for a person at a terminal."""

import time

import orjson

from logship.event import build
from logship.event.entry import unpack
from logship.event.invisible import visible, visible_json
from logship.worker.capture.stdlib import SERVER_LOGGERS


def json_line(record: bytes) -> bytes:
    """One event as a line of JSON, `@timestamp` first; what a terminal would obey is escaped."""
    time_ns, fields = unpack(record)
    line = orjson.dumps({"@timestamp": build.time_text(time_ns), **fields}, option=orjson.OPT_APPEND_NEWLINE)
    return visible_json(line)


_COLORS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


def pretty_line(record: bytes, color: bool) -> bytes:
    """One event for a person: local time, level, worker, message, the application's own fields, the stack trace."""
    time_ns, fields = unpack(record)
    if fields.get("event.action") == "worker-heartbeat" or fields.get("log.logger") in SERVER_LOGGERS:
        return b""  # the server's own lines are on stderr already
    clock = time.strftime("%H:%M:%S", time.localtime(time_ns // 1_000_000_000))
    level = visible(str(fields.get("log.level", "info")))
    slot = fields.get("logship.worker.slot")
    own = {**(fields.get("labels") or {}), **(fields.get("numeric_labels") or {})}
    words = visible("".join(f"  {name}={value}" for name, value in own.items()))
    shown, worker = f"{level:<8}", f"w{slot}" if slot is not None else "--"
    if color:
        shown, words = f"\x1b[{_COLORS.get(level, '0')}m{shown}\x1b[0m", f"\x1b[2m{words}\x1b[0m" if words else ""
    message = visible(str(fields.get("message", "")))
    line = f"{clock}.{time_ns // 1_000_000 % 1000:03d} {shown} {worker:<3} {message}{words}\n"
    stack = str(fields.get("error.stack_trace", "")).splitlines()
    if fields.get("event.dataset") == build.REQUEST:
        stack = stack[-1:]  # the server has shown the rest
    line += "".join(f"    {visible(part)}\n" for part in stack)
    return line.encode("utf-8", "replace")
