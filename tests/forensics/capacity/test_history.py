"""Rates of hours, and what is usual at an hour and on a weekday."""

from datetime import UTC

from logship.forensics.capacity.history import HOUR_NS, History, busiest, by_hour, by_weekday, daily, usual_rate
from logship.search.query import Stat

# A Monday at midnight.
MONDAY_NS = 1_700_438_400 * 10**9
MS = 10**6


def hour(start_ns: int, count: int, mean_ms: float = 10, p95_ms: float = 20) -> Stat:
    return Stat("", count, count * mean_ms * MS, MS, 100 * MS, mean_ms * MS, p95_ms * MS, 50 * MS, start_ns)


def weeks(count: int, each_week: float = 1.0) -> History:
    """Traffic of 1/s at night and 10/s at 14:00 on workdays, which grows by a factor each week."""
    hours = [
        hour(MONDAY_NS + number * HOUR_NS, round(3600 * (10 if _busy(number) else 1) * each_week ** (number // 168)))
        for number in range(count * 168)
    ]
    return History(hours, MONDAY_NS, MONDAY_NS + count * 168 * HOUR_NS)


def _busy(number: int) -> bool:
    return number % 24 == 14 and number // 24 % 7 < 5


def test_the_busiest_hour_and_weekday_are_named() -> None:
    history = weeks(2)
    rows = by_hour(history, UTC)
    assert [row.name for row in rows] == [f"{number:02d}:00" for number in range(24)]
    estimate = busiest(rows, "busiest hour", history, 2)
    assert (estimate.text, estimate.value) == ("14:00: usually 10/s, at most 10/s", 10)
    assert [row.peak for row in by_weekday(history, UTC)] == [10] * 5 + [1] * 2


def test_the_usual_rate_counts_hours_without_requests() -> None:
    hours = [hour(MONDAY_NS, 36_000)]
    assert usual_rate(History(hours, MONDAY_NS, MONDAY_NS + 3 * HOUR_NS)).value == 0


def test_an_incomplete_hour_has_the_rate_of_its_part() -> None:
    history = History([hour(MONDAY_NS, 600)], MONDAY_NS + HOUR_NS // 2, MONDAY_NS + HOUR_NS // 2 + 60 * 10**9)
    assert history.rates() == [(MONDAY_NS, 10)]


def test_an_hour_is_not_enough_for_the_busiest_hour() -> None:
    history = History([hour(MONDAY_NS, 600)], MONDAY_NS, MONDAY_NS + HOUR_NS)
    estimate = busiest(by_hour(history, UTC), "busiest hour", history, 2)
    assert (estimate.value, estimate.confidence) == (None, "unknown")
    assert estimate.derived == "not enough history: 0.0 d of requests, at least 2 d are needed"


def test_only_complete_days_are_compared() -> None:
    hours = [hour(MONDAY_NS + number * HOUR_NS, 100) for number in range(20, 80)]
    days = daily(History(hours, MONDAY_NS + 20 * HOUR_NS, MONDAY_NS + 80 * HOUR_NS), UTC)
    assert days == [2400, 2400]
