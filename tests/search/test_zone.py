"""The local time zone: the offset of a time depends on its date, and an hour that occurs twice is told apart."""

from datetime import UTC, datetime

import pytest

from logship.search.times import parse_time, rfc3339
from logship.search.zone import LocalZone

pytestmark = pytest.mark.usefixtures("berlin")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-07-01T12:00", "2026-07-01T10:00:00.000000000Z"),
        ("2026-01-01T12:00", "2026-01-01T11:00:00.000000000Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00.000000000Z"),
    ],
)
def test_a_typed_time_has_the_offset_of_its_date(text: str, meant: str) -> None:
    assert rfc3339(parse_time(text, 0, LocalZone())) == meant


def test_an_hour_that_occurs_twice_is_told_apart() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).astimezone(LocalZone())
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC).astimezone(LocalZone())
    assert (first.hour, first.tzname(), first.fold) == (2, "CEST", 0)
    assert (second.hour, second.tzname(), second.fold) == (2, "CET", 1)
    assert first.astimezone(UTC).hour == 0
    assert second.astimezone(UTC).hour == 1
