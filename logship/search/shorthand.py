"""Short names and values in queries, such as `status: 5xx`, `level: ERROR`, `duration > 100ms` and `worker: w2`.

Kibana does not know them, so each is defined by the full KQL that it stands for. A label of the application may have the
name of an alias: `meaning` then searches both. `labels.status` is the label alone.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from logship.errors import KqlError
from logship.event.fields import BY_NAME
from logship.search.kql import And, Is, Leaf, Node, Or, Pattern, Range, Text, Value

ALIASES: Final[dict[str, str]] = {
    "status": "http.response.status_code",
    "method": "http.request.method",
    "route": "http.route",
    "path": "url.path",
    "duration": "event.duration",
    "ttfb": "logship.ttfb_ns",
    "level": "log.level",
    "logger": "log.logger",
    "worker": "logship.worker.slot",
    "slot": "logship.worker.slot",
    "node": "service.node.name",
    "service": "service.name",
    "version": "service.version",
    "environment": "service.environment",
    "host": "host.name",
    "pid": "process.pid",
    "exit_code": "process.exit_code",
    "request_id": "http.request.id",
    "trace_id": "trace.id",
    "span_id": "span.id",
    "event_id": "event.id",
    "error": "error.type",
    "exception": "error.type",
    "client": "client.ip",
    "ip": "client.ip",
    "user_agent": "user_agent.original",
    "action": "event.action",
    "outcome": "event.outcome",
    "timestamp": "@timestamp",
}
# Severity in ascending order, as stored, and other names of the same levels.
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
LEVEL_NAMES: Final = {"warn": "warning", "err": "error", "fatal": "critical", "crit": "critical", "information": "info"}
LOWERCASE: Final = ("log.level", "event.outcome", "url.scheme", "network.protocol")
NANOSECONDS: Final = tuple(name for name in BY_NAME if name == "event.duration" or name.endswith("_ns"))
_UNIT_NS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "sec": 10**9, "m": 60 * 10**9,
    "min": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9,
}  # fmt: skip
# `duration > 100` is probably a mistake: no request takes 100 nanoseconds.
_LEAST_PLAIN_NS = 10_000

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµμ]+)\s*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_STATUS_CLASS = re.compile(r"([1-5])xx", re.IGNORECASE)
_SLOT = re.compile(r"w(\d+)", re.IGNORECASE)


def field_of(name: str) -> str:
    """Return the field that `name` is an alias of, or else `name`."""
    return ALIASES.get(name, name)


def full(leaf: Leaf) -> Node:
    """Return the full KQL of a comparison: names without aliases, values as they are stored.

    KqlError for a value that the field cannot be compared with."""
    if not isinstance(leaf.field, Text):
        return leaf
    typed, name = leaf.field.text, field_of(leaf.field.text)
    field = Text(name, leaf.field.quoted and name == typed, leaf.field.at)
    if isinstance(leaf, Range):
        return _full_range(leaf, field, typed)
    return _full_is(field, leaf.value, typed)


def nanoseconds(text: str) -> Decimal | None:
    """Return the nanoseconds of `100ms`, `1.5s`, `1m30s`; None if `text` is not a duration with a unit."""
    total, at, text = Decimal(0), 0, text.strip().lower()
    while at < len(text):
        part = _DURATION_PART.match(text, at)
        if part is None or part[2] not in _UNIT_NS:
            return None
        total += Decimal(part[1]) * _UNIT_NS[part[2]]
        at = part.end()
    return total if text else None


def _full_is(field: Text, value: Value, typed: str) -> Node:
    name = field.text
    if name in LOWERCASE:
        return _any(field, value, _changed(value, _level))
    if name == "http.request.method":
        return _any(field, value, _changed(value, str.upper))
    if typed == "worker" and not (isinstance(value, Pattern) and value.any) and not _is_slot(value):
        return Is(Text("service.node.name", at=field.at), value)
    if isinstance(value, Text):
        number = _STATUS_CLASS.fullmatch(value.text) if name == "http.response.status_code" else None
        if number is not None:
            low, high = (Text(f"{int(number[1]) + more}00", at=value.at) for more in (0, 1))
            return And((Range(field, ">=", low), Range(field, "<", high)))
        return Is(field, _full_value(field, value, typed))
    return Is(field, value)


def _full_range(leaf: Range, field: Text, typed: str) -> Node:
    level = _level(leaf.value.text) if field.text == "log.level" else ""
    if level in LEVELS:
        at = LEVELS.index(level)
        chosen = {">": LEVELS[at + 1 :], ">=": LEVELS[at:], "<": LEVELS[:at], "<=": LEVELS[: at + 1]}[leaf.operator]
        if not chosen:
            raise KqlError(f"no level is {leaf.operator} {level}: levels are {', '.join(LEVELS)}", leaf.value.at)
        parts = tuple(Is(field, Text(name, at=leaf.value.at)) for name in chosen)
        return Or(parts) if len(parts) > 1 else parts[0]
    return Range(field, leaf.operator, _full_value(field, leaf.value, typed))


def _full_value(field: Text, value: Text, typed: str) -> Text:
    name, text = field.text, value.text
    if name == "logship.worker.slot" and (slot := _SLOT.fullmatch(text)):
        return Text(slot[1], value.quoted, value.at)
    if name in NANOSECONDS:
        if typed == "duration" and _NUMBER.fullmatch(text) and 0 < Decimal(text) < _LEAST_PLAIN_NS:
            raise KqlError(f"a duration needs a unit: write {text}ms, {text}s or {text}ns", value.at)
        spanned = nanoseconds(text)
        if spanned is not None:
            return Text(f"{spanned.normalize():f}", value.quoted, value.at)
    return value


def _is_slot(value: Value) -> bool:
    return isinstance(value, Text) and (_SLOT.fullmatch(value.text) is not None or value.text.isdigit())


def _any(field: Text, *values: Value) -> Node:
    """Return the tree for a field with one of these values. The stored form, which is the last, comes first."""
    parts = tuple(Is(field, value) for value in dict.fromkeys(reversed(values)))
    return Or(parts) if len(parts) > 1 else parts[0]


def _level(text: str) -> str:
    small = text.lower()
    return LEVEL_NAMES.get(small, small)


def _changed(value: Value, change: Callable[[str], str]) -> Value:
    if isinstance(value, Text):
        return Text(change(value.text), value.quoted, value.at)
    return Pattern(tuple(map(change, value.parts)), value.at)
