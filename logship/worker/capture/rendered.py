"""Reads a message that was already rendered (JSON, logfmt or key=value) before it came to logging.

Inside one process structlog's values are captured before they are rendered (`capture.structlog`). A record from another
process, or from a renderer that we do not see, is only text. It is read if the whole text is such a rendering and names
its event; anything else stays the message that it is.
"""

import re
from typing import Any, Final

import orjson

LONGEST: Final = 16 * 1024
MOST_PAIRS: Final = 128
# Names under which renderers write what happened, the usual one first.
EVENT_NAMES: Final = ("event", "message", "msg")

_PAIR = re.compile(r"""([^\s="']{1,256})(?:=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"']*))?(?:\s+|$)""")
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?(e[+-]?\d{1,3})?")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS: Final = {"true": True, "false": False, "True": True, "False": False, "null": None, "None": None, "": None}


def read(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return (message, the other fields) of a rendered event; None if `text` is anything else. Never raises."""
    if len(text) > LONGEST:
        return None
    if text[:1] == "{" and text.rstrip()[-1:] == "}":
        return _json(text)
    if "event=" in text:
        return _pairs(text)
    return None


def _json(text: str) -> tuple[str, dict[str, Any]] | None:
    try:
        told = orjson.loads(text)
    except ValueError:
        return None
    return _split(told) if isinstance(told, dict) else None


def _pairs(text: str) -> tuple[str, dict[str, Any]] | None:
    told: dict[str, Any] = {}
    flags = 0
    at, end = 0, len(text)
    while at < end:
        pair = _PAIR.match(text, at)
        if pair is None or len(told) >= MOST_PAIRS:
            return None  # prose that happens to hold "event="
        told[pair[1]] = True if pair[2] is None else _value(pair[2])  # logfmt writes a flag that is set without a value
        flags += pair[2] is None
        at = pair.end()
    if not isinstance(told.get("event"), str) or (flags and "level" not in told):
        return None
    return _split(told)


def _value(text: str) -> object:
    if text[:1] in {'"', "'"}:
        return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text[1:-1])
    if text in _WORDS:
        return _WORDS[text]
    if match := _NUMBER.fullmatch(text):
        return float(text) if match[1] or match[2] else int(text)
    return text


def _split(told: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    for name in EVENT_NAMES:
        if isinstance(message := told.get(name), str):
            del told[name]
            return message, told
    return None
