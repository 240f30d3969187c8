"""Parses a message that was rendered (JSON, logfmt or key=value) before it reached logging.

Within one process structlog's values are captured before they are rendered (`capture.structlog`). A record from another
process, or from an unknown renderer, is only text. It is parsed if the whole text is such a rendering and names its event;
any other text stays the message.
"""

import re
from typing import Any, Final

import orjson

MAX_CHARACTERS: Final = 16 * 1024
MAX_PAIRS: Final = 128
# Keys under which renderers write the message, the most usual first.
EVENT_NAMES: Final = ("event", "message", "msg")

_PAIR = re.compile(r"""([^\s="']{1,256})(?:=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"']*))?(?:\s+|$)""")
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?(e[+-]?\d{1,3})?")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS: Final = {"true": True, "false": False, "True": True, "False": False, "null": None, "None": None, "": None}


def read(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return (message, the other fields) of a rendered event; None if `text` is anything else. Never raises."""
    if len(text) > MAX_CHARACTERS:
        return None
    if text[:1] == "{" and text.rstrip()[-1:] == "}":
        return _json(text)
    if "event=" in text:
        return _pairs(text)
    return None


def _json(text: str) -> tuple[str, dict[str, Any]] | None:
    try:
        fields = orjson.loads(text)
    except ValueError:
        return None
    return _split(fields) if isinstance(fields, dict) else None


def _pairs(text: str) -> tuple[str, dict[str, Any]] | None:
    fields: dict[str, Any] = {}
    flags = 0
    at, end = 0, len(text)
    while at < end:
        pair = _PAIR.match(text, at)
        if pair is None or len(fields) >= MAX_PAIRS:
            return None  # a sentence that happens to contain "event="
        fields[pair[1]] = True if pair[2] is None else _value(pair[2])  # logfmt writes a flag that is true without a value
        flags += pair[2] is None
        at = pair.end()
    if not isinstance(fields.get("event"), str) or (flags and "level" not in fields):
        return None
    return _split(fields)


def _value(text: str) -> object:
    if text[:1] in {'"', "'"}:
        return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text[1:-1])
    if text in _WORDS:
        return _WORDS[text]
    if match := _NUMBER.fullmatch(text):
        return float(text) if match[1] or match[2] else int(text)
    return text


def _split(fields: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    for name in EVENT_NAMES:
        if isinstance(message := fields.get(name), str):
            del fields[name]
            return message, fields
    return None
