"""How well a constant, a line or an episode fits part of a series: the costs that the search for change points compares.

`Lines` fits straight lines to numbers, so that a ramp is not taken for steps. `Ratios` fits constant shares to counts with
totals, with the cost of the binomial distribution. Both keep sums, so a cost takes the same time for any length."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from math import inf, log, sqrt
from statistics import fmean, median
from typing import Literal, Protocol, TypeAlias

# What is fitted: a line (or share) for each part; one for what is around the middle part and a level for that; levels only.
Shape: TypeAlias = Literal["parts", "episode", "stairs"]

# Residuals that follow each other carry less information than their number. Beyond this correlation almost none is left.
MOST_CORRELATION = 0.99
# Part of the variance of a series below which differences are those of rounding.
ROUNDING = 1e-9


class Fit(Protocol):
    """Costs of the buckets `start` to `end` (excluded) of a series, and the gain of changes in it.

    `buckets`: the number of each bucket that has data. Positions are those in this list."""

    buckets: Sequence[int]

    def cost(self, start: int, end: int) -> float:
        """Return the cost of one fit."""
        ...

    def episode_cost(self, outer: tuple[int, int], inner: tuple[int, int]) -> float:
        """Return the cost of one fit for what is outside of `inner`, and another one for `inner`."""
        ...

    def level_cost(self, start: int, end: int) -> float:
        """Return the cost of one level without a slope."""
        ...

    def gain(self, outer: tuple[int, int], cost: float) -> float:
        """Return twice the logarithm of the likelihood ratio of a fit of `outer` that has `cost`, against one line or share,
        as if all buckets were independent."""
        ...

    def weight(self, outer: tuple[int, int], shape: Shape, cuts: Sequence[int]) -> float:
        """Return by what a gain is multiplied, at most 1, because the residuals of the fit of `shape` with changes at `cuts`
        are not independent."""
        ...

    def level(self, start: int, end: int) -> float:
        """Return the level in the unit of the series."""
        ...

    def jump(self, start: int, cut: int, end: int) -> float:
        """Return by how many standard deviations of one bucket the lines before and after `cut` miss each other there;
        infinity without lines, where every change is a step."""
        ...


# Of values, their squares, values times positions, positions, squared positions.
Sums: TypeAlias = tuple[float, float, float, float, float]


class Lines:
    """Fits lines by least squares. `floor`: the variance below which differences do not count, 0 where it is unknown."""

    def __init__(
        self, values: Sequence[float], raw: Sequence[float], buckets: Sequence[int], floor: float = 0.0
    ) -> None:
        self.buckets, self._raw = buckets, raw
        center = fmean(values)
        self._values = [value - center for value in values]
        self._floor = max(floor, ROUNDING * fmean(value * value for value in self._values), 1e-300)
        self._sums = [
            _running(terms)
            for terms in (
                self._values,
                (value * value for value in self._values),
                (at * value for at, value in enumerate(self._values)),
                (float(at) for at in range(len(values))),
                (float(at * at) for at in range(len(values))),
            )
        ]

    def cost(self, start: int, end: int) -> float:
        return _squares(end - start, self._between(start, end))

    def episode_cost(self, outer: tuple[int, int], inner: tuple[int, int]) -> float:
        size = outer[1] - outer[0] - inner[1] + inner[0]
        return _squares(size, self._around(outer, inner)) + self.level_cost(*inner)

    def level_cost(self, start: int, end: int) -> float:
        values, squares = self._sums[0], self._sums[1]
        return max(0.0, squares[end] - squares[start] - (values[end] - values[start]) ** 2 / (end - start))

    def gain(self, outer: tuple[int, int], cost: float) -> float:
        size = outer[1] - outer[0]
        floor = self._floor * size
        return size * log(max(self.cost(*outer), floor) / max(cost, floor))

    def weight(self, outer: tuple[int, int], shape: Shape, cuts: Sequence[int]) -> float:
        return information(self._residuals(outer, shape, cuts))

    def level(self, start: int, end: int) -> float:
        return median(self._raw[start:end])

    def jump(self, start: int, cut: int, end: int) -> float:
        before, after = self._line(start, cut), self._line(cut, end)
        gap = abs(after[0] - before[0] + (after[1] - before[1]) * (cut - 0.5))
        variance = fmean(value * value for value in self._residuals((start, end), "parts", [cut]))
        return gap / sqrt(max(variance, self._floor))

    def _between(self, start: int, end: int) -> Sums:
        value, squared, moment, at, at_squared = self._sums
        return (
            value[end] - value[start],
            squared[end] - squared[start],
            moment[end] - moment[start],
            at[end] - at[start],
            at_squared[end] - at_squared[start],
        )

    def _around(self, outer: tuple[int, int], inner: tuple[int, int]) -> Sums:
        a, b = self._between(*outer), self._between(*inner)
        return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3], a[4] - b[4]

    def _line(self, start: int, end: int) -> tuple[float, float]:
        return _line(end - start, self._between(start, end))

    def _level(self, start: int, end: int) -> tuple[float, float]:
        return (self._sums[0][end] - self._sums[0][start]) / (end - start), 0.0

    def _lines(
        self, outer: tuple[int, int], shape: Shape, parts: Sequence[tuple[int, int]]
    ) -> list[tuple[float, float]]:
        if shape == "episode":
            inner = parts[1]
            around = _line(outer[1] - outer[0] - inner[1] + inner[0], self._around(outer, inner))
            return [around, self._level(*inner), around]
        return [self._line(*part) if shape == "parts" else self._level(*part) for part in parts]

    def _residuals(self, outer: tuple[int, int], shape: Shape, cuts: Sequence[int]) -> Iterator[float]:
        parts = parts_of(outer, cuts)
        for (start, end), (base, slope) in zip(parts, self._lines(outer, shape, parts), strict=True):
            for at in range(start, end):
                yield self._values[at] - base - slope * at


class Ratios:
    """Fits constant shares of `parts` in `totals`. Source of the cost: the deviance of the binomial distribution."""

    def __init__(self, parts: Sequence[float], totals: Sequence[float], buckets: Sequence[int]) -> None:
        self.buckets, self._parts, self._totals = buckets, parts, totals
        self._part_sums, self._total_sums = _running(parts), _running(totals)

    def cost(self, start: int, end: int) -> float:
        return _surprise(*self._between(start, end))

    def episode_cost(self, outer: tuple[int, int], inner: tuple[int, int]) -> float:
        (part, total), (inner_part, inner_total) = self._between(*outer), self._between(*inner)
        return _surprise(part - inner_part, total - inner_total) + _surprise(inner_part, inner_total)

    def level_cost(self, start: int, end: int) -> float:
        return self.cost(start, end)

    def gain(self, outer: tuple[int, int], cost: float) -> float:
        return self.cost(*outer) - cost

    def weight(self, outer: tuple[int, int], shape: Shape, cuts: Sequence[int]) -> float:
        residuals = self._residuals(outer, shape, cuts)
        # Failures come in bursts: more spread than the distribution has reduces a gain, less does not increase it.
        return information(residuals) / max(1.0, fmean(value * value for value in residuals))

    def level(self, start: int, end: int) -> float:
        part, total = self._between(start, end)
        return part / total if total else 0.0

    def jump(self, start: int, cut: int, end: int) -> float:
        return inf

    def _between(self, start: int, end: int) -> tuple[float, float]:
        return self._part_sums[end] - self._part_sums[start], self._total_sums[end] - self._total_sums[start]

    def _shares(self, outer: tuple[int, int], shape: Shape, parts: Sequence[tuple[int, int]]) -> list[float]:
        if shape == "episode":
            (part, total), (inner_part, inner_total) = self._between(*outer), self._between(*parts[1])
            around = total - inner_total
            share = (part - inner_part) / around if around else 0.0
            return [share, self.level(*parts[1]), share]
        return [self.level(*part) for part in parts]

    def _residuals(self, outer: tuple[int, int], shape: Shape, cuts: Sequence[int]) -> list[float]:
        parts = parts_of(outer, cuts)
        shares = self._shares(outer, shape, parts)
        return [
            self._residual(at, share)
            for (start, end), share in zip(parts, shares, strict=True)
            for at in range(start, end)
        ]

    def _residual(self, at: int, share: float) -> float:
        variance = self._totals[at] * share * (1 - share)
        return (self._parts[at] - self._totals[at] * share) / variance**0.5 if variance > 0 else 0.0


def parts_of(outer: tuple[int, int], cuts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the parts of `outer` between `cuts`."""
    edges = [outer[0], *cuts, outer[1]]
    return [*pairwise(edges)]


def information(residuals: Iterable[float]) -> float:
    """Return which part of independent observations `residuals` are worth, from their correlation with the next one.

    Source: the effective sample size of a first-order autoregression, (1 - phi) / (1 + phi)."""
    values = [*residuals]
    squares = sum(value * value for value in values)
    products = sum(value * following for value, following in pairwise(values))
    correlation = min(MOST_CORRELATION, max(0.0, products / squares)) if squares > 0 else 0.0
    return (1 - correlation) / (1 + correlation)


def _running(values: Iterable[float]) -> list[float]:
    return [*accumulate(values, initial=0.0)]


def _line(size: int, sums: Sums) -> tuple[float, float]:
    value, _, moment, at, at_squared = sums
    spread = at_squared - at * at / size
    slope = (moment - at * value / size) / spread if spread > ROUNDING else 0.0
    return (value - slope * at) / size, slope


def _squares(size: int, sums: Sums) -> float:
    value, squared, moment, at, at_squared = sums
    spread = at_squared - at * at / size
    explained = (moment - at * value / size) ** 2 / spread if spread > ROUNDING else 0.0
    return max(0.0, squared - value * value / size - explained)


def _surprise(part: float, total: float) -> float:
    """Return minus twice the logarithm of the likelihood, without the terms that are the same for every fit."""
    rest = total - part
    return -2 * (_term(part, total) + _term(rest, total))


def _term(part: float, total: float) -> float:
    return part * log(part / total) if part > 0 else 0.0
