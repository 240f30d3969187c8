"""Conversion of single values to what a column holds."""

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from logship.search.addresses import canonical
from logship.search.targets import KIND_OF
from logship.search.times import LATEST_NS, rfc3339

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")


def finite(value: Any) -> float | None:
    """Return a number that a DOUBLE holds exactly, None for any other value."""
    if type(value) not in (int, float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number == value else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def parsed_date(value: Any) -> str | None:
    """Return RFC 3339 text in UTC: as it is, or from an integer of nanoseconds since 1970; None for any other value."""
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
    if type(value) is list and all(type(item) is str for item in value):
        return value
    if isinstance(value, list | tuple):
        return [item if type(item) is str else text_of(item) for item in value if item is not None]
    return None if value is None or isinstance(value, dict) else [text_of(value)]


def text_of(value: Any) -> str:
    """Return any value as text: bytes decoded, other values as JSON if possible."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    try:
        return orjson.dumps(value, default=text_of, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):
        return str(value)


def encodable(value: Any) -> Any:
    """Return the value with lone surrogates replaced, which JSON cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value


_FITTING: dict[str, Callable[[Any], Any]] = {
    "keyword": lambda value: text_of(value) if isinstance(value, str | bytes) else None,
    "text": lambda value: text_of(value) if isinstance(value, str | bytes) else None,
    "ip": lambda value: canonical(value) if type(value) is str else None,
    "integer": _integer,
    "number": finite,
    "boolean": lambda value: value if type(value) is bool else None,
    "date": parsed_date,
    "list": _list,
}


# The conversion of each field. The time is left out: the time of the entry is the time of the event.
FITTING = {name: _FITTING[kind] for name, kind in KIND_OF.items() if name != "@timestamp"}


