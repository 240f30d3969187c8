"""Alternatives about the same field, collected so that SQL looks at its value once.

DuckDB compares each row with each alternative of an OR in turn, and takes the value of a label out of its map for each of them:
for the requests slower than the p95 of their route, with fifteen routes, it took 13 ms for 40,000 rows, and 6 ms as a CASE."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from logship.search.predicate import Compare, Every, Some, Test
from logship.search.targets import Target

# Kinds whose values are compared as they are.
_COLLECTED = ("keyword", "ip", "label", "number label")


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value of the target is one of `values`."""

    target: Target
    values: tuple[int | float | str | bool, ...]


@dataclass(frozen=True, slots=True)
class ByValue:
    """The test that belongs to the value of the target holds; it has at least one test for each value."""

    target: Target
    tests: tuple[tuple[str, Test], ...]


Alternative: TypeAlias = Test | OneOf | ByValue


def alternatives(parts: Sequence[Test]) -> list[Alternative]:
    """Return alternatives of which one holds exactly if one of `parts` does."""
    values: defaultdict[Target, dict[int | float | str | bool, None]] = defaultdict(dict)
    tests: defaultdict[Target, defaultdict[str, list[Test]]] = defaultdict(lambda: defaultdict(list))
    others: list[Alternative] = []
    for part in _flat(parts):
        if isinstance(part, Compare) and _collected(part):
            values[part.target][part.value] = None
        elif isinstance(part, Every) and (key := _key(part)) is not None:
            rest = Every(tuple(other for other in part.parts if other is not key))
            tests[key.target][str(key.value)].append(rest)
        else:
            others.append(part)
    equal = [OneOf(target, tuple(own)) for target, own in values.items()]
    by_value = [
        ByValue(target, tuple((value, _any(several)) for value, several in own.items())) for target, own in tests.items()
    ]
    return [*equal, *by_value, *others]


def _flat(parts: Sequence[Test]) -> Iterator[Test]:
    for part in parts:
        if isinstance(part, Some):
            yield from _flat(part.parts)
        else:
            yield part


def _collected(test: Compare) -> bool:
    return test.operator == "=" and test.target.kind in _COLLECTED and test.target.parts is None


def _key(test: Every) -> Compare | None:
    """The comparison by whose value the test is found."""
    for part in test.parts:
        if isinstance(part, Compare) and part.operator == "=" and part.target.kind == "keyword":
            return part
    return None


def _any(tests: Sequence[Test]) -> Test:
    return tests[0] if len(tests) == 1 else Some(tuple(tests))
