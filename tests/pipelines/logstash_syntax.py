"""A small parser of Logstash's configuration language: enough to know that a file is one, and to ask what it says.

file    = section*              section = ("input" | "filter" | "output") "{" branch* "}"
branch  = plugin | "if" words "{" branch* "}" ("else if" ... | "else" ...)*
plugin  = name "{" (name "=>" value)* "}"
value   = text | number | word | "[" value, ... "]" | "{" (value "=>" value)* "}" | plugin      (a codec)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<sign>=>|==|!=|<=|>=|=~|!~|[{}\[\](),!<>])"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))|(?P<word>[@A-Za-z_][\w.@-]*)"""
)
KINDS = ("input", "filter", "output")


class NotLogstash(ValueError):
    """Where the text stops being a configuration of Logstash."""


@dataclass
class Plugin:
    """One plugin: its section, its settings, the conditions around it."""

    kind: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    when: tuple[str, ...] = ()


def parse(text: str) -> list[Plugin]:
    """Every plugin in order; NotLogstash with the line otherwise."""
    return list(_Parser(text).file())


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def file(self) -> Iterator[Plugin]:
        while self._peek()[0] != "end":
            kind = self._take("word")
            if kind not in KINDS:
                self._fail(f"one of {KINDS}")
            yield from self._block(kind, ())

    def _block(self, kind: str, when: tuple[str, ...]) -> Iterator[Plugin]:
        self._sign("{")
        while not self._skip("}"):
            name = self._take("word")
            if name == "if":
                yield from self._branches(kind, when)
            else:
                yield Plugin(kind, name, self._settings(), when)

    def _branches(self, kind: str, when: tuple[str, ...]) -> Iterator[Plugin]:
        yield from self._block(kind, (*when, self._condition()))
        while self._peek()[:2] == ("word", "else"):
            self._at += 1
            if self._peek()[:2] == ("word", "if"):
                self._at += 1
                yield from self._block(kind, (*when, self._condition()))
            else:
                yield from self._block(kind, (*when, "else"))

    def _condition(self) -> str:
        words: list[str] = []
        while self._peek()[:2] != ("sign", "{"):
            if self._peek()[0] == "end":
                self._fail("{ after a condition")
            words.append(self._peek()[1])
            self._at += 1
        if not words or sum(word in "([" for word in words) != sum(word in ")]" for word in words):
            self._fail("a condition")
        return " ".join(words)

    def _settings(self) -> dict[str, Any]:
        self._sign("{")
        settings: dict[str, Any] = {}
        while not self._skip("}"):
            name = self._take("word")
            if name in settings:
                self._fail(f"{name} only once")
            self._sign("=>")
            settings[name] = self._value()
        return settings

    def _value(self) -> Any:
        kind, said, _ = self._peek()
        self._at += 1
        if kind == "text":
            return said[1:-1]
        if kind == "number":
            return float(said) if "." in said else int(said)
        if kind == "word":
            if self._peek()[:2] == ("sign", "{"):
                return Plugin("codec", said, self._settings())
            return {"true": True, "false": False}.get(said, said)
        if said == "[":
            return self._list()
        if said == "{":
            return self._map()
        self._at -= 1
        return self._fail("a value")

    def _list(self) -> list[Any]:
        values: list[Any] = []
        while not self._skip("]"):
            values.append(self._value())
            if self._peek()[:2] != ("sign", "]"):
                self._sign(",")
        return values

    def _map(self) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        while not self._skip("}"):
            name = self._value()
            self._sign("=>")
            pairs[name] = self._value()
        return pairs

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._at]

    def _take(self, kind: str) -> str:
        if self._peek()[0] != kind:
            self._fail(f"a {kind}")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _sign(self, sign: str) -> None:
        if not self._skip(sign):
            self._fail(sign)

    def _skip(self, sign: str) -> bool:
        if self._peek()[:2] != ("sign", sign):
            return False
        self._at += 1
        return True

    def _fail(self, expected: str) -> None:
        _, said, line = self._peek()
        raise NotLogstash(f"line {line}: expected {expected}, not {said!r}")


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        line = text.count("\n", 0, at) + 1
        if found is None:
            raise NotLogstash(f"line {line}: {text[at : at + 20]!r}")
        if found.lastgroup:
            yield found.lastgroup, found[0], line
        at = found.end()
    yield "end", "the end", text.count("\n") + 1
