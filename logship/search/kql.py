"""KQL, Kibana's query language, as a tree of values.

    Or      := And (Sp "or" Sp And)*          And := Not (Sp "and" Sp Not)*          any letter case
    Not     := "not" Sp Sub | Sub             Sub := "(" Or ")" | Expr               "not" needs a blank after it
    Expr    := Literal ("<=" | ">=" | "<" | ">") Literal | Literal ":" Values | Literal
    Values  := "(" the same or, and, not over values ")" | Literal
    Literal := '"' any, with \\t \\r \\n \\uXXXX \\\\ \\" '"'
             | a run without \\ ( ) : < > " * { }, ended by Sp or Sp, Sp and Sp, not Sp; "*" is a wildcard

As in Kibana an unquoted value may hold blanks, and `cannot do` must be quoted because of its "not ". Kibana's own
grammar backtracks; wherever it would, no other reading succeeds, so this parser decides by one look ahead.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from logship.errors import KqlError

# A person types hundreds of characters; programs that paste lists of ids stay below this.
TEXT_LIMIT_CHARACTERS = 20_000
DEPTH_LIMIT = 50
TERMS_LIMIT = 1_000

Operator: TypeAlias = Literal["<=", ">=", "<", ">"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)
SPACE = " \t\r\n\u00a0"
SPECIAL = '\\():<>"*{}'

_KEYWORD_AHEAD = re.compile(r"[ \t\r\n\u00a0](?:or|and)[ \t\r\n\u00a0]", re.IGNORECASE)
_NOT_AHEAD = re.compile(r"not[ \t\r\n\u00a0]", re.IGNORECASE)
_ESCAPE = re.compile(r'\\(?:([trn])|u([0-9a-fA-F]{4})|([\\():<>"*{}])|((?i:or|and|not)))')
_QUOTED_ESCAPE = re.compile(r'\\(?:([trn])|u([0-9a-fA-F]{4})|([\\"]))')
# Operators of SQL, Lucene and programs, as they stand before what the grammar cannot read.
_COMPARED_BEFORE = re.compile(r"([\w@.-]+)\s*(!=|==|=~|=)\s*$")
_LESS_BEFORE = re.compile(r"([\w@.-]+)\s*<\s*$")
_COLON_BEFORE = re.compile(r"([\w@.-]+)\s*:\s*$")
_VALUE_BEHIND = re.compile(r'\([^()]*\)|"[^"]*"|[^\s()]+')
_IN_BEFORE = re.compile(r"([\w@.-]+)\s+(in|IN)\s*$")
_AND_OR = re.compile(r"&&|\|\|")
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}
# Where the grammar could read a word: "or" and "and" behind a blank or at the beginning, "not" behind anything.
_MUST_ESCAPE = re.compile(r"(?:(?<![^ \t\r\n\u00a0])(?:or|and)|not)(?=[ \t\r\n\u00a0]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    """Exact text; `quoted` matters for fields of running text: a phrase, rather than any of the words."""

    text: str
    quoted: bool = False
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with wildcards: `parts` are the pieces around each star, so `a*` is ("a", "")."""

    parts: tuple[str, ...]
    at: int = field(default=0, compare=False)

    @property
    def any(self) -> bool:
        return not any(self.parts)


Value: TypeAlias = Text | Pattern


@dataclass(frozen=True, slots=True)
class Is:
    """`field: value`; without a field it is bare text."""

    field: Value | None
    value: Value


@dataclass(frozen=True, slots=True)
class Range:
    """`field >= value`."""

    field: Value
    operator: Operator
    value: Text


@dataclass(frozen=True, slots=True)
class And:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Node"


Node: TypeAlias = Is | Range | And | Or | Not


def parse(text: str) -> Node | None:
    """Return the tree of `text`, or None when it is blank and so matches everything.

    KqlError names the character and what was expected there."""
    if len(text) > TEXT_LIMIT_CHARACTERS:
        raise KqlError(f"the question has {len(text)} characters, the limit is {TEXT_LIMIT_CHARACTERS}")
    return _Parser(_whole_characters(text)).whole()


def equal(name: str, value: str | int) -> Node:
    """Return the tree of `name: "value"`."""
    return Is(Text(name), Text(str(value), quoted=True))


def existing(name: str) -> Node:
    """Return the tree of `name: *`."""
    return Is(Text(name), Pattern(("", "")))


def every(*nodes: Node | None) -> Node | None:
    """Return the tree that holds when all of `nodes` do; None stands for no condition."""
    parts = tuple(node for node in nodes if node is not None)
    return And(parts) if len(parts) > 1 else parts[0] if parts else None


def text_of(node: Node | None) -> str:
    """Return KQL text that `parse` reads as the same tree, for sending a question elsewhere."""
    match node:
        case None:
            return ""
        case Is(None, value):
            return _literal_text(value)
        case Is(name, value) if name is not None:
            return f"{_literal_text(name)}: {_literal_text(value)}"
        case Range(name, operator, value):
            return f"{_literal_text(name)} {operator} {_literal_text(value)}"
        case Not(part):
            return f"not {_inside(part)}"
        case And(parts):
            return " and ".join(_inside(part, (Is, Range, Not)) for part in parts)
        case Or(parts):
            return " or ".join(_inside(part, (Is, Range, Not, And)) for part in parts)
    raise TypeError(node)


def _inside(node: Node, bare: tuple[type, ...] = (Is, Range)) -> str:
    """Brackets only where the grammar needs them: a question at the limit of depth stays below it."""
    return text_of(node) if isinstance(node, bare) else f"({text_of(node)})"


def _literal_text(value: Value) -> str:
    if isinstance(value, Pattern):
        return "*".join(map(_bare, value.parts))
    if value.quoted or not value.text.strip(SPACE):
        return '"' + value.text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _bare(value.text)


def _bare(text: str) -> str:
    escaped = re.sub(r'[\\():<>"*{}]', r"\\\g<0>", text)
    # "or" and "and" take a backslash; "not" its first letter as \uXXXX, since \not would be read as a line feed and "ot".
    escaped = _MUST_ESCAPE.sub(
        lambda word: f"\\u{ord(word[0][0]):04x}{word[0][1:]}" if word[0][0] in "nN" else f"\\{word[0]}", escaped
    )
    return escaped.replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


def _whole_characters(text: str) -> str:
    """Join surrogate pairs and replace lone ones: no store can hold them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth, self.terms = text, 0, 0, 0

    def whole(self) -> Node | None:
        self.blank()
        if self.at == len(self.text):
            return None
        node = self.alternatives()
        self.blank()
        if self.at < len(self.text):
            raise self.wanted('"and", "or" or the end')
        return node

    def alternatives(self) -> Node:
        parts = self.chain("or", self.conjunction)
        return Or(parts) if len(parts) > 1 else parts[0]

    def conjunction(self) -> Node:
        parts = self.chain("and", self.negation)
        return And(parts) if len(parts) > 1 else parts[0]

    def negation(self) -> Node:
        if _NOT_AHEAD.match(self.text, self.at):
            self.at += len("not ")
            self.blank()
            return Not(self.sub())
        return self.sub()

    def sub(self) -> Node:
        return self.bracketed(self.alternatives) if self.peek("(") else self.expression()

    def expression(self) -> Node:
        first = self.literal("a field, a value or (")
        after = self.at
        self.blank()
        for operator in OPERATORS:
            if self.peek(operator):
                self.at += len(operator)
                return Range(first, operator, self.limit_value())
        if self.peek(":"):
            self.at += 1
            self.blank()
            if self.peek("{"):
                raise KqlError(
                    "no field here holds nested objects: write the whole name, as in a.b: c", self.at, self.text
                )
            return self.values(first)
        self.at = after
        return Is(None, first)

    def limit_value(self) -> Text:
        self.blank()
        at = self.at
        value = self.literal("a value to compare with")
        if isinstance(value, Pattern):
            raise KqlError("a range needs a value without *", at, self.text)
        return value

    def values(self, name: Value) -> Node:
        """One value or a bracketed list, bound to `name`."""

        def alternatives() -> Node:
            parts = self.chain("or", conjunction)
            return Or(parts) if len(parts) > 1 else parts[0]

        def conjunction() -> Node:
            parts = self.chain("and", negation)
            return And(parts) if len(parts) > 1 else parts[0]

        def negation() -> Node:
            if _NOT_AHEAD.match(self.text, self.at):
                self.at += len("not ")
                self.blank()
                return Not(one())
            return one()

        def one() -> Node:
            return self.bracketed(alternatives) if self.peek("(") else Is(name, self.literal("a value"))

        return one()

    def bracketed(self, inside: Callable[[], Node]) -> Node:
        self.at += 1
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise KqlError(f"brackets are nested more than {DEPTH_LIMIT} deep", self.at, self.text)
        self.blank()
        node = inside()
        self.blank()
        if not self.peek(")"):
            raise self.wanted(")")
        self.at += 1
        self.depth -= 1
        return node

    def chain(self, word: str, one: Callable[[], Node]) -> tuple[Node, ...]:
        parts = [one()]
        while self.keyword(word):
            parts.append(one())
        return tuple(parts)

    def keyword(self, word: str) -> bool:
        """Step over Sp word Sp when it is next; otherwise stay."""
        start = self.at
        self.blank()
        end = self.at + len(word)
        if self.at > start and self.text[self.at : end].lower() == word and self.text[end : end + 1] in tuple(SPACE):
            self.at = end
            self.blank()
            return True
        self.at = start
        return False

    def literal(self, expected: str) -> Value:
        self.terms += 1
        if self.terms > 2 * TERMS_LIMIT:
            raise KqlError(f"the question has more than {TERMS_LIMIT} terms", self.at, self.text)
        return self.quoted() if self.peek('"') else self.unquoted(expected)

    def quoted(self) -> Text:
        start = self.at
        at, out = start + 1, list[str]()
        while at < len(self.text):
            if self.text[at] == '"':
                self.at = at + 1
                return Text(_whole_characters("".join(out)), quoted=True, at=start)
            escape = _QUOTED_ESCAPE.match(self.text, at)
            out.append(_unescaped(escape) if escape else self.text[at])
            at = escape.end() if escape else at + 1
        raise KqlError('this " is never closed', start, self.text)

    def unquoted(self, expected: str) -> Value:
        start, parts, out = self.at, list[str](), list[str]()
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "*":
                parts.append("".join(out))
                out.clear()
            elif escape := _ESCAPE.match(self.text, self.at):
                out.append(_unescaped(escape))
                self.at = escape.end()
                continue
            elif (
                character in SPECIAL or _KEYWORD_AHEAD.match(self.text, self.at) or _NOT_AHEAD.match(self.text, self.at)
            ):
                break
            else:
                out.append(character)
            self.at += 1
        if self.at == start:
            raise self.wanted(expected)
        parts.append("".join(out))
        parts[0] = parts[0].lstrip(SPACE)
        parts[-1] = parts[-1].rstrip(SPACE)
        parts = list(map(_whole_characters, parts))
        if len(parts) > 1:
            return Pattern(tuple(parts), at=start)
        return Text(parts[0], quoted=not parts[0], at=start)

    def blank(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in SPACE:
            self.at += 1

    def peek(self, token: str) -> bool:
        return self.text.startswith(token, self.at)

    def wanted(self, expected: str) -> KqlError:
        rest = self.text[self.at : self.at + 20]
        if _NOT_AHEAD.match(rest):
            return KqlError('found "not " here: quote a value that contains it', self.at, self.text)
        if meant := self.meant():
            return KqlError(meant, self.at, self.text)
        found = repr(rest[0]) if rest else "the end"
        return KqlError(f"expected {expected}, found {found}", self.at, self.text)

    def meant(self) -> str:
        """What to write instead of an operator of another language that stands here; empty without one."""
        before, rest = self.text[: self.at], self.text[self.at :]
        value = (_VALUE_BEHIND.match(rest) or [""])[0] or "value"
        if found := _COMPARED_BEFORE.search(before):
            return f'KQL compares with ":" and not "{found[2]}": write {"not " * ("!" in found[2])}{found[1]}: {value}'
        if (found := _LESS_BEFORE.search(before)) and rest.startswith(">"):
            value = (_VALUE_BEHIND.search(rest[1:]) or ["value"])[0]
            return f'KQL compares with ":" and not "<>": write not {found[1]}: {value}'
        if (found := _COLON_BEFORE.search(before)) and rest[:1] in ("<", ">"):
            return f'expected a value behind ":"; a range is written {found[1]} {rest.split(")")[0].strip()}'
        if found := _IN_BEFORE.search(before):
            return f"KQL has no {found[2]!r}: write {found[1]}: (a or b)"
        if found := _AND_OR.search(self.text):
            return f'write "{"and" if found[0] == "&&" else "or"}" instead of "{found[0]}"'
        return ""


def _unescaped(escape: re.Match[str]) -> str:
    control, code, special = escape[1], escape[2], escape[3]
    if control:
        return _CONTROLS[control]
    if code:
        return chr(int(code, 16))
    return special or escape[4]
