"""Logstash's configuration language, rule by rule as its own grammar has it (logstash-core, lscl_grammar.treetop), so that a
file that is taken here is taken by Logstash. What a rule may begin with is tried in the grammar's order, with backtracking.

    config    = (cs section)* cs                       section = ("input" | "filter" | "output") cs "{" cs (item cs)* "}"
    item      = branch | plugin                        plugin  = name cs "{" cs (attribute (space cs attribute)*)? cs "}"
    attribute = name cs "=>" cs value                  value   = plugin | bareword | string | number | array | hash
    array     = "[" cs (value (cs "," cs value)*)? cs "]"
    hash      = "{" cs (entry (space entry)*)? cs "}"  entry   = (number | bareword | string) cs "=>" cs value
    branch    = "if" condition block ("else" "if" condition block)* ("else" block)?, with cs between any two
    condition = expression (cs ("and" | "or" | "xor" | "nand") cs expression)*
    cs        = (comment | space)*                     comment = "#" to the end of the line, which must be there

A setting that is given twice is refused as well, which Logstash does after parsing."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
KINDS = ("input", "filter", "output")
_SPACE, _COMMENT = re.compile(r"[ \t\r\n]+"), re.compile(r"#[^\r\n]*\r?\n")
_NAME, _BAREWORD = re.compile(r"[A-Za-z0-9_-]+"), re.compile(r"[A-Za-z_][A-Za-z0-9_]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")
_STRING = re.compile(r""""(?:\\"|[^"])*"|'(?:\\'|[^'])*'""", re.DOTALL)
_REGEXP = re.compile(r"/(?:\\/|[^/])*/", re.DOTALL)
_SELECTOR = re.compile(r"(?:\[[^\]\[,]+\])+")
_BOOLEAN = re.compile(r"and|or|xor|nand")
_COMPARE = re.compile(r"==|!=|<=|>=|<|>|=~|!~|in|not +in")


class NotLogstash(ValueError):
    """Where the text stops being a configuration of Logstash."""


@dataclass
class Plugin:
    """One plugin: its section, its settings, the conditions around it."""

    kind: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    when: tuple[str, ...] = ()


class _Failed(Exception):
    """A rule does not fit here; another may."""


def parse(text: str) -> list[Plugin]:
    """Every plugin in order; NotLogstash with the line of the furthest place that was understood otherwise."""
    return _Parser(text).config()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._furthest, self._expected = 0, "a section"

    def config(self) -> list[Plugin]:
        found: list[Plugin] = []
        self._cs()
        while self._at < len(self._text):
            try:
                found += self._section()
            except _Failed:
                line = self._text.count("\n", 0, self._furthest) + 1
                said = self._text[self._furthest : self._furthest + 20].split("\n")[0] or "the end of the line"
                raise NotLogstash(f"line {line}: expected {self._expected}, not {said!r}") from None
            self._cs()
        return found

    def _section(self) -> list[Plugin]:
        kind = self._one_of(KINDS)
        return self._block(kind, ())

    def _block(self, kind: str, when: tuple[str, ...]) -> list[Plugin]:
        self._cs()
        self._sign("{")
        self._cs()
        found: list[Plugin] = []
        while not self._skip("}"):
            found += self._first(lambda: self._branch(kind, when), lambda: [self._plugin(kind, when)])
            self._cs()
        return found

    def _branch(self, kind: str, when: tuple[str, ...]) -> list[Plugin]:
        self._sign("if")
        found = self._block(kind, (*when, self._condition()))
        while True:
            back = self._at
            self._cs()
            if not self._skip("else"):
                self._at = back
                return found
            self._cs()
            if not self._skip("if"):
                return found + self._block(kind, (*when, "else"))
            found += self._block(kind, (*when, self._condition()))

    def _plugin(self, kind: str, when: tuple[str, ...]) -> Plugin:
        name = self._name()
        self._cs()
        self._sign("{")
        self._cs()
        settings: dict[str, Any] = {}
        while not self._skip("}"):
            if settings:
                self._spaced()
            at, key = self._at, self._name()
            if key in settings:
                self._fail(f"{key} only once", at)
            self._cs()
            self._sign("=>")
            self._cs()
            settings[key] = self._value()
            back = self._at
            self._cs()
            if not self._text.startswith("}", self._at):
                self._at = back
        return Plugin(kind, name, settings, when)

    def _spaced(self) -> None:
        """What must be between two settings: space, and then comments as well."""
        if self._match(_SPACE) is None:
            self._fail("a space")
        self._cs()

    def _name(self) -> str:
        found = self._match(_NAME)
        return found if found is not None else self._string()

    def _value(self) -> Any:
        return self._first(
            lambda: self._plugin("codec", ()), self._bareword, self._string, self._number, self._array, self._hash,
            otherwise="a value",
        )  # fmt: skip

    def _array(self) -> list[Any]:
        self._sign("[")
        self._cs()
        values: list[Any] = []
        while not self._skip("]"):
            if values:
                self._sign(",")
                self._cs()
            values.append(self._value())
            self._cs()
        return values

    def _hash(self) -> dict[Any, Any]:
        self._sign("{")
        self._cs()
        pairs: dict[Any, Any] = {}
        while not self._skip("}"):
            if pairs and self._match(_SPACE) is None:
                self._fail("a space or }")  # between entries there are no comments and no commas
            key = self._first(self._number, self._bareword, self._string, otherwise="a key")
            self._cs()
            self._sign("=>")
            self._cs()
            pairs[key] = self._value()
            back = self._at
            self._cs()
            if not self._text.startswith("}", self._at):
                self._at = back
        return pairs

    def _condition(self) -> str:
        self._cs()
        begun = self._at
        self._expression()
        while True:
            back = self._at
            self._cs()
            if self._match(_BOOLEAN) is None:
                self._at = back
                return " ".join(self._text[begun:back].split())
            self._cs()
            self._expression()

    def _expression(self) -> None:
        if self._skip("("):
            self._in_brackets()
        elif self._skip("!"):
            self._cs()
            if self._skip("("):
                self._in_brackets()
            elif self._match(_SELECTOR) is None:
                self._fail("( or a field after !")
        else:
            self._operand()
            back = self._at
            self._cs()
            operator = self._match(_COMPARE)
            if operator is None:
                self._at = back
                return
            self._cs()
            self._first(self._string, self._regexp, otherwise="a text or /regexp/") if "~" in operator else self._operand()

    def _in_brackets(self) -> None:
        self._condition()
        self._cs()
        self._sign(")")

    def _operand(self) -> None:
        self._first(
            self._string, self._number, self._selector, self._array, self._call, self._regexp, otherwise="a condition"
        )

    def _call(self) -> str:
        name = self._bareword()
        self._cs()
        self._sign("(")
        self._cs()
        first = True
        while not self._skip(")"):
            if not first:
                self._sign(",")
                self._cs()
            self._operand()
            self._cs()
            first = False
        return str(name)

    def _bareword(self) -> Any:
        word = self._need(_BAREWORD, "a word of two letters and more")
        return {"true": True, "false": False}.get(word, word)

    def _number(self) -> float | int:
        said = self._need(_NUMBER, "a number")
        return float(said) if "." in said else int(said)

    def _string(self) -> str:
        return self._need(_STRING, "a name or a text in quotes")[1:-1]

    def _regexp(self) -> str:
        return self._need(_REGEXP, "/regexp/")

    def _selector(self) -> str:
        return self._need(_SELECTOR, "[a][field]")

    def _first(self, *rules: Callable[[], T], otherwise: str = "") -> T:
        """What the first rule that fits gives."""
        begun = self._at
        for rule in rules:
            try:
                return rule()
            except _Failed:
                self._at = begun
        if otherwise and self._furthest == begun:
            self._expected = otherwise
        raise _Failed

    def _cs(self) -> None:
        while self._match(_SPACE) is not None or self._match(_COMMENT) is not None:
            pass

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _need(self, pattern: re.Pattern[str], expected: str) -> str:
        found = self._match(pattern)
        return found if found is not None else self._fail(expected)

    def _one_of(self, words: tuple[str, ...]) -> str:
        for word in words:
            if self._skip(word):
                return word
        return self._fail(f"one of {', '.join(words)}")

    def _sign(self, sign: str) -> None:
        if not self._skip(sign):
            self._fail(sign)

    def _skip(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _fail(self, expected: str, at: int | None = None) -> NoReturn:
        at = self._at if at is None else at
        if at >= self._furthest:
            self._furthest, self._expected = at, expected
        raise _Failed
