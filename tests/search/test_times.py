"""Times people type, and the dates of KQL."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import QuestionError
from logship.search.times import EARLIEST_NS, LATEST_NS, from_rfc3339, interval, parse_time, rfc3339, span

BERLIN = ZoneInfo("Europe/Berlin")
NOW = from_rfc3339("2026-11-20T14:30:15.123456789Z")


@given(st.integers(EARLIEST_NS, LATEST_NS - 1))
def test_text_holds_every_nanosecond(ns: int) -> None:
    assert from_rfc3339(rfc3339(ns)) == ns
    assert len(rfc3339(ns)) == 30


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("15m", "2026-11-20T14:15:15.123456789Z"),
        ("1h30m", "2026-11-20T13:00:15.123456789Z"),
        ("90 seconds", "2026-11-20T14:28:45.123456789Z"),
        ("2 days", "2026-11-18T14:30:15.123456789Z"),
        ("14:03", "2026-11-20T13:03:00.000000000Z"),
        ("23:00", "2026-11-19T22:00:00.000000000Z"),
        ("today", "2026-11-19T23:00:00.000000000Z"),
        ("yesterday", "2026-11-18T23:00:00.000000000Z"),
        ("yesterday 14:00", "2026-11-19T13:00:00.000000000Z"),
        ("2026-11-20", "2026-11-19T23:00:00.000000000Z"),
        ("2026-11-20 14:03", "2026-11-20T13:03:00.000000000Z"),
        ("2026-11-20T14:03:00Z", "2026-11-20T14:03:00.000000000Z"),
        ("2026-11-20T14:03:00.5+02:00", "2026-11-20T12:03:00.500000000Z"),
        ("now", "2026-11-20T14:30:15.123456789Z"),
        ("now-1h", "2026-11-20T13:30:15.123456789Z"),
        ("now/d", "2026-11-19T23:00:00.000000000Z"),
        ("1795168800", "2026-11-20T10:00:00.000000000Z"),
        ("1795168800123", "2026-11-20T10:00:00.123000000Z"),
        ("1795168800123456789", "2026-11-20T10:00:00.123456789Z"),
    ],
)
def test_times_as_people_in_berlin_type_them(text: str, meant: str) -> None:
    assert rfc3339(parse_time(text, NOW, BERLIN)) == meant


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "15x", "m", "yesterday noon", "2026-13-01", "12:99", "1e5", "9999-01-01"]
)
def test_what_is_no_time_says_what_could_be_written(text: str) -> None:
    with pytest.raises(QuestionError):
        parse_time(text, NOW, BERLIN)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01T00:00:00.000000000Z", "2026-12-31T23:59:59.999999999Z"),
        ("2026-02", "2026-02-01T00:00:00.000000000Z", "2026-02-28T23:59:59.999999999Z"),
        ("2026-11-20", "2026-11-20T00:00:00.000000000Z", "2026-11-20T23:59:59.999999999Z"),
        ("2026-11-20T10:05", "2026-11-20T10:05:00.000000000Z", "2026-11-20T10:05:59.999999999Z"),
        ("2026-11-20T10:05:07Z", "2026-11-20T10:05:07.000000000Z", "2026-11-20T10:05:07.999999999Z"),
        ("2026-11-20T10:05:07.5Z", "2026-11-20T10:05:07.500000000Z", "2026-11-20T10:05:07.500000000Z"),
        ("now-1d/d", "2026-11-19T00:00:00.000000000Z", "2026-11-19T23:59:59.999999999Z"),
        ("now-15m/m", "2026-11-20T14:15:00.000000000Z", "2026-11-20T14:15:59.999999999Z"),
        ("now/w", "2026-11-16T00:00:00.000000000Z", "2026-11-22T23:59:59.999999999Z"),
        ("now/M-1M", "2026-10-01T00:00:00.000000000Z", "2026-10-30T23:59:59.999999999Z"),
        ("now-1y", "2025-11-20T14:30:15.123456789Z", "2025-11-20T14:30:15.123456789Z"),
        ("2026-01-31||+1M", "2026-02-28T00:00:00.000000000Z", "2026-02-28T23:59:59.999999999Z"),
    ],
)
def test_a_date_is_a_span_of_nanoseconds(text: str, first: str, last: str) -> None:
    assert tuple(map(rfc3339, interval(text, NOW, UTC))) == (first, last)


@pytest.mark.parametrize("text", ["now-", "now-1", "now-1q", "now+-1d", "now-99999y", "2026-11-20T", "yesterday", ""])
def test_wrong_date_math_is_refused(text: str) -> None:
    with pytest.raises(QuestionError):
        interval(text, NOW, UTC)


def test_a_day_has_the_hours_that_its_zone_gives_it() -> None:
    low, high = interval("2026-10-25", NOW, BERLIN)
    assert high - low + 1 == 25 * 3600 * 10**9
    assert datetime.fromtimestamp(low // 10**9, UTC).hour == 22


@given(st.integers(0, 10**6), st.sampled_from("smhdw"))
def test_spans_add_up(count: int, unit: str) -> None:
    assert span(f"{count}{unit}") + span("1s") == span(f"{count}{unit}1s") == span(f"{count} {unit} 1 second")
