"""Text measured in terminal columns: width, cutting, wrapping, and characters that the terminal can show."""

import locale
import shutil
import sys
from functools import cache
from unicodedata import combining, east_asian_width

from logship.event.invisible import visible


def clean(text: str) -> str:
    """Return the text with control characters written out: \\n, \\x1b."""
    return visible(text)


def width() -> int:
    """Return the columns of the terminal; 100 without one."""
    return shutil.get_terminal_size((100, 24)).columns


def cells(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def fit(text: str, room: int, right: bool = False) -> str:
    """Return the text in exactly `room` columns: padded with spaces, or cut with an ellipsis."""
    if cells(text) > room:
        text = (_head(text, room - 1) + glyph("…", "~"))[: max(room, 0)]
    space = " " * (room - cells(text))
    return space + text if right else text + space


def _head(text: str, room: int) -> str:
    """The longest beginning that fits; at least one character if there is room for none."""
    used = 0
    for at, character in enumerate(text):
        used += _cells(character)
        if used > room:
            return text[:at]
    return text


def wrap(text: str, room: int) -> list[str]:
    """Return the text in lines of at most `room` columns, broken between words; longer words are cut."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cells(longer) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        while cells(word) > room:
            part = _head(word, room) or word[0]
            lines.append(part)
            word = word[len(part) :]  # noqa: PLW2901 - the rest of the word
        line = word
    return [*lines, line] if line or not lines else lines


@cache
def has_unicode() -> bool:
    """Return whether the terminal shows more than ASCII. In the C locale Python writes UTF-8, but the terminal does not."""
    return "utf" in (sys.stdout.encoding or "").lower() and "utf" in locale.getencoding().lower()


def glyph(unicode: str, ascii: str) -> str:  # noqa: A002 - the name of what it is
    """Return the first character if the terminal can show it, else the second."""
    return unicode if has_unicode() else ascii


def bar(part: float, room: int) -> str:
    """Return a bar that fills this part (0 to 1) of the room; not empty for parts above 0."""
    if not has_unicode():
        return "#" * max(round(part * room), int(part > 0))
    eighths = max(round(part * room * 8), int(part > 0))
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
