"""The extent of a value: in quotes, in brackets, up to a space, or on the lines below its name."""

import re
from typing import Final

from logship.event.secrets.marks import MARK

LINE_END: Final = r"(?:\r?\n|\\r\\n|\\n)"
# After "&" of a query stands the next name; elsewhere "&" is part of the value, unless another name with its value follows.
IN_QUERY: Final = re.compile(r"[^\s&\"'<>]+")
BARE: Final = re.compile(r"[^\s&\"'<>]+(?:&(?!&|(?:amp;)?[\w.\-%\[\]]{1,80}=)[^\s&\"'<>]*)*")
NEXT_LINE: Final = re.compile(
    rf"(?P<block>[|>][+\-]?[0-9]?)?[ \t]*+{LINE_END}(?:[ \t]*+{LINE_END})?(?P<indent>[ \t]*+)(?P<item>-[ \t]++)?"
)
_REST_OF_LINE: Final = re.compile(r"(?:(?!\\r\\n|\\n)[^\r\n])+")
_ONE_WORD: Final = re.compile(r"[^\s\"'\\<>{}\[\]]+(?=[ \t]*(?:[\r\n\"']|\\r|\\n|\Z))")
_FOLLOWING: Final = re.compile(rf"{LINE_END}(?P<indent>[ \t]*+)(?P<item>-[ \t])?(?:(?!\\r\\n|\\n)[^\r\n])*")
_QUOTE: Final = re.compile(r"[bBrRfFuUN]{0,2}(?P<quote>\"\"\"|'''|\\{0,8}[\"'`])")
_QUOTES: Final = re.compile(r"(?<!\\)\\*+[\"'`]")
_BRACKETS: Final = re.compile(r"[\[\](){}]")
_BRACKETS_AND_QUOTES: Final = re.compile(r"\\.|[\[\](){}\"']", re.DOTALL)


def value_after(text: str, at: int) -> tuple[int, int]:
    """Return where the value at `at` begins and ends: in quotes, in brackets, or up to a space."""
    return plain_value(text, at, "", BARE)


def closing_bracket(text: str, at: int) -> int:
    """Return where the bracket at `at` is closed, ignoring brackets in quotes; -1 if it is not closed."""
    depth, quote = 0, ""
    for sign in _BRACKETS_AND_QUOTES.finditer(text, at):
        one = sign[0]
        if one[0] == "\\":
            continue
        if one in "\"'":
            quote = "" if quote == one else quote or one
        elif not quote:
            depth += 1 if one in "[({" else -1
            if depth == 0:
                return sign.end()
    return -1


def plain_value(text: str, at: int, opened: str, pattern: re.Pattern[str]) -> tuple[int, int]:
    """Return the same as `value_after`; a value without quotes is what `pattern` matches, up to the quote `opened`."""
    quoted = _QUOTE.match(text, at)
    if quoted:
        return quoted.end(), _closing_quote(text, quoted.end(), quoted["quote"])
    if text[at : at + 1] in {"[", "{", "("} and not MARK.match(text, at):
        end = closing_bracket(text, at)
        return at, end if end >= 0 else _last_bracket(text, at)
    bare = pattern.match(text, at)
    end = bare.end() if bare else at
    if opened and (closed := text.find(opened, at, end)) >= 0:
        end = closed
    value = text[at:end].rstrip(" \t,;)}")
    return at, at + len(value if "[" in value else value.rstrip(" \t,;)}]"))


def value_below(text: str, line: re.Match[str], whole_line: bool) -> tuple[int, int]:
    """Return where the value below `line`, a match of `NEXT_LINE`, begins and ends.

    It is a word, what is in quotes, or a block or list of YAML; with `whole_line` all of the line."""
    at = line.end()
    if line["block"] or line["item"]:
        end = rest.end() if (rest := _REST_OF_LINE.match(text, at)) else at
        while (below := _FOLLOWING.match(text, end)) and len(below["indent"]) >= len(line["indent"]) > 0:
            if line["item"] and not below["item"]:
                break
            end = below.end()
        return at, end
    if _QUOTE.match(text, at):
        return value_after(text, at)
    if whole_line and line["indent"]:
        rest = _REST_OF_LINE.match(text, at)
        return (at, rest.end()) if rest and ": " not in rest[0] else (at, at)
    word = _ONE_WORD.match(text, at)
    # A heading above a sentence or a map is not followed by a value, and a single word in the next line may be a sentence.
    if not word or word[0].endswith(":") or (not line["indent"] and word[0].isalpha()):
        return at, at
    return word.span()


def _closing_quote(text: str, at: int, quote_mark: str) -> int:
    """Return where the text in quotes ends; a quote with more backslashes than the opening one belongs to the text."""
    if len(quote_mark) == 3 and quote_mark[0] != "\\":
        end = text.find(quote_mark, at)
        return end if end >= 0 else len(text)
    for sign in _QUOTES.finditer(text, at):
        if sign[0][-1] == quote_mark[-1] and len(sign[0]) <= len(quote_mark):
            return sign.start()
    return len(text)


def _last_bracket(text: str, at: int) -> int:
    """Return where the bracket at `at` is closed if an apostrophe before hides it, else the end of the text."""
    depth = 0
    for bracket in _BRACKETS.finditer(text, at):
        depth += 1 if bracket[0] in "[({" else -1
        if depth == 0:
            return bracket.end()
    return len(text)
