"""The search for keys and tokens of the formats in `formats`. Time is linear in the length of the text."""

import re
from collections.abc import Iterator
from typing import Final

from logship.event.secrets.formats import ALPHABETS, FORMATS, HASHES, MIDDLES, NAMED_AFTER, SHAPES
from logship.event.secrets.marks import mark

# Every format has sixteen of these in a row, and where its alphabet holds "/" and "+" more than thirty with them: nearly
# all texts are passed over by looking for that alone.
_WORD_CHARACTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~="
_WORD_TABLE: Final = bytes(ord("x") if code in _WORD_CHARACTERS else ord(" ") for code in range(256))
_RUN_TABLE: Final = bytes(ord("x") if code in _WORD_CHARACTERS + b"/+" else ord(" ") for code in range(256))
_WORD: Final = b"x" * 16
_RUN: Final = b"x" * 32
_KEY_SIZES: Final = (4, 3, 2)
# `sk-learn-contrib-image`: no token is made of words alone.
_WORDS: Final = re.compile(r"[a-z]{1,15}(?:[\-_.][a-z]{1,15})+")
# A lookahead, so that the word before does not hide the beginning: in `q=ghp_...` a match of three would be "q=g".
_BEGINNINGS: Final = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z0-9]..))")
_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]")


def _by_beginning() -> dict[str, re.Pattern[str]]:
    """Return what to try where a word begins with these two to four characters."""
    rows: dict[str, list[str]] = {}
    for _, beginnings, alphabet, least in FORMATS:
        for beginning in beginnings.split():
            body = f"{re.escape(beginning)}[{ALPHABETS[alphabet]}]{{{least},}}+=*+"
            rows.setdefault(beginning[: _KEY_SIZES[0]], []).append(body)
    for _, beginnings, pattern in SHAPES:
        for beginning in beginnings.split():
            rows.setdefault(beginning[: _KEY_SIZES[0]], []).append(re.escape(beginning) + pattern)
    return {key: re.compile("|".join(patterns), re.ASCII) for key, patterns in rows.items()}


_BY_BEGINNING: Final = _by_beginning()
_FIRST_TWO: Final = frozenset(key for key in _BY_BEGINNING if len(key) == 2)
_FIRST_THREE: Final = frozenset(key[:3] for key in _BY_BEGINNING if len(key) > 2)
_MIDDLES: Final = [
    (middle, re.compile(pattern, re.ASCII), kind)
    for kind, rows in (("api-key", MIDDLES), ("password", HASHES))
    for _, middle, pattern in rows
]
_VENDORS: Final = {word: re.compile(pattern, re.ASCII) for word, pattern in NAMED_AFTER.items()}
# The longest value of `NAMED_AFTER` has 90 characters.
_VENDOR_VALUE: Final = re.compile(r"(?:[bN]?[\"'])?(?P<value>[\w+/=-]{10,100})(?![\w+/=-])", re.ASCII)


def may_hold_token(raw: bytes) -> bool:
    """Return whether a text, as Latin-1, has a word that is long enough for a token; about 0.3 us."""
    return _WORD in raw.translate(_WORD_TABLE) or _RUN in raw.translate(_RUN_TABLE)


def tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each token begins and ends, and its kind; they may overlap. About 0.3 us for a text without a long word."""
    # One byte a character: an offset in one is an offset in the other.
    raw = text.encode("latin-1", "replace")
    if not may_hold_token(raw):
        return
    shape = raw.translate(_RUN_TABLE)
    run = shape.find(_WORD)
    for middle, pattern, kind in _MIDDLES:
        if middle in text:
            for found in pattern.finditer(text):
                yield *found.span(), kind
    while run >= 0:
        start, end = shape.rfind(b" ", 0, run) + 1, shape.find(b" ", run)
        end = len(text) if end < 0 else end
        done = start
        begun = _BEGINNINGS.findall(text, start, end)
        if _FIRST_THREE.isdisjoint(begun) and _FIRST_TWO.isdisjoint([three[:2] for three in begun]):
            run = shape.find(_WORD, end)
            continue
        for word in _START.finditer(text, start, end):
            at = word.start()
            if at < done:
                continue
            for size in _KEY_SIZES:
                here = _BY_BEGINNING.get(text[at : at + size])
                if here and (token := here.match(text, at)) and not _WORDS.fullmatch(token[0]):
                    done = token.end()
                    yield *token.span(), "api-key"
                    break
        run = shape.find(_WORD, end)


def hide_tokens(text: str) -> str:
    """Return `text` with a mark in place of every token."""
    pieces: list[str] = []
    done = 0
    for start, end, kind in sorted(tokens(text)):
        if start >= done:
            pieces += (text[done:start], mark(kind))
        done = max(done, end)
    return text if not pieces else "".join((*pieces, text[done:]))


def is_vendors(vendor: str, value: str) -> bool:
    """Return whether `value` has the format of `vendor`, a key of `NAMED_AFTER`."""
    return _VENDORS[vendor].fullmatch(value) is not None


def vendors_value(vendor: str, text: str, at: int) -> tuple[int, int] | None:
    """Return where the value at `at`, in quotes or not, begins and ends if it has the format of `vendor`."""
    value = _VENDOR_VALUE.match(text, at)
    return value.span("value") if value and is_vendors(vendor, value["value"]) else None
