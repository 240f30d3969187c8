"""Whether two ratios differ by more than chance: the G-test, its p-value, and the correction for many tests."""

from collections.abc import Sequence
from math import erfc, log, sqrt


def g_test(events: float, hits: float, other_events: float, other_hits: float) -> float:
    """Return G of the two ratios hits/events, at least 0: distributed as chi-square with one degree of freedom if they are equal.

    Source: Dunning 1993, "Accurate methods for the statistics of surprise and coincidence": it holds for rare events too."""
    all_events, all_hits = events + other_events, hits + other_hits
    if events <= 0 or other_events <= 0:
        return 0.0
    cells = sum(map(_x_log_x, (hits, events - hits, other_hits, other_events - other_hits, all_events)))
    margins = sum(map(_x_log_x, (events, other_events, all_hits, all_events - all_hits)))
    return max(0.0, 2 * (cells - margins))


def p_value(g: float) -> float:
    """Return the probability of a value of at least `g` by chance: the tail of chi-square with one degree of freedom."""
    return erfc(sqrt(g / 2))


def adjusted(p_values: Sequence[float], tests: int = 0) -> list[float]:
    """Return the p-values after Benjamini and Hochberg (1995): among those below q, at most a share q is by chance.

    `tests`: how many were made, if these are only the smallest of them."""
    total = max(tests, len(p_values))
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    results, least = [1.0] * len(p_values), 1.0
    for rank in range(len(order), 0, -1):
        least = min(least, p_values[order[rank - 1]] * total / rank)
        results[order[rank - 1]] = least
    return results


def _x_log_x(value: float) -> float:
    return value * log(value) if value > 0 else 0.0
