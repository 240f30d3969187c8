"""Ranges are sets, so every answer is compared with Python's own."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from logship.search.ranges import Ranges, holes, size, union, within

numbers = st.sets(st.integers(1, 40))
limits = st.integers(0, 42)


def ranges_of(some: set[int]) -> Ranges:
    return union((number, number) for number in some)


def numbers_of(ranges: Ranges) -> set[int]:
    return {number for low, high in ranges for number in range(low, high + 1)}


@given(numbers, numbers)
def test_a_union_holds_what_either_holds_in_as_few_ranges_as_possible(one: set[int], other: set[int]) -> None:
    joined = union(ranges_of(one), ranges_of(other))
    assert numbers_of(joined) == one | other
    assert all(before[1] + 1 < after[0] for before, after in pairwise(joined))
    assert size(joined) == len(one | other)


@given(numbers, limits, limits)
def test_holes_and_what_is_within_make_up_the_whole(some: set[int], low: int, high: int) -> None:
    inside, missing = numbers_of(within(ranges_of(some), low, high)), numbers_of(holes(ranges_of(some), low, high))
    assert inside == some & set(range(low, high + 1))
    assert missing == set(range(low, high + 1)) - some
