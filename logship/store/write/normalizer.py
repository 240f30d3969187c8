"""The door of the store: any record becomes one line that DuckDB reads back without loss.

A value of the right type goes to its column. A known field with a wrong type goes to `labels` as text, an unknown one
to `labels`, or to `numeric_labels` when it is a number; nested maps are flattened with dots first. Nothing becomes NULL
in silence.

Records come in few shapes, which are their keys in order. For a shape whose keys are all fields, one comparison of all
types and a look at what a type does not tell (numbers, dates, lists, labels) decides that a record may be written as it
is; that is five times quicker than field by field, and trusts nobody's word.
"""

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from operator import itemgetter
from typing import Any

import orjson

from logship.search.addresses import canonical
from logship.search.targets import KIND_OF, MAPS
from logship.search.times import EARLIEST_NS, LATEST_NS, SECOND_NS, rfc3339
from logship.store.schema import LINE_LIMIT_BYTES

_DEPTH_LIMIT = 16
_PLAIN = {"keyword": str, "text": str, "boolean": bool}
_PLAIN_TYPES: dict[str, type] = {name: _PLAIN[kind] for name, kind in KIND_OF.items() if kind in _PLAIN}
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")


class Unstorable(Exception):
    """A record that has no place in the store, and why."""


class Normalizer:
    """Makes lines. Belongs to one thread."""

    def __init__(self) -> None:
        self._second, self._prefix = 0, rfc3339(0)[:20].encode()
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def line(self, position: int, time_ns: int, record: dict[str, Any]) -> bytes:
        """Return the line of `record`, newline included. Unstorable when it cannot be stored at all."""
        second, rest = divmod(time_ns, SECOND_NS)
        if second != self._second:
            if not EARLIEST_NS <= time_ns < LATEST_NS:
                raise Unstorable(f"the time {time_ns} ns is outside of 1678 to 2261")
            self._second, self._prefix = second, rfc3339(time_ns)[:20].encode()
        body = self._as_it_is(record) or _field_by_field(record)
        comma = b"," if len(body) > 3 else b""
        line = b'{"_n":%d,"@timestamp":"%b%09dZ"%b%b' % (position, self._prefix, rest, comma, body[1:])
        if len(line) > LINE_LIMIT_BYTES:
            raise Unstorable(f"the record has {len(line)} bytes, the limit is {LINE_LIMIT_BYTES}")
        return line

    def _as_it_is(self, record: dict[str, Any]) -> bytes | None:
        try:
            keys = tuple(record)
            shape = self._shapes.get(keys)
            if shape is None:
                shape = self._shapes[keys] = _Shape.of(keys)
                if len(self._shapes) > _SHAPES_LIMIT:
                    self._shapes.clear()
            if shape.types == [*map(type, record.values())] and shape.holds(record):
                return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        except (AttributeError, TypeError, ValueError):  # no map at all, keys that are no text, lone surrogates
            pass
        return None


# Applications differ in which fields a record has; a sender of ever new keys must not fill memory.
_SHAPES_LIMIT = 4096
_SHAPE_TYPES: dict[str, type] = {
    "keyword": str, "text": str, "ip": str, "date": str, "integer": int, "boolean": bool, "list": list,
}  # fmt: skip


class _Shape:
    """What records with these keys must be like to be written as they are. `types` is empty when none may."""

    __slots__ = ("_dates", "_integers", "_ips", "_labels", "_lists", "_numbers", "types")

    @classmethod
    def of(cls, keys: tuple[Any, ...]) -> "_Shape":
        return cls({key: "map" if key in MAPS else KIND_OF.get(key, "") if key in _FIT else "" for key in keys})

    def __init__(self, kinds: dict[str, str]) -> None:
        def of_kind(kind: str) -> list[str]:
            return [key for key in kinds if kinds[key] == kind]

        types: list[Any] = [dict if kind == "map" else _SHAPE_TYPES.get(kind) for kind in kinds.values()]
        self.types = [] if None in types or not types else types
        integers = of_kind("integer")
        # Two names at least, for then itemgetter gives a tuple.
        self._integers = itemgetter(*integers, integers[0]) if integers else None
        self._dates, self._lists, self._ips = of_kind("date"), of_kind("list"), of_kind("ip")
        self._labels, self._numbers = "labels" in kinds, "numeric_labels" in kinds

    def holds(self, record: dict[str, Any]) -> bool:
        """Whether each value is one that its column holds; types are right already."""
        # What is below 64 bits, or far above, orjson refuses.
        if self._integers is not None and max(self._integers(record)) > _INTEGER_MOST:
            return False
        for name in self._dates:
            if not _is_date(record[name]):
                return False
        for name in self._ips:
            if not is_address(record[name]):
                return False
        for name in self._lists:
            if not _ONLY_TEXT.issuperset(map(type, record[name])):
                return False
        if self._labels:
            labels = record["labels"]
            if not labels or not _ONLY_TEXT.issuperset(map(type, labels.values())):
                return False
        return not self._numbers or _exact_numbers(record["numeric_labels"])


_ONLY_TEXT = frozenset((str,))
_INTEGER_MOST = 2**63 - 1
# What a DOUBLE holds exactly, and certainly.
_EXACT_MOST = 2**53


def _exact_numbers(labels: dict[str, Any]) -> bool:
    return bool(labels) and all(
        -_EXACT_MOST <= held <= _EXACT_MOST if type(held) is int else type(held) is float and math.isfinite(held)
        for held in labels.values()
    )


_known_second = ""


def _is_date(text: str) -> bool:
    """Whether it is the text that our own events have, 2026-11-20T10:00:00.000000000Z; most are of one second."""
    global _known_second
    if len(text) == 30 and text.isascii() and text[19] == "." and text[20:29].isdigit() and text[29] == "Z":
        if text[:19] == _known_second:
            return True
        if _date(text) is not None:
            _known_second = text[:19]
            return True
    return False


_known_addresses: set[str] = set()
_ADDRESSES_LIMIT = 65_536


def is_address(text: str) -> bool:
    """Whether it is an address in the form that `canonical` gives; clients come again, so answers are kept."""
    if text in _known_addresses:
        return True
    if canonical(text) != text:
        return False
    if len(_known_addresses) >= _ADDRESSES_LIMIT:
        _known_addresses.clear()
    _known_addresses.add(text)
    return True


def _field_by_field(record: Any) -> bytes:
    if not isinstance(record, dict):
        raise Unstorable(f"the record is a {type(record).__name__}, not a map")
    out: dict[str, Any] = {}
    odd: list[tuple[Any, Any]] = []
    for key, value in record.items():
        if type(value) is _PLAIN_TYPES.get(key):
            out[key] = value
        elif (fit := _FIT.get(key)) and (fitting := fit(value)) is not None:
            out[key] = fitting
        elif value is not None:
            odd.append((key, value))
    if "message" not in out:
        out |= _message(record)
    # Last, because what does not fit must not take the place of what does.
    for key, value in odd:
        if not (key in _MESSAGES and type(value) is str and out.get("message") == value.rstrip("\r\n")):
            _place(out, key, value)
    try:
        return orjson.dumps(out, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, ValueError):  # text with lone surrogates
        return orjson.dumps(_encodable(out), option=orjson.OPT_APPEND_NEWLINE)


# What others call the line that a program printed: Docker's fluentd driver and Fluent Bit's tail, pino, GELF.
_MESSAGES = ("log", "msg", "short_message")


def _message(record: dict[Any, Any]) -> dict[str, str]:
    """The message of a record that has none by that name, without the line end that drivers leave."""
    if record.get("message") is None:
        for name in _MESSAGES:
            if type(text := record.get(name)) is str and text:
                return {"message": text.rstrip("\r\n")}
    return {}


def dead_letter(time_ns: object, record: object, reason: str) -> bytes:
    """Return the line that keeps a record which has no place, newline included."""
    kept = {"@timestamp": str(time_ns), "reason": reason, "record": repr(record)}
    return orjson.dumps(_encodable(kept), option=orjson.OPT_APPEND_NEWLINE)


def _place(out: dict[str, Any], key: Any, value: Any) -> None:
    if key in ("labels", "numeric_labels") and isinstance(value, dict):
        for name, held in value.items():
            for inner, one in _flat(name, held, 0):
                if one is not None:
                    # What is nested is the application's own field as it logged it: its numbers are numbers.
                    _label(out, inner, one, as_number=key == "numeric_labels" or isinstance(held, dict))
        return
    for name, held in _flat(key, value, 0):
        if held is None or name in _NOT_FROM_OUTSIDE:
            continue
        fitting = _FIT[name](held) if name in _FIT else None
        if fitting is None or name in out:
            _label(out, name, held, as_number=name not in KIND_OF)
        else:
            out[name] = fitting


# The time of the entry is the time of the event, and a conflict is for the store to say.
_NOT_FROM_OUTSIDE = frozenset(("@timestamp", "logship.conflict"))


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
    "ip": lambda value: canonical(value) if type(value) is str else None,
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
