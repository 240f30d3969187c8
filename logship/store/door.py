"""The door of the store: any record becomes one line that DuckDB reads back without loss.

A value of the right type goes to its column. A known field with a wrong type goes to `labels` as text, an unknown one
to `labels`, or to `numeric_labels` when it is a number; nested maps are flattened with dots first. Nothing becomes NULL
in silence.
"""

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import orjson

from logship.search.meaning import KIND_OF
from logship.search.times import EARLIEST_NS, LATEST_NS, SECOND_NS, rfc3339
from logship.store.schema import LINE_LIMIT_BYTES, POSITION

_DEPTH_LIMIT = 16
_PLAIN = {"keyword": str, "text": str, "boolean": bool}
_PLAIN_TYPES: dict[str, type] = {name: _PLAIN[kind] for name, kind in KIND_OF.items() if kind in _PLAIN}
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")


class Unfit(Exception):
    """A record that has no place in the store, and why."""


class Door:
    """Makes lines. Belongs to one thread."""

    def __init__(self) -> None:
        self._second, self._prefix = 0, rfc3339(0)[:20]

    def line(self, position: int, time_ns: int, record: dict[str, Any]) -> bytes:
        """Return the line of `record`, newline included. Unfit when it cannot be stored at all."""
        if not isinstance(record, dict):
            raise Unfit(f"the record is a {type(record).__name__}, not a map")
        if not EARLIEST_NS <= time_ns < LATEST_NS:
            raise Unfit(f"the time {time_ns} ns is outside of 1678 to 2261")
        out: dict[str, Any] = {POSITION: position, "@timestamp": self._stamp(time_ns)}
        odd: list[tuple[Any, Any]] = []
        for key, value in record.items():
            if type(value) is _PLAIN_TYPES.get(key):
                out[key] = value
            elif (fit := _FIT.get(key)) and (fitting := fit(value)) is not None:
                out[key] = fitting
            elif value is not None:
                odd.append((key, value))
        # Last, because what does not fit must not take the place of what does.
        for key, value in odd:
            _place(out, key, value)
        try:
            line = orjson.dumps(out, option=orjson.OPT_APPEND_NEWLINE)
        except (TypeError, ValueError):  # text with lone surrogates
            line = orjson.dumps(_encodable(out), option=orjson.OPT_APPEND_NEWLINE)
        if len(line) > LINE_LIMIT_BYTES:
            raise Unfit(f"the record has {len(line)} bytes, the limit is {LINE_LIMIT_BYTES}")
        return line

    def _stamp(self, time_ns: int) -> str:
        second, rest = divmod(time_ns, SECOND_NS)
        if second != self._second:
            self._second, self._prefix = second, rfc3339(time_ns)[:20]
        return f"{self._prefix}{rest:09d}Z"


def dead_letter(time_ns: object, record: object, reason: str) -> bytes:
    """Return the line that keeps a record which has no place, newline included."""
    kept = {"@timestamp": str(time_ns), "reason": reason, "record": repr(record)}
    return orjson.dumps(_encodable(kept), option=orjson.OPT_APPEND_NEWLINE)


def _place(out: dict[str, Any], key: Any, value: Any) -> None:
    if key in ("labels", "numeric_labels") and isinstance(value, dict):
        for name, held in value.items():
            if held is not None:
                _label(out, name, held, as_number=key == "numeric_labels")
        return
    for name, held in _flat(key, value, 0):
        if held is None or name == "@timestamp":
            continue
        fitting = _FIT[name](held) if name in _FIT else None
        if fitting is None or name in out:
            _label(out, name, held, as_number=name not in KIND_OF)
        else:
            out[name] = fitting


def _flat(key: Any, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    name = key if type(key) is str else _text(key)
    if isinstance(value, dict) and value and depth < _DEPTH_LIMIT:
        for inner, held in value.items():
            yield from _flat(f"{name}.{inner if type(inner) is str else _text(inner)}", held, depth + 1)
    else:
        yield name, value


def _label(out: dict[str, Any], key: Any, value: Any, *, as_number: bool) -> None:
    name = key if type(key) is str else _text(key)
    number = _finite(value) if as_number else None
    labels = out.setdefault("labels" if number is None else "numeric_labels", {})
    while name in labels:
        name += "_"
    labels[name] = _text(value) if number is None else number


def _finite(value: Any) -> float | None:
    if type(value) not in (int, float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    # What a DOUBLE cannot hold exactly stays text.
    return number if math.isfinite(number) and number == value else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _date(value: Any) -> str | None:
    """RFC 3339 in UTC as it is, whole numbers as nanoseconds since 1970."""
    if type(value) is int and 10**17 < value < LATEST_NS:
        return rfc3339(value)
    if type(value) is str and _DATE.fullmatch(value):
        try:
            within = 1678 <= datetime.fromisoformat(value).year <= 2261
        except ValueError:
            return None
        return value if within else None
    return None


def _list(value: Any) -> list[str] | None:
    if type(value) is list and all(type(held) is str for held in value):
        return value
    if isinstance(value, list | tuple):
        return [held if type(held) is str else _text(held) for held in value if held is not None]
    return None if value is None or isinstance(value, dict) else [_text(value)]


_FITTING: dict[str, Callable[[Any], Any]] = {
    "keyword": lambda value: _text(value) if isinstance(value, str | bytes) else None,
    "text": lambda value: _text(value) if isinstance(value, str | bytes) else None,
    "integer": _integer,
    "number": _finite,
    "boolean": lambda value: value if type(value) is bool else None,
    "date": _date,
    "list": _list,
}


# By name, without the time: the time of the entry is the time of the event.
_FIT = {name: _FITTING[kind] for name, kind in KIND_OF.items() if name != "@timestamp"}


def _text(value: Any) -> str:
    """Any value as text: as JSON where that says more."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    try:
        return orjson.dumps(value, default=_text, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):
        return str(value)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(held) for key, held in value.items()}
    return [_encodable(held) for held in value] if isinstance(value, list) else value
