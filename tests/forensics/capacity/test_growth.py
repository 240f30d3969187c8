"""Growth per week, and the date at which a capacity is used up."""

import random
from math import log

import pytest

from logship.forensics.capacity.estimate import Estimate, unknown
from logship.forensics.capacity.growth import WEEK_SECONDS, enough_until, growth, growth_estimate

MOST = Estimate("maximum rate", 200.0, "requests/s", "200/s", "", "modelled")
NOW_NS = 1_700_000_000 * 10**9


def days(count: int, each_week: float, seed: int = 1) -> list[int]:
    """Requests of days with a weekly pattern, noise of 3 % and growth."""
    chance = random.Random(seed)
    return [
        round((10_000 if day % 7 < 5 else 3_000) * each_week ** (day / 7) * chance.gauss(1, 0.03))
        for day in range(count)
    ]


def test_growth_is_found_below_a_weekly_pattern() -> None:
    grown = growth(days(30, 1.05))
    assert grown is not None
    assert grown.factor == pytest.approx(1.05, abs=0.02)
    assert grown.low < 1.05 < grown.high
    assert grown.established


def test_an_outage_of_a_day_is_not_growth() -> None:
    steady = days(30, 1.0)
    steady[12] = 100
    grown = growth(steady)
    assert grown is not None
    assert grown.factor == pytest.approx(1, abs=0.03)


def test_steady_traffic_has_no_date() -> None:
    steady = [growth(days(30, 1.0, seed)) for seed in range(40)]
    assert sum(grown is not None and grown.established for grown in steady) <= 4
    grown = next(grown for grown in steady if grown is not None and not grown.established)
    estimate = enough_until(MOST, 100, grown, NOW_NS)
    assert (estimate.value, estimate.derived) == (
        None, "no growth beyond chance: the interval of the growth includes zero",
    )  # fmt: skip


def test_the_date_is_when_the_peak_reaches_the_maximum() -> None:
    grown = growth(days(30, 1.05))
    assert grown is not None
    estimate = enough_until(MOST, 100, grown, NOW_NS)
    assert estimate.value == pytest.approx(NOW_NS / 1e9 + log(2) / log(grown.factor) * WEEK_SECONDS)
    assert estimate.low is not None
    assert estimate.value is not None
    assert estimate.high is not None
    assert estimate.low < estimate.value < estimate.high


def test_a_peak_above_the_maximum_is_not_enough_now() -> None:
    assert enough_until(MOST, 300, growth(days(30, 1.05)), NOW_NS).text == "not enough now"


def test_less_than_two_weeks_are_not_enough_history() -> None:
    short = days(13, 1.05)
    assert growth(short) is None
    estimate = growth_estimate(short, None)
    assert estimate.derived == "not enough history: 13 complete days, at least 14 are needed"
    assert enough_until(MOST, 100, None, NOW_NS).value is None
    assert enough_until(unknown("maximum rate", "requests/s", ""), 100, None, NOW_NS).confidence == "unknown"
