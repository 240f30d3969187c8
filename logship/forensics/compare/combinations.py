"""Counts of field values and of combinations of up to three, from counts of the finest combinations.

A combination with fewer hits after than `least_hits` cannot explain much, and neither can a longer one that contains it:
those are never counted. This is the apriori rule, which leaves out nothing above the limit."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

FIELDS_TOGETHER = 3

# Values of some fields: ((field, value), ...) in the order of the fields.
Values: TypeAlias = tuple[tuple[str, str], ...]


class Counts(NamedTuple):
    """Events before and after, and those of them that are hits: the failed or slow ones."""

    events_before: float
    hits_before: float
    events_after: float
    hits_after: float

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*map(sum, zip(self, other, strict=True)))

    def minus(self, other: "Counts") -> "Counts":
        return Counts(*(value - part for value, part in zip(self, other, strict=True)))

    @property
    def ratio_before(self) -> float:
        return self.hits_before / self.events_before if self.events_before else 0.0

    @property
    def ratio_after(self) -> float:
        return self.hits_after / self.events_after if self.events_after else 0.0

    @property
    def excess(self) -> float:
        """Hits after, beyond those that the ratio before would give."""
        return self.hits_after - self.events_after * self.ratio_before


def total(cells: Iterable[Counts]) -> Counts:
    """Return the sum of all counts."""
    sums = [sum(column) for column in zip(*cells, strict=True)]
    return Counts(*sums) if sums else Counts(0, 0, 0, 0)


def combined(names: Sequence[str], cells: Mapping[tuple[str, ...], Counts], least_hits: float) -> dict[Values, Counts]:
    """Return the counts of each combination of up to three values with at least `least_hits` hits after.

    `cells`: by one value per name, "" where an event has none; such a value is never part of a combination."""
    frequent = _frequent_values(names, cells, least_hits)
    merged = _merged(names, cells, frequent)
    counts: dict[Values, Counts] = {}
    for length in range(1, FIELDS_TOGETHER + 1):
        sums: defaultdict[Values, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
        for values, cell in merged.items():
            for combination in combinations(values, length):
                sum_of = sums[combination]
                for index, number in enumerate(cell):
                    sum_of[index] += number
        counts.update({values: Counts(*sums_) for values, sums_ in sums.items() if sums_[3] >= least_hits})
    return counts


def _frequent_values(
    names: Sequence[str], cells: Mapping[tuple[str, ...], Counts], least_hits: float
) -> set[tuple[str, str]]:
    hits: defaultdict[tuple[str, str], float] = defaultdict(float)
    for values, cell in cells.items():
        if cell.hits_after:
            for pair in zip(names, values, strict=True):
                hits[pair] += cell.hits_after
    return {pair for pair, number in hits.items() if number >= least_hits and pair[1]}


def _merged(
    names: Sequence[str], cells: Mapping[tuple[str, ...], Counts], frequent: set[tuple[str, str]]
) -> dict[Values, Counts]:
    """The cells by their frequent values only, which are far fewer."""
    merged: dict[Values, Counts] = {}
    for values, cell in cells.items():
        key = tuple(pair for pair in zip(names, values, strict=True) if pair in frequent)
        known = merged.get(key)
        merged[key] = cell if known is None else known.plus(cell)
    return merged
