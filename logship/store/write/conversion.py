"""Conversion of a record field by field, so that every value has a column.

A known field with a value of another type goes to `labels` as text. An unknown field goes to `labels`, or to `numeric_labels`
if it is a number. Nested maps are flattened with dots first. No value is lost."""

from collections.abc import Iterator
from typing import Any

import orjson

from logship.search.targets import KIND_OF
from logship.store.write.values import FITTING, encodable, finite, text_of

_DEPTH_LIMIT = 16
_PLAIN = {"keyword": str, "text": str, "boolean": bool}
_PLAIN_TYPES: dict[str, type] = {name: _PLAIN[kind] for name, kind in KIND_OF.items() if kind in _PLAIN}


def converted_line(record: dict[Any, Any]) -> bytes:
    """Return the record as one line of JSON, newline included."""
    out: dict[str, Any] = {}
    odd: list[tuple[Any, Any]] = []
    for key, value in record.items():
        if type(value) is _PLAIN_TYPES.get(key):
            out[key] = value
        elif (fit := FITTING.get(key)) and (fitting := fit(value)) is not None:
            out[key] = fitting
        elif value is not None:
            odd.append((key, value))
    if "message" not in out:
        out |= _message(record)
    # Last: a value that does not fit must not take the place of one that does.
    for key, value in odd:
        if not (key in _MESSAGES and type(value) is str and out.get("message") == value.rstrip("\r\n")):
            _place(out, key, value)
    return encodable_line(out)


def encodable_line(fields: dict[str, Any]) -> bytes:
    """Return a line of JSON, newline included; lone surrogates are replaced."""
    try:
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, ValueError):
        return orjson.dumps(encodable(fields), option=orjson.OPT_APPEND_NEWLINE)


# Names of the message in other senders: Docker's fluentd driver and Fluent Bit's tail, pino, GELF.
_MESSAGES = ("log", "msg", "short_message")


def _message(record: dict[Any, Any]) -> dict[str, str]:
    """The message of a record without `message`, without a trailing newline."""
    if record.get("message") is None:
        for name in _MESSAGES:
            if type(text := record.get(name)) is str and text:
                return {"message": text.rstrip("\r\n")}
    return {}


def _place(out: dict[str, Any], key: Any, value: Any) -> None:
    if key in ("labels", "numeric_labels") and isinstance(value, dict):
        for label, labelled in value.items():
            for name, item in _flat(label, labelled, 0):
                if item is not None:
                    # A nested value is a field as the application logged it: its numbers are numbers.
                    _label(out, name, item, as_number=key == "numeric_labels" or isinstance(labelled, dict))
        return
    for name, item in _flat(key, value, 0):
        if item is None or name in _NOT_FROM_OUTSIDE:
            continue
        fitting = FITTING[name](item) if name in FITTING else None
        if fitting is None or name in out:
            _label(out, name, item, as_number=name not in KIND_OF)
        else:
            out[name] = fitting


# The time of the entry is the time of the event, and only the store marks conflicts.
_NOT_FROM_OUTSIDE = frozenset(("@timestamp", "logship.conflict"))


def _flat(key: Any, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    name = key if type(key) is str else text_of(key)
    if isinstance(value, dict) and value and depth < _DEPTH_LIMIT:
        for inner, item in value.items():
            yield from _flat(f"{name}.{inner if type(inner) is str else text_of(inner)}", item, depth + 1)
    else:
        yield name, value


def _label(out: dict[str, Any], key: Any, value: Any, *, as_number: bool) -> None:
    name = key if type(key) is str else text_of(key)
    number = finite(value) if as_number else None
    labels = out.setdefault("labels" if number is None else "numeric_labels", {})
    while name in labels:
        name += "_"
    labels[name] = text_of(value) if number is None else number
