"""Words of running text, split as by Elasticsearch's standard analyser, and wildcard patterns as regular expressions."""

import re

# `24.3ms`, `httpx.ConnectError`, `a:b`, `1,000` and `can't` are one word each; `/`, `-`, `@` and `=` separate words.
LETTER_JOINTS, DIGIT_JOINTS = "'\u2019.:", ".,;'\u2019"
WORD = re.compile(rf"\w+(?:(?:(?<=[^\W\d_])[{LETTER_JOINTS}](?=[^\W\d_])|(?<=\d)[{DIGIT_JOINTS}](?=\d))\w+)*")


def words(text: str) -> tuple[str, ...]:
    """Return the words of running text in lowercase."""
    return tuple(WORD.findall(text.lower()))


def like_regex(parts: tuple[str, ...], flags: int = re.DOTALL) -> re.Pattern[str]:
    """Return a regular expression for `fullmatch` on text that fits the pieces between the stars."""
    return re.compile(".*".join(map(re.escape, parts)), flags)


def split_at_space(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the patterns between the spaces of a pattern; one with a single piece is plain text."""
    found: list[list[str]] = [[""]]
    for at, part in enumerate(parts):
        if at:
            found[-1].append("")
        first, *others = re.split(r"\s+", part)
        found[-1][-1] += first
        found += [[other] for other in others]
    return [tuple(pattern) for pattern in found if pattern != [""]]
