"""A request and its log lines as a waterfall: when each began, how long it took, and the phases of the request."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from logship.cli.terminal.style import paint, status_style
from logship.cli.terminal.text import clean, fit, glyph, wrap
from logship.cli.times import moment, zone_name
from logship.forensics.story import begin_ns, length_ns
from logship.search.query import Record
from logship.search.units import duration

LEVEL_STYLES = {"error": "red", "critical": "bold red", "warning": "yellow", "debug": "dim"}
OFFSET_CELLS, MARK_CELLS = 12, 8
BAR_AT = OFFSET_CELLS + MARK_CELLS + 3
# Paths of installed packages are shown from the package on.
INSTALLED = re.compile(r'(File ")[^"]*/(?:site|dist)-packages/')
PHASES = ("until the first byte", "sending", "in the background")


@dataclass(frozen=True, slots=True)
class _Axis:
    """The time of the whole drawing, and the columns of a bar and of a line."""

    first_ns: int
    total_ns: int
    bar: int
    room: int

    def at(self, ns: float) -> int:
        """The column of a time after the first one."""
        return min(round(ns / self.total_ns * self.bar), self.bar)


def waterfall(records: Sequence[Record], room: int, stack_lines: int) -> list[str]:
    """Return the drawing in lines of `room` columns. `records`: in the order in which they began, at least one."""
    first = begin_ns(records[0])
    last = max(begin_ns(record) + length_ns(record) + _background_ns(record) for record in records)
    axis = _Axis(first, max(last - first, 1), max(16, min(60, (room - BAR_AT - 14) // 2)), room)
    lines = [*_heading(records, room), ""]
    if last > first:
        lines.append(" " * BAR_AT + paint(_axis(axis.total_ns, axis.bar), "dim"))
    for record in records:
        lines += [_event(record, axis), *_stack(record, stack_lines, room)]
    return lines + _legend("".join(_bar(record, axis, "") for record in records), room)


def _legend(drawn: str, room: int) -> list[str]:
    """The meaning of the marks that occur."""
    phases = [f"{mark} {phase}" for mark, phase in zip(_marks(), PHASES, strict=True) if mark in drawn]
    return ["", paint(fit("   ".join(phases), room).rstrip(), "dim")] if phases else []


def _heading(records: Sequence[Record], room: int) -> list[str]:
    request = next((record for record in records if length_ns(record)), records[-1])
    return [_result(request), _worker(request), *_ids(request, room)]


def _result(request: Record) -> str:
    """Method, path, status and duration."""
    words = [str(request.get(name, "")) for name in ("http.request.method", "url.path")]
    parts = [paint(clean(" ".join(filter(None, words))) or clean(str(request.get("message", ""))), "bold")]
    status = request.get("http.response.status_code")
    if status is not None:
        parts.append(paint(clean(str(status)), status_style(status)))
    if length_ns(request):
        parts.append(duration(length_ns(request)))
    return "  ".join(parts)


def _worker(request: Record) -> str:
    worker = f"{request.get('service.name', '')} w{request.get('logship.worker.slot', '?')}"
    names = (("pid", "process.pid"), ("run", "logship.worker.generation"))
    facts = ", ".join(f"{word} {request[name]}" for word, name in names if name in request)
    start = begin_ns(request)
    text = clean(f"{worker} ({facts})" if facts else worker)
    return paint(text, "cyan") + f"  started {moment(start)} {zone_name(start)}"


def _ids(request: Record, room: int) -> list[str]:
    """Ids, route and client, on as many lines as they need."""
    lines, line = [], ""
    names = (("request", "http.request.id"), ("trace", "trace.id"), ("route", "http.route"), ("client", "client.ip"))
    for word, name in names:
        if name not in request or (word == "trace" and request[name] == request.get("http.request.id")):
            continue
        fact = f"{word} {clean(str(request[name]))}"
        if line and len(line) + 2 + len(fact) > room:
            lines.append(line)
            line = ""
        line += ("  " if line else "") + fact
    return [paint(text, "dim") for text in [*lines, line] if text]


def _axis(total_ns: int, room: int) -> str:
    """0 at the left, the total at the right, and as many times between them as fit."""
    marks = 4 if room >= 44 else 2 if room >= 24 else 1
    axis = fit("0", room)
    for number in range(1, marks + 1):
        text = duration(total_ns * number / marks)
        at = min(round(room * number / marks) - (len(text) if number == marks else len(text) // 2), room - len(text))
        axis = axis[:at] + text + axis[at + len(text) :]
    return axis[:room]


def _event(record: Record, axis: _Axis) -> str:
    after = begin_ns(record) - axis.first_ns
    offset = fit(f"+{duration(after)}" if after else "0", OFFSET_CELLS, right=True)
    level, status = str(record.get("log.level", "")), record.get("http.response.status_code")
    mark = fit(clean(str(status)) if status is not None else clean(level), MARK_CELLS)
    style = status_style(status) if status is not None else LEVEL_STYLES.get(level, "dim")
    message = clean(str(record.get("message", record.get("event.action", ""))))
    if sys.stdout.isatty():
        message = fit(message, max(axis.room - BAR_AT - 2 - axis.bar, 10)).rstrip()
    return f"{paint(offset, 'dim')}  {paint(mark, style)} {_bar(record, axis, style)}  {message}"


def _marks() -> tuple[str, str, str]:
    return glyph("░", "-"), glyph("█", "="), glyph("▒", "~")


def _bar(record: Record, axis: _Axis, style: str) -> str:
    """The phases of a request, or a mark at the moment of a log line."""
    start, length = begin_ns(record) - axis.first_ns, length_ns(record)
    if not length:
        place = min(axis.at(start), axis.bar - 1)
        return " " * place + paint(glyph("◆", "*"), style or "cyan") + " " * (axis.bar - place - 1)
    first_byte = start + min(record.get("logship.ttfb_ns", length), length)
    edges = [axis.at(ns) for ns in (start, first_byte, start + length, start + length + _background_ns(record))]
    edges[2] = max(edges[2], min(edges[0] + 1, axis.bar))
    edges[0] = min(edges[0], edges[2] - 1)
    edges[3] = max(edges[3], edges[2])
    parts = zip(_marks(), pairwise(edges), strict=True)
    drawn = "".join(mark * max(0, end - begin) for mark, (begin, end) in parts)
    return " " * edges[0] + paint(drawn, style or "cyan") + " " * (axis.bar - edges[0] - len(drawn))


def _stack(record: Record, limit: int, room: int) -> list[str]:
    """The end of the stack trace, where the exception is named. The exception itself is wrapped, not cut."""
    text = record.get("error.stack_trace")
    if not isinstance(text, str) or not text.strip():
        return []
    lines = [clean(INSTALLED.sub(r"\1", line)) for line in text.rstrip().splitlines()]
    hidden = [f"({len(lines) - limit} lines before; --stack shows them)"] if len(lines) > limit else []
    *frames, exception = hidden + lines[-limit:]
    indent = OFFSET_CELLS + 2
    columns = max(room - indent - 1, 20)
    drawn = [paint(fit(line, columns).rstrip(), "dim") for line in frames]
    return [" " * indent + line for line in [*drawn, *(paint(line, "red") for line in wrap(exception, columns))]]


def _background_ns(record: Record) -> int:
    value = record.get("logship.background_ns")
    return value if isinstance(value, int) and value > 0 else 0
