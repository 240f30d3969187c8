"""Sets of sequence numbers as ascending, disjoint ranges with both ends included: ((1, 40), (42, 99))."""

from collections.abc import Iterable
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]


def union(*ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the shortest ranges that hold what any of `ranges` holds; the input may overlap and be unsorted."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(item for some in ranges for item in some):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def size(ranges: Ranges) -> int:
    """Return how many numbers there are."""
    return sum(high - low + 1 for low, high in ranges)


def within(ranges: Ranges, low: int, high: int) -> Ranges:
    """Return the part from `low` to `high`, both included."""
    return tuple((max(low, a), min(high, b)) for a, b in ranges if b >= low and a <= high)


def holes(ranges: Ranges, low: int, high: int) -> Ranges:
    """Return the numbers from `low` to `high` that `ranges` lacks."""
    missing, next_wanted = [], low
    for a, b in within(ranges, low, high):
        if a > next_wanted:
            missing.append((next_wanted, a - 1))
        next_wanted = b + 1
    if next_wanted <= high:
        missing.append((next_wanted, high))
    return tuple(missing)
