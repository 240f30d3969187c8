"""Writing a KQL tree as text, for example to send a query to another collector or to show it in full."""

import re

from logship.search.kql.syntax import MUST_ESCAPE, SPACE
from logship.search.kql.tree import And, Is, Node, Not, Or, Pattern, Range, Value


def text_of(node: Node | None) -> str:
    """Return KQL text that `parse` reads as the same tree; "" for None."""
    match node:
        case None:
            return ""
        case Is(None, value):
            return _literal(value)
        case Is(name, value) if name is not None:
            return f"{_literal(name)}: {_literal(value)}"
        case Range(name, operator, value):
            return f"{_literal(name)} {operator} {_literal(value)}"
        case Not(part):
            return f"not {_bracketed(part)}"
        case And(parts):
            return " and ".join(_bracketed(part, (Is, Range, Not)) for part in parts)
        case Or(parts):
            return " or ".join(_bracketed(part, (Is, Range, Not, And)) for part in parts)
    raise TypeError(node)


def _bracketed(node: Node, bare: tuple[type, ...] = (Is, Range)) -> str:
    # Brackets only where the grammar needs them: a query at the depth limit must stay below it.
    return text_of(node) if isinstance(node, bare) else f"({text_of(node)})"


def _literal(value: Value) -> str:
    if isinstance(value, Pattern):
        return "*".join(map(_bare, value.parts))
    if value.quoted or not value.text.strip(SPACE):
        return '"' + value.text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _bare(value.text)


def _bare(text: str) -> str:
    escaped = re.sub(r'[\\():<>"*{}]', r"\\\g<0>", text)
    # "or" and "and" take a backslash. "not" takes \uXXXX for its first letter: \not would be a line feed and "ot".
    escaped = MUST_ESCAPE.sub(
        lambda word: f"\\u{ord(word[0][0]):04x}{word[0][1:]}" if word[0][0] in "nN" else f"\\{word[0]}", escaped
    )
    return escaped.replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")
