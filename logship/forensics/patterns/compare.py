"""Compare the patterns of a window with those of a baseline: which are new, gone, more frequent or rarer."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Literal, TypeAlias

from logship.forensics.compare.significance import adjusted, p_value

# A change is significant below this false discovery rate, and matters from this ratio of rates.
FALSE_DISCOVERY_RATE = 0.01
LEAST_RATIO = 2.0
ChangeOfPattern: TypeAlias = Literal["new", "gone", "more", "rarer", "same"]


@dataclass(frozen=True, slots=True)
class PatternCounts:
    """Events of one pattern in the window and in the baseline."""

    window: int
    baseline: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """`chance`: the probability of such a difference if the rate had not changed, adjusted for the number of patterns.

    `new` and `gone` are facts, significant or not; `more` and `rarer` are significant."""

    change: ChangeOfPattern
    chance: float
    significant: bool


def judged(counts: Sequence[PatternCounts], window_ns: int, baseline_ns: int) -> list[Judgement]:
    """Return a judgement for each pattern. The times are the lengths of both windows: rates are compared, not counts."""
    chances = [_chance(each, window_ns / (window_ns + baseline_ns)) for each in counts]
    return [
        _judgement(each, chance, chance <= FALSE_DISCOVERY_RATE, baseline_ns / window_ns)
        for each, chance in zip(counts, adjusted(chances), strict=True)
    ]


def _chance(counts: PatternCounts, share: float) -> float:
    """Return the p-value of the G-test of the counts of two Poisson processes, of which one lasted `share` of the time."""
    total = counts.window + counts.baseline
    expected = ((counts.window, total * share), (counts.baseline, total * (1 - share)))
    gain = 2 * sum(count * log(count / mean) for count, mean in expected if count)
    return p_value(max(0.0, gain))


def _judgement(counts: PatternCounts, chance: float, significant: bool, scale: float) -> Judgement:
    if not counts.baseline:
        return Judgement("new", chance, significant)
    if not counts.window:
        return Judgement("gone", chance, significant)
    ratio = counts.window * scale / counts.baseline
    if significant and ratio >= LEAST_RATIO:
        return Judgement("more", chance, True)
    if significant and ratio <= 1 / LEAST_RATIO:
        return Judgement("rarer", chance, True)
    return Judgement("same", chance, False)
