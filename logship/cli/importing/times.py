"""The time of an imported record."""

import contextlib
import re
from decimal import Decimal
from typing import Any

from logship.cli.times import zone
from logship.errors import KqlError, QuestionError
from logship.search.times import interval

# Names of the time field in other log formats; the first that a record has is used.
TIME_FIELDS = ("@timestamp", "timestamp", "time", "ts")
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,30})?(?:[eE]\+?\d{1,2})?")


def time_of(record: dict[str, Any]) -> int | None:
    """Return the time of a record in nanoseconds since 1970, None if it has no valid one."""
    for name in TIME_FIELDS:
        value = record.get(name)
        if isinstance(value, bool) or value is None:
            continue
        with contextlib.suppress(QuestionError, KqlError, ValueError, OverflowError):
            return _time(value)
    return None


def _time(value: object) -> int:
    if isinstance(value, int | float):
        return _epoch(Decimal(repr(value)))
    text = str(value).strip()
    if _NUMBER.fullmatch(text):
        with contextlib.suppress(ValueError):
            return _epoch(Decimal(text))
    return interval(text, 0, zone(), allow_math=False)[0]


def _epoch(value: Decimal) -> int:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, recognized by their size: valid for 1973 to 2286.

    A float is read as its shortest decimal: 1700000000.123 has exactly 123 milliseconds."""
    for power in (9, 6, 3, 0):
        ns = value.scaleb(power)
        if 10**17 <= ns < 10**19:
            return int(ns)
    raise ValueError(value)
