"""Characters that control a terminal or are invisible: text from outside must not move the cursor or hide anything.

They are the control characters C0 and C1 with ESC and DEL, marks of the text direction, line and paragraph separators,
tags, and letters and marks without a shape, such as the zero-width joiner of emoji."""

import re
from typing import Final

_INVISIBLE: Final = (
    r"\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_IN_A_LINE: Final = re.compile(rf"[\x00-\x1f{_INVISIBLE}]")
_IN_LINES: Final = re.compile(rf"[\x00-\x08\x0b-\x1f{_INVISIBLE}]")
_IN_JSON: Final = re.compile(f"[{_INVISIBLE}]")


def visible(text: str) -> str:
    """Return `text` on one line, with each of these characters as a Python escape: \\n, \\x1b, \\u202e."""
    return text if text.isascii() and text.isprintable() else _IN_A_LINE.sub(_named, text)


def visible_lines(text: str) -> str:
    """Return `text` as `visible` does, but with line breaks and tabs."""
    return _IN_LINES.sub(_named, text)


def visible_json(line: bytes) -> bytes:
    """Return equal JSON in which each of these characters is escaped, U+009B as \\u009b. `line`: JSON of orjson."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return _IN_JSON.sub(_escaped, line.decode("utf-8", "surrogatepass")).encode()


def _named(found: re.Match[str]) -> str:
    code = ord(found[0])
    return repr(found[0])[1:-1] if code < 0x80 else f"\\x{code:02x}" if code < 0x100 else _wide(code)


def _wide(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code - 0x10000 & 0x3FF):04x}"
