"""The tree of a KQL query: comparisons joined by and, or, not. Values only; `parser` reads it, `printer` writes it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

Operator: TypeAlias = Literal["<=", ">=", "<", ">"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)


@dataclass(frozen=True, slots=True)
class Text:
    """Exact text. `quoted` matters for full-text fields: quoted text is a phrase, unquoted text is any of its words.

    `at`: index of its first character in the query."""

    text: str
    quoted: bool = False
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with wildcards. `parts` are the pieces between the stars: `a*` is ("a", "")."""

    parts: tuple[str, ...]
    at: int = field(default=0, compare=False)

    @property
    def any(self) -> bool:
        """Whether it is `*` alone and so matches every text."""
        return not any(self.parts)


Value: TypeAlias = Text | Pattern


@dataclass(frozen=True, slots=True)
class Is:
    """`field: value`. Bare text has no field."""

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
    """Every part matches."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part matches."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """`part` does not match."""

    part: "Node"


Leaf: TypeAlias = Is | Range
Node: TypeAlias = Leaf | And | Or | Not


def equal(name: str, value: str | int) -> Node:
    """Return the tree of `name: "value"`."""
    return Is(Text(name), Text(str(value), quoted=True))


def existing(name: str) -> Node:
    """Return the tree of `name: *`."""
    return Is(Text(name), Pattern(("", "")))


def every(*nodes: Node | None) -> Node | None:
    """Return the tree that matches when all of `nodes` match. None means no condition."""
    parts = tuple(node for node in nodes if node is not None)
    return And(parts) if len(parts) > 1 else parts[0] if parts else None


def either(*nodes: Node) -> Node:
    """Return the tree that matches when one of `nodes` matches; there is at least one."""
    return Or(nodes) if len(nodes) > 1 else nodes[0]


def leaves(node: Node | None) -> Iterator[Leaf]:
    """Yield the comparisons of a tree, from left to right."""
    match node:
        case Is() | Range():
            yield node
        case Not(part):
            yield from leaves(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
