"""Durations, sizes, shares and counts as text."""

import pytest

from logship.search.units import duration, plural, share, size


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 us"), (950_000, "950 us"), (12_300_000, "12.3 ms"), (99_960_000, "100 ms"),
        (3_410_000_000, "3.41 s"), (10 * 10**9, "10 s"), (60 * 10**9, "1 min"), (125 * 10**9, "2 min 5 s"),
        (11_520 * 10**9, "3 h 12 min"), (5 * 86_400 * 10**9 + 4 * 3600 * 10**9, "5 d 4 h"),
    ],
)  # fmt: skip
def test_a_duration_has_the_unit_that_keeps_it_short(ns: int, text: str) -> None:
    assert duration(ns) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (3_565_158, "3.4 MiB"), (2**41, "2.0 TiB")])
def test_a_size_has_a_binary_unit(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0 %"), (1, 0, "0 %"), (1, 10_000, "< 0.1 %"), (4, 1000, "0.4 %"), (44, 100, "44 %"), (1, 1, "100 %")],
)
def test_a_share_is_in_percent(part: float, whole: float, text: str) -> None:
    assert share(part, whole) == text


def test_a_count_agrees_with_its_noun() -> None:
    assert [plural(count, "worker") for count in (0, 1, 1200)] == ["0 workers", "1 worker", "1,200 workers"]
