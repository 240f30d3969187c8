"""Characters, keywords and escapes of KQL, as Kibana defines them.

    Or      := And (Sp "or" Sp And)*          And := Not (Sp "and" Sp Not)*          any letter case
    Not     := "not" Sp Sub | Sub             Sub := "(" Or ")" | Expr               "not" needs a space after it
    Expr    := Literal ("<=" | ">=" | "<" | ">") Literal | Literal ":" Values | Literal
    Values  := "(" the same or, and, not over values ")" | Literal
    Literal := '"' any, with \\t \\r \\n \\uXXXX \\\\ \\" '"'
             | a run without \\ ( ) : < > " * { }, ended by Sp or Sp, Sp and Sp, not Sp; "*" is a wildcard
"""

import re

SPACE = " \t\r\n\u00a0"
SPECIAL = '\\():<>"*{}'
KEYWORD_AHEAD = re.compile(r"[ \t\r\n\u00a0](?:or|and)[ \t\r\n\u00a0]", re.IGNORECASE)
NOT_AHEAD = re.compile(r"not[ \t\r\n\u00a0]", re.IGNORECASE)
ESCAPE = re.compile(r'\\(?:([trn])|u([0-9a-fA-F]{4})|([\\():<>"*{}])|((?i:or|and|not)))')
QUOTED_ESCAPE = re.compile(r'\\(?:([trn])|u([0-9a-fA-F]{4})|([\\"]))')
# Words that the grammar could read as keywords: "or" and "and" after a space or at the beginning, "not" anywhere.
MUST_ESCAPE = re.compile(r"(?:(?<![^ \t\r\n\u00a0])(?:or|and)|not)(?=[ \t\r\n\u00a0]|$)", re.IGNORECASE)
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}


def unescaped(escape: re.Match[str]) -> str:
    """Return the character or keyword that an escape of ESCAPE or QUOTED_ESCAPE stands for."""
    control, code, special = escape[1], escape[2], escape[3]
    if control:
        return _CONTROLS[control]
    if code:
        return chr(int(code, 16))
    return special or escape[4]


def whole_characters(text: str) -> str:
    """Return `text` with surrogate pairs joined and lone surrogates replaced by U+FFFD: no store can hold them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
