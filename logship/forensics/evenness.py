"""How far counts are from their expected shares: whether by more than chance, and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, lgamma, log, sqrt


@dataclass(frozen=True, slots=True)
class Evenness:
    """`p`: the probability of such a difference by chance. `cramers_v`: its size, from 0 (as expected) to about 1.

    `effective`: how many workers would have the same concentration if they shared evenly; with equal expected shares this
    is (sum n)^2 / sum n^2, the index of Jain times the number of workers."""

    p: float
    cramers_v: float
    effective: float


def evenness(counts: Sequence[float], expected: Sequence[float], units: float = 1.0) -> Evenness:
    """Compare `counts` with `expected` shares of any scale, which are greater than 0.

    `units`: how many counts belong together on average, because they came on one connection: chance acts on these.
    Source: Pearson's chi-square; Cramer's V for goodness of fit; the design effect of clusters (Kish 1965)."""
    total, workers = sum(counts), len(counts)
    if workers < 2 or total <= 0:
        return Evenness(1.0, 0.0, float(workers))
    scale = total / sum(expected)
    chi2 = sum((count - share * scale) ** 2 / (share * scale) for count, share in zip(counts, expected, strict=True))
    return Evenness(
        chi2_tail(chi2 / units, workers - 1), sqrt(chi2 / total / (workers - 1)), workers / (1 + chi2 / total)
    )


def chi2_tail(value: float, degrees: int) -> float:
    """Return the probability that chi-square with `degrees` of freedom is at least `value`.

    Source: the series for whole and half arguments of the incomplete gamma function, DLMF 8.4.8 and 8.4.10-8.4.15."""
    half = value / 2
    if half <= 0:
        return 1.0
    odd = degrees % 2
    first = erfc(sqrt(half)) if odd else 0.0
    powers = (number + odd / 2 for number in range(degrees // 2))
    return min(1.0, first + sum(exp(power * log(half) - half - lgamma(power + 1)) for power in powers))
