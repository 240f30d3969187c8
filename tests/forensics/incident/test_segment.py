"""The part of a series in which a ratio was raised, and series without one."""

from random import Random

import pytest

from logship.forensics.incident.segment import segment


def noise(seed: int, ratio: float, buckets: int = 450, per_bucket: int = 60) -> tuple[list[float], list[float]]:
    pick = Random(seed)
    return [float(sum(pick.random() < ratio for _ in range(per_bucket))) for _ in range(buckets)], [float(per_bucket)] * buckets


@pytest.mark.parametrize("seed", range(20))
def test_an_even_ratio_has_no_segment(seed: int) -> None:
    assert segment(*noise(seed, 0.01), 90) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_raised_ratio_is_found_where_it_is(seed: int) -> None:
    hits, events = noise(seed, 0.01)
    raised, _ = noise(seed + 100, 0.08)
    hits[200:260] = raised[200:260]
    part = segment(hits, events, 90)
    assert part is not None
    assert abs(part.low - 200) <= 3
    assert abs(part.high - 260) <= 3


def test_bursts_that_were_there_before_are_not_a_segment() -> None:
    hits, events = noise(1, 0.0)
    for start in range(10, 450, 40):
        hits[start : start + 6] = [12.0] * 6
    assert segment(hits, events, 90) is None


def test_what_was_raised_before_the_window_only_is_not_found() -> None:
    hits, events = noise(2, 0.01)
    hits[:90] = [12.0] * 90
    assert segment(hits, events, 90) is None


def test_a_segment_without_an_outside_is_not_found() -> None:
    assert segment([5.0] * 10, [10.0] * 10, 0) is None


def test_what_was_so_in_the_baseline_is_no_segment() -> None:
    """A job that fails a fifth of its requests for a minute, every quarter of an hour."""
    events = [20.0] * 240
    job = [float(4 * (at % 60 < 6)) for at in range(240)]
    assert segment(job, events, 120) is None
    first_time = [0.0] * 120 + job[120:126] + [0.0] * 114
    found = segment(first_time, events, 120)
    assert found is not None
    assert (found.low, found.high) == (120, 126)


def test_hits_that_arrived_after_the_events_were_counted_are_no_error() -> None:
    events = [5.0] * 30
    hits = [*events[:-1], 9.0]
    assert segment(hits, events, 10) is None
    assert segment([number + 1 for number in events], events, 10) is None
