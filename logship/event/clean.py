"""Makes any value of an application safe to store. Nothing here raises, and whatever is left out is marked.

A value that cannot be stored becomes text, or is cut if it is too deep, too long or has too many items, with a mark:
"...[cut 1234 bytes]", "[cycle]", "[too deep]", "[unreadable Order]". The result is valid in JSON, msgpack and Elasticsearch:
text without lone surrogates, finite numbers within 64 bits, keys that are text.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import orjson

from logship.event import foreign
from logship.event.cut import cut_text, safe_text
from logship.event.redact import CUT_MARGIN_CHARACTERS, Redactor, suspicious_text
from logship.event.remember import Remembered

LONG_MIN: Final = -(2**63)
LONG_MAX: Final = 2**63 - 1
_KEY_CHARACTERS = 256


@dataclasses.dataclass(frozen=True, slots=True)
class ValueLimits:
    """How much of a value is kept: levels, bytes of one text, items of one collection, values and characters in total.

    Texts are redacted after they were cut, so that `characters`, which includes names, bounds the work."""

    depth: int = 8
    text_bytes: int = 16 * 1024
    items: int = 256
    values: int = 1024
    characters: int = 64 * 1024


LIMITS: Final = ValueLimits()
_KEY_LIMITS: Final = ValueLimits(depth=2, text_bytes=_KEY_CHARACTERS, items=8, values=16)


def clean_value(value: object, limits: ValueLimits = LIMITS) -> object:
    """Return `value` as None, bool, int, float, text, list or dict with text keys, of bounded size. Never raises."""
    return _Cleaner(limits).clean(value, 0)


def application_fields(
    fields: Mapping[Any, object], redactor: Redactor | None = None, limits: ValueLimits = LIMITS
) -> tuple[dict[str, str | bool], dict[str, int | float], bool]:
    """Return the labels (text and booleans), the numeric labels, and whether anything was cut or replaced.

    Names of nested maps are joined by dots; a list of scalars becomes text joined by ", ", any other list JSON text;
    None is left out. With `redactor`, names and values are redacted; a redacted number becomes a label. Never raises.
    """
    labels: dict[str, str | bool] = {}
    numbers: dict[str, int | float] = {}
    cut = False
    try:
        rest: dict[str, object] = {}
        # Fast path: short texts and numbers under known names.
        for key, value in islice(fields.items(), limits.items):
            name = _KNOWN_KEYS.get(key)
            kind = type(value)
            # The redactor has no limits: here it only gets values that are neither long nor deep.
            simple = (
                len(value) < 256 and value.isascii()  # type: ignore[arg-type, attr-defined]
                if kind is str
                else kind is bool
                or (kind is int and LONG_MIN <= value <= LONG_MAX)  # type: ignore[operator]
                or (kind is float and value - value == 0.0)  # type: ignore[operator]
            )
            if name is None or not simple or (redactor is not None and redactor.value(name, value) is not value):
                rest[key] = value
            elif kind is str or kind is bool:
                labels[name] = value  # type: ignore[assignment]
            else:
                numbers[name] = value  # type: ignore[assignment]
        if rest:
            sorter = _Sorter(labels, numbers, redactor, limits)
            sorter.sort(rest)
            cut = sorter.cleaner.cut
        if len(fields) > limits.items:
            labels["_cut"] = f"{len(fields) - limits.items} more"
            cut = True
    except Exception:  # noqa: BLE001 - a hostile mapping; what was read before the error is kept
        labels["unreadable"] = _type_name(fields)
        cut = True
    return labels, numbers, cut


def clean_key(key: object) -> str:
    """Return the name of a field for any key: not empty, at most 256 characters, none of them a control character."""
    text = key if isinstance(key, str) else str(_Cleaner(_KEY_LIMITS).clean(key, 0))
    shown = safe_text(str.__getitem__(text, slice(2 * _KEY_CHARACTERS)))
    if not shown.isprintable():
        shown = "".join(character if character.isprintable() else "_" for character in shown)
    parts = [part for part in (part.strip() for part in shown.split(".")) if part]
    return ".".join(parts)[:_KEY_CHARACTERS].rstrip(" .") or "_"


class _Keys(Remembered[str]):
    """Cached names of fields: of plain texts only, because 1 and True are equal, and not of names that may be secrets."""

    __slots__ = ()

    def __missing__(self, key: Any) -> str:
        name = clean_key(key)
        if type(key) is str and len(key) <= _KEY_CHARACTERS and not suspicious_text(key):
            self.keep(key, name)
        return name


_KNOWN_KEYS = _Keys()


class _Cleaner:
    """One pass over one value, with the path to the current value and the remaining limits."""

    def __init__(self, limits: ValueLimits, redactor: Redactor | None = None) -> None:
        self.limits = limits
        self.redactor = redactor
        self.cut = False
        self._left = limits.values
        self._characters_left = limits.characters
        self._path: set[int] = set()

    def mark(self, text: str) -> str:
        self.cut = True
        return text

    def clean(self, value: object, depth: int) -> object:
        """Return a safe value; a map comes back as dict, any other collection as list."""
        kind = type(value)
        if kind is bool or value is None:
            return value
        if kind is str:
            return self.text(value)  # type: ignore[arg-type]
        try:
            scalar = self._scalar(value)
            if scalar is not None:
                return scalar
            return self._inside(value, depth)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - the record is kept whatever methods of the value raise, even SystemExit
            return self.mark(f"[unreadable {_type_name(value)}]")

    def text(self, text: str) -> str:
        """Return `text` cut and then redacted, so that the limits bound the work."""
        if self._characters_left <= 0 and text:
            return self.mark(f"...[cut {len(text)} characters]")
        self._characters_left -= len(text)
        if len(text) < 256 and text.isascii():
            return text
        limit = self.limits.text_bytes
        window = limit + CUT_MARGIN_CHARACTERS
        if len(text) > window:
            # No part of a secret at the cut may remain.
            self.cut = True
            self._characters_left += len(text) - window
            shown = self._redacted(safe_text(text[:window]))[:-CUT_MARGIN_CHARACTERS]
            return cut_text(shown, limit, len(text) - limit)
        shown = safe_text(text)
        fits = shown if len(shown) <= limit // 4 else cut_text(self._redacted(shown), limit)
        self.cut |= "...[cut " in fits[-40:]
        return fits

    def _redacted(self, text: str) -> str:
        return text if self.redactor is None else self.redactor.text(text)

    def spend(self) -> bool:
        """Return whether one more value may be kept."""
        self._left -= 1
        return self._left >= 0

    def enter(self, value: object, depth: int) -> str:
        """Begin a collection. Return "", to be followed by `leave`, or the text that replaces the collection."""
        if id(value) in self._path:
            return self.mark("[cycle]")
        if depth >= self.limits.depth:
            return self.mark("[too deep]")
        self._path.add(id(value))
        return ""

    def leave(self, value: object) -> None:
        self._path.discard(id(value))

    def _scalar(self, value: object) -> object | None:
        """Return the stored form of a value that is not a collection; None for a collection."""
        match value:
            case Enum():
                return self._enum(value)
            case int():
                return self._integer(int(value))
            case float():
                return _float(float(value))
            case str():
                return self.text(str.__str__(value))
            case Decimal() | Fraction():
                return self._exact(value)
            case timedelta():
                return value.total_seconds()
            case datetime() | date() | time():
                return value.isoformat()
            case UUID() | PurePath() | complex():
                return self.text(str(value))
            case bytes() | bytearray() | memoryview():
                return self._bytes(value)
            case BaseException():
                return self.text(f"{_type_name(value)}: {value}")
            case type():
                return self.text(f"{value.__module__}.{value.__qualname__}")
        return None

    def _inside(self, value: object, depth: int) -> object:
        """Return the stored form of a collection or of an object with known fields; text for any other object."""
        if isinstance(value, Mapping):
            return self._map(value, value, depth)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._map(value, dict(zip(value._fields, value, strict=False)), depth)
        if isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ in {
            "deque",
            "dict_keys",
            "dict_values",
        }:
            return self._list(value, value, depth)  # type: ignore[arg-type]
        plain = foreign.plain(value, self.limits.items)
        if plain is foreign.UNKNOWN:
            return self.text(repr(value))
        return self._map(value, plain, depth) if isinstance(plain, Mapping) else self.clean(plain, depth + 1)

    def _map(self, value: object, items: Mapping[Any, object], depth: int) -> object:
        if replacement := self.enter(value, depth):
            return replacement
        try:
            cleaned: dict[str, object] = {}
            for key, item in islice(items.items(), self.limits.items):
                if not self.spend():
                    break
                name = _free(_KNOWN_KEYS[key], cleaned)
                self._characters_left -= len(name)
                cleaned[name] = self.clean(item, depth + 1)
            if len(cleaned) < len(items):
                cleaned["_cut"] = self.mark(f"{len(items) - len(cleaned)} more")
            return cleaned
        finally:
            self.leave(value)

    def _list(self, value: object, items: Iterable[object], depth: int) -> object:
        if replacement := self.enter(value, depth):
            return replacement
        try:
            size = len(items)  # type: ignore[arg-type]
            cleaned: list[object] = []
            for item in islice(items, self.limits.items):
                if not self.spend():
                    break
                cleaned.append(self.clean(item, depth + 1))
            if isinstance(value, (set, frozenset)):
                cleaned.sort(key=str)
            if len(cleaned) < size:
                cleaned.append(self.mark(f"[{size - len(cleaned)} more]"))
            return cleaned
        finally:
            self.leave(value)

    def _integer(self, value: int) -> int | str:
        if LONG_MIN <= value <= LONG_MAX:
            return value
        # Python does not convert integers of thousands of digits to text.
        return str(value) if value.bit_length() < 4096 else self.mark(f"[integer of {value.bit_length()} bits]")

    def _enum(self, value: Enum) -> object:
        inner = value.value
        return self.clean(inner, 0) if type(inner) in {str, int, float, bool} else self.text(value.name)

    def _exact(self, value: Decimal | Fraction) -> object:
        """Return a float if it is equal to `value`, else the digits as text."""
        number = float(value)
        exact = math.isfinite(number) and (not isinstance(value, Decimal) or Decimal(repr(number)) == value)
        return number if exact else self.text(str(value))

    def _bytes(self, value: bytes | bytearray | memoryview) -> str:
        shown = bytes(value[: self.limits.text_bytes])
        try:
            text = shown.decode()
        except UnicodeDecodeError:
            text = "hex:" + shown[:256].hex()
            shown = shown[:256]
        if len(shown) < len(value):
            return self.mark(
                self.text(f"{text[: self.limits.text_bytes - 64]}...[cut {len(value) - len(shown)} bytes]")
            )
        return self.text(text)


class _Sorter:
    """Sorts the fields of the application into labels and numbers."""

    def __init__(
        self,
        labels: dict[str, str | bool],
        numbers: dict[str, int | float],
        redactor: Redactor | None,
        limits: ValueLimits,
    ) -> None:
        self.labels, self.numbers, self.redactor = labels, numbers, redactor
        self.cleaner = _Cleaner(limits, redactor)

    def sort(self, fields: Mapping[Any, object]) -> None:
        """Clean, then redact, then flatten, so that the redactor sees what is going to be stored."""
        cleaned = self.cleaner.clean(_Plain(fields), 0)
        if not isinstance(cleaned, dict):
            self._place("unreadable", cleaned)
            return
        self._flatten("", self.redactor.fields(cleaned) if self.redactor else cleaned)

    def _flatten(self, prefix: str, fields: Mapping[str, object]) -> None:
        for name, value in fields.items():
            whole = f"{prefix}.{name}" if prefix else name
            if isinstance(value, dict) and value:
                self._flatten(whole, value)
            else:
                self._place(whole, value)

    def _place(self, name: str, value: object) -> None:
        if value is None:
            return
        if len(name) > _KEY_CHARACTERS:
            name = self.cleaner.mark(name[:_KEY_CHARACTERS])
        name = _free(name, self.labels, self.numbers)
        if isinstance(value, (str, bool)):
            self.labels[name] = value
        elif isinstance(value, (int, float)):
            self.numbers[name] = value
        else:
            text = _joined(value)
            self.labels[name] = cut_text(text, self.cleaner.limits.text_bytes)
            self.cleaner.cut |= self.labels[name] != text


class _Plain(dict[Any, object]):
    """A copy of the fields, so that the top level is always a plain dictionary."""


def _joined(value: object) -> str:
    """Return a list or an empty map as text: scalars joined by ", ", anything else as JSON."""
    if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
        return ", ".join(item if isinstance(item, str) else orjson.dumps(item).decode() for item in value)
    return orjson.dumps(value).decode()


def _free(name: str, *taken: Mapping[str, object]) -> str:
    """Return `name`, with a number if it is taken: 1 and "1" become the same name."""
    free, number = name, 2
    while any(free in names for names in taken):
        free, number = f"{name[: _KEY_CHARACTERS - 8]}~{number}", number + 1
    return free


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _type_name(value: object) -> str:
    try:
        return safe_text(type(value).__name__)[:100]
    except Exception:  # noqa: BLE001 - a metaclass may do anything
        return "object"
