"""Values in SQL: the parameters that libraries print beside a statement, rows of an INSERT, `IDENTIFIED BY 'x'`."""

import re
from typing import Final

from logship.event.names import Names
from logship.event.secrets.extent import closing_bracket, value_after
from logship.event.secrets.marks import is_mark, mark

# What a database library prints beside a statement: SQLAlchemy's errors and echo, PostgreSQL's rejected rows.
_PARAMETERS: Final = re.compile(
    r"\[parameters:[ ]|:[ \t]{0,3}Failing row contains[ ]"
    r"|\[(?:generated in|cached since|no key|raw sql|caching disabled|dialect)[^\[\]\n]{0,60}\][ ]"
)
_INSERTED: Final = re.compile(r"\((?P<columns>[^()]{1,2000})\)[ \t\r\n]{0,8}(?:VALUES|values)[ \t\r\n]{0,8}")
_COLUMN: Final = re.compile(r"[\w.\-]+")
_NEXT_ROW: Final = re.compile(r"[ \t\r\n]{0,8},[ \t\r\n]{0,8}(?=\()")
_BOUND: Final = re.compile(r"[()\[\]{}\s,]*(?:(?:%s|%\(\w+\)s|:\w+|\$\d+|\?|DEFAULT|NULL|None)[()\[\]{}\s,]*)*")
# MySQL: CREATE USER ann IDENTIFIED BY 'x'.
_IDENTIFIED: Final = re.compile(r"(?ai:identified[ \t]+(?:with[ \t]+\S{1,60}[ \t]+)?(?:by|as)[ \t]+)(?=[\"'])")
_ECHOES: Final = ("[parameters:", "[generated", "[cached", "[no key", "[raw sql", "[caching", "[dialect", "Failing row")


def hide_statement_values(text: str, names: Names) -> str:
    """Return `text` with a mark in place of the values of SQL statements."""
    if may_hold_parameters(text):
        text = _without_parameters(text)
    if may_hold_rows(text):
        text = _without_rows(text, names)
    return _without_identified(text) if "dentified" in text or "DENTIFIED" in text else text


def may_hold_parameters(text: str) -> bool:
    """Return whether a library may have printed the parameters of a statement into `text`."""
    return ("[" in text or "Failing" in text) and any(said in text for said in _ECHOES)


def may_hold_rows(text: str) -> bool:
    """Return whether `text` may hold an INSERT with its values."""
    return "VALUES" in text or "values" in text


def _without_parameters(text: str) -> str:
    pieces: list[str] = []
    done = at = 0
    while found := _PARAMETERS.search(text, at):
        start = at = found.end()
        if text[start : start + 1] not in ("(", "[", "{"):
            continue
        end = closing_bracket(text, start)
        at = end if end >= 0 else len(text)
        if not _BOUND.fullmatch(text[start:at]) and not is_mark(text[start:at]):
            pieces += (text[done:start], mark("parameters"))
            done = at
    return text if not pieces else "".join((*pieces, text[done:]))


def _without_rows(text: str, names: Names) -> str:
    """Redact the rows of an INSERT that has a column of a secret name, whole: which value is whose may be unclear."""
    pieces: list[str] = []
    done = at = 0
    while found := _INSERTED.search(text, at):
        at = found.end()
        kinds = [kind for column in _COLUMN.findall(found["columns"]) if (kind := names[column].kind)]
        if not kinds or text[at : at + 1] != "(":
            continue
        row: re.Match[str] | None = found
        while row is not None and text[at : at + 1] == "(":
            start, end = at, closing_bracket(text, at)
            at = end if end >= 0 else len(text)
            if not _BOUND.fullmatch(text[start:at]):
                pieces += (text[done : start + 1], mark(kinds[-1]))
                done = at - 1 if end >= 0 else at
            row = _NEXT_ROW.match(text, at)
            at = row.end() if row else at
    return text if not pieces else "".join((*pieces, text[done:]))


def _without_identified(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for found in _IDENTIFIED.finditer(text):
        if found.start() >= done:
            start, end = value_after(text, found.end())
            if start < end and not is_mark(text[start:end]):
                pieces += (text[done:start], mark("password"))
                done = end
    return "".join((*pieces, text[done:]))
