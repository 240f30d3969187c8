"""The time of an entry: what an EventTime cannot hold is neither wrapped nor lost."""

import pytest

from logship.event import entry
from logship.wire.entries import EntryLimits, decode_entries

LAST_NS = 0xFFFFFFFE * 10**9 - 1


@pytest.mark.parametrize("time_ns", [0, 1, 1_795_000_000 * 10**9 + 7, LAST_NS])
def test_a_time_that_fits_is_kept(time_ns: int) -> None:
    ((found_ns, record),) = decode_entries(entry.whole(time_ns, {"message": "m"}, "0" * 24, 1), EntryLimits())
    assert found_ns == time_ns
    assert "event.created" not in record


@pytest.mark.parametrize(
    ("time_ns", "nearest_ns", "text"),
    [
        (LAST_NS + 1, LAST_NS, "2106-02-07T06:28:14.000000000Z"),
        (0xFFFFFFFF * 10**9, LAST_NS, "2106-02-07T06:28:15.000000000Z"),
        (4_323_456_000 * 10**9 + 5, LAST_NS, "2107-01-03T00:00:00.000000005Z"),
        (8_583_580_800 * 10**9, LAST_NS, "2242-01-02T00:00:00.000000000Z"),
        (-1, 0, "1969-12-31T23:59:59.999999999Z"),
        (10**21, LAST_NS, str(10**21)),
    ],
)
def test_any_other_becomes_the_nearest_and_is_kept_as_text(time_ns: int, nearest_ns: int, text: str) -> None:
    ((found_ns, record),) = decode_entries(entry.whole(time_ns, {"message": "m"}, "0" * 24, 1), EntryLimits())
    assert (found_ns, record["event.created"], record["message"]) == (nearest_ns, text, "m")
