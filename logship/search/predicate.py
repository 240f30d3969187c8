"""The meaning of a query as a tree of simple tests, which translators write as SQL or Elasticsearch DSL."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from logship.search.targets import Target

Comparison: TypeAlias = Literal["=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold. Without parts: always."""

    parts: "tuple[Test, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds. Without parts: never."""

    parts: "tuple[Test, ...]"


@dataclass(frozen=True, slots=True)
class Unless:
    """`part` does not hold."""

    part: "Test"


@dataclass(frozen=True, slots=True)
class Exists:
    """The target has a value."""

    target: Target


@dataclass(frozen=True, slots=True)
class Compare:
    """`value` has the type of the target: dates are nanoseconds since 1970, addresses are numbers of 128 bits."""

    target: Target
    operator: Comparison
    value: int | float | str | bool


@dataclass(frozen=True, slots=True)
class Within:
    """The address is in a network: its number is from `low` to `high`, both included."""

    target: Target
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Like:
    """The whole text matches the pieces between the stars. Case matters."""

    target: Target
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """These words follow each other in running text. Case does not matter."""

    target: Target
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordLike:
    """A word of running text matches the pieces between the stars. Case does not matter."""

    target: Target
    parts: tuple[str, ...]


Test: TypeAlias = Every | Some | Unless | Exists | Compare | Within | Like | Phrase | WordLike
NEVER, ALWAYS = Some(()), Every(())


def any_of(tests: tuple[Test, ...]) -> Test:
    """Return the test that holds when one of `tests` does."""
    return tests[0] if len(tests) == 1 else Some(tuple(test for test in tests if test != NEVER))
