"""Encodings in which a name or a secret is not recognized: percent-encoding, JSON and Python escapes, HTML entities.

`token%3Dx`, `{"pass\\u0077ord": "x"}`, `&quot;password&quot;:&quot;x&quot;`."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Final
from urllib.parse import unquote

_ROUNDS: Final = 3
# Escapes of printable ASCII: names are written in it. A backslash itself stays escaped.
_ESCAPE: Final = re.compile(
    r"\\+(?:u00|x|U000000)(2[0-9A-Fa-f]|[34][0-9A-Fa-f]|5[0-9ABDEFabdef]|6[0-9A-Fa-f]|7[0-9A-Ea-e])"
)
_ENTITY: Final = re.compile(r"&(?:quot|apos|amp|lt|gt|colon|equals|#[0-9]{1,4}|#x[0-9A-Fa-f]{1,4});")


def may_hide(text: str) -> bool:
    """Return whether `plain_forms` may have a form of `text` that differs from it."""
    return "%" in text or "\\u" in text or "\\x" in text or "\\U" in text or "&#" in text or "&quot" in text


def plain_forms(text: str) -> Iterator[str]:
    """Yield `text` decoded, with one encoding after the other."""
    if "%" in text:
        plain = text
        for _ in range(_ROUNDS):
            if "%" not in plain or (decoded := unquote(plain)) == plain:
                break
            plain = decoded
            yield plain
    if "\\" in text and (decoded := _ESCAPE.sub(_character, text)) != text:
        yield decoded
    if "&" in text and (decoded := _ENTITY.sub(_entity, text)) != text:
        yield decoded


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _entity(found: re.Match[str]) -> str:
    return unescape(found[0])
