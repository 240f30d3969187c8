"""Split a message into words, with what varies replaced: numbers, ids, addresses, paths, dates, sizes with their unit."""

import re
from typing import Final, TypeAlias

from logship.forensics.by_text import READ_CHARACTERS

Words: TypeAlias = tuple[str, ...]

VARIES: Final = "<*>"
SEPARATORS: Final = frozenset("=:,;()[]{}\"'|")
# Words repeat. A service that logs random words must not fill the memory.
MOST_WORDS: Final = 100_000

_WORDS: Final = re.compile(r"""https?://[^\s,;)\]}>"']+|[^\s=:,;()\[\]{}"'|]+|[=:,;()\[\]{}"'|]""")
_NAMES: Final = "Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
# One digit is enough: names of hosts, containers, blocks and versions have some, and words of a sentence have none.
_VARYING: Final = re.compile(rf"\d|^/.*/|://|^(?:{_NAMES})$")
_UNITS: Final = frozenset(
    "B KB MB GB TB kB KiB MiB GiB TiB bytes byte % ns us ms msec s sec secs second seconds min mins minutes hours days".split()
)
_OPENING, _CLOSING, _LISTING = frozenset("([{"), frozenset(")]}"), frozenset(",;:|")
_WORD, _VALUE, _SEPARATOR, _UNIT = range(4)
_kinds: dict[str, int] = {}


def words_of(message: str) -> Words:
    """Return the words and separators of `message`; `VARIES` stands for each value, list of values, or empty brackets."""
    result: list[str] = []
    for word in _WORDS.findall(message[:READ_CHARACTERS]):
        kind = _kinds.get(word)
        if kind is None:
            kind = _learn(word)
        if kind == _WORD or not result:
            result.append(VARIES if kind == _VALUE else word)
        elif kind == _VALUE:
            _add_value(result)
        elif kind == _UNIT:
            if result[-1] != VARIES:
                result.append(word)
        else:
            if word in _CLOSING and result[-1] in _OPENING:
                result.append(VARIES)
            result.append(word)
    return tuple(result)


def joined(words: Words) -> Words:
    """Return `words` with values that follow each other as one."""
    return tuple(word for at, word in enumerate(words) if word != VARIES or not at or words[at - 1] != VARIES)


def text_of(words: Words) -> str:
    """Return `words` as one line, spaced as in a sentence."""
    line = " ".join(words)
    line = re.sub(r" ([=,;:)\]}|])", r"\1", line)
    return re.sub(r"([=(\[{|]) ", r"\1", line)


def _add_value(result: list[str]) -> None:
    if result[-1] == VARIES:
        return
    if len(result) > 1 and result[-1] in _LISTING and result[-2] == VARIES:
        result.pop()  # a list of values, or 10:15:30
    else:
        result.append(VARIES)


def _learn(word: str) -> int:
    if word in SEPARATORS:
        kind = _SEPARATOR
    elif _VARYING.search(word):
        return _VALUE  # not kept: values seldom come twice
    else:
        kind = _UNIT if word in _UNITS else _WORD
    if len(_kinds) >= MOST_WORDS:
        _kinds.clear()
    _kinds[word] = kind
    return kind
