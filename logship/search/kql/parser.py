"""Reading KQL text. `syntax` has the grammar.

As in Kibana, an unquoted value may contain spaces, and `cannot do` must be quoted because it contains "not ". Kibana's
parser backtracks. Where it would, no other reading succeeds, so this parser decides with one look ahead.
"""

from collections.abc import Callable

from logship.errors import KqlError
from logship.search.kql.other_languages import correction
from logship.search.kql.syntax import (
    ESCAPE,
    KEYWORD_AHEAD,
    NOT_AHEAD,
    QUOTED_ESCAPE,
    SPACE,
    SPECIAL,
    unescaped,
    whole_characters,
)
from logship.search.kql.tree import OPERATORS, And, Is, Node, Not, Or, Pattern, Range, Text, Value

# People type hundreds of characters; programs that paste lists of ids stay below this.
TEXT_LIMIT_CHARACTERS = 20_000
DEPTH_LIMIT = 50
TERMS_LIMIT = 1_000


def parse(text: str) -> Node | None:
    """Return the tree of a query, None for blank text, which matches everything.

    KqlError with the position and what was expected there."""
    if len(text) > TEXT_LIMIT_CHARACTERS:
        raise KqlError(f"the query has {len(text)} characters, the limit is {TEXT_LIMIT_CHARACTERS}")
    return _Parser(whole_characters(text)).query()


class _Parser:
    """Reads one text from left to right; `at` is the index of the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth, self.terms = text, 0, 0, 0

    def query(self) -> Node | None:
        self.skip_space()
        if self.at == len(self.text):
            return None
        node = self.alternatives(self.expression)
        self.skip_space()
        if self.at < len(self.text):
            raise self.unexpected('"and", "or" or the end of the query')
        return node

    def alternatives(self, operand: Callable[[], Node]) -> Node:
        parts = self.chain("or", lambda: self.conjunction(operand))
        return Or(parts) if len(parts) > 1 else parts[0]

    def conjunction(self, operand: Callable[[], Node]) -> Node:
        parts = self.chain("and", lambda: self.negation(operand))
        return And(parts) if len(parts) > 1 else parts[0]

    def negation(self, operand: Callable[[], Node]) -> Node:
        if NOT_AHEAD.match(self.text, self.at):
            self.at += len("not ")
            self.skip_space()
            return Not(self.group(operand))
        return self.group(operand)

    def group(self, operand: Callable[[], Node]) -> Node:
        return self.bracketed(operand) if self.peek("(") else operand()

    def expression(self) -> Node:
        first = self.literal('a field, a value or "("')
        after = self.at
        self.skip_space()
        for operator in OPERATORS:
            if self.peek(operator):
                self.at += len(operator)
                return Range(first, operator, self.limit_value())
        if self.peek(":"):
            self.at += 1
            self.skip_space()
            return self.values(first)
        self.at = after
        return Is(None, first)

    def limit_value(self) -> Text:
        self.skip_space()
        at = self.at
        value = self.literal("a value to compare with")
        if isinstance(value, Pattern):
            raise KqlError("a range needs a value without *", at, self.text)
        return value

    def values(self, name: Value) -> Node:
        """One value or a list in brackets, compared with `name`."""
        if self.peek("{"):
            raise KqlError("nested objects are not supported: write the full field name, as in a.b: c", self.at, self.text)
        return self.group(lambda: Is(name, self.literal("a value")))

    def bracketed(self, operand: Callable[[], Node]) -> Node:
        self.at += 1
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise KqlError(f"brackets are nested more than {DEPTH_LIMIT} levels deep", self.at, self.text)
        self.skip_space()
        node = self.alternatives(operand)
        self.skip_space()
        if not self.peek(")"):
            raise self.unexpected('")"')
        self.at += 1
        self.depth -= 1
        return node

    def chain(self, word: str, operand: Callable[[], Node]) -> tuple[Node, ...]:
        parts = [operand()]
        while self.keyword(word):
            parts.append(operand())
        return tuple(parts)

    def keyword(self, word: str) -> bool:
        """Step over `word` and the space around it if that is next; otherwise stay."""
        start = self.at
        self.skip_space()
        end = self.at + len(word)
        if self.at > start and self.text[self.at : end].lower() == word and self.text[end : end + 1] in tuple(SPACE):
            self.at = end
            self.skip_space()
            return True
        self.at = start
        return False

    def literal(self, expected: str) -> Value:
        self.terms += 1
        if self.terms > 2 * TERMS_LIMIT:
            raise KqlError(f"the query has more than {TERMS_LIMIT} terms", self.at, self.text)
        return self.quoted() if self.peek('"') else self.unquoted(expected)

    def quoted(self) -> Text:
        start = self.at
        at, out = start + 1, list[str]()
        while at < len(self.text):
            if self.text[at] == '"':
                self.at = at + 1
                return Text(whole_characters("".join(out)), quoted=True, at=start)
            escape = QUOTED_ESCAPE.match(self.text, at)
            out.append(unescaped(escape) if escape else self.text[at])
            at = escape.end() if escape else at + 1
        raise KqlError('missing closing " for this quote', start, self.text)

    def unquoted(self, expected: str) -> Value:
        start, parts = self.at, self.pieces()
        if self.at == start:
            raise self.unexpected(expected)
        parts[0] = parts[0].lstrip(SPACE)
        parts[-1] = parts[-1].rstrip(SPACE)
        parts = list(map(whole_characters, parts))
        if len(parts) > 1:
            return Pattern(tuple(parts), at=start)
        return Text(parts[0], quoted=not parts[0], at=start)

    def pieces(self) -> list[str]:
        """Read unquoted text and return the pieces between its stars."""
        pieces, out = list[str](), list[str]()
        while self.at < len(self.text) and not self.ends_unquoted():
            if self.peek("*"):
                pieces.append("".join(out))
                out.clear()
                self.at += 1
            elif escape := ESCAPE.match(self.text, self.at):
                out.append(unescaped(escape))
                self.at = escape.end()
            else:
                out.append(self.text[self.at])
                self.at += 1
        return [*pieces, "".join(out)]

    def ends_unquoted(self) -> bool:
        character = self.text[self.at]
        if character == "*" or (character == "\\" and ESCAPE.match(self.text, self.at)):
            return False
        keyword = KEYWORD_AHEAD.match(self.text, self.at) or NOT_AHEAD.match(self.text, self.at)
        return character in SPECIAL or keyword is not None

    def skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in SPACE:
            self.at += 1

    def peek(self, token: str) -> bool:
        return self.text.startswith(token, self.at)

    def unexpected(self, expected: str) -> KqlError:
        rest = self.text[self.at : self.at + 20]
        if NOT_AHEAD.match(rest):
            return KqlError('quote a value that contains "not "', self.at, self.text)
        if corrected := correction(self.text, self.at):
            return KqlError(corrected, self.at, self.text)
        if not rest:
            return KqlError(f"the query ends too early: expected {expected}", self.at, self.text)
        return KqlError(f"unexpected {rest[0]!r}: expected {expected}", self.at, self.text)
