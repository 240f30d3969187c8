"""Steps, episodes and ramps in generated series are found where they were planted, and noise is left alone."""

import random
from collections.abc import Sequence
from math import cos, exp, pi

import pytest

from logship.forensics.change_points.detect import Changes, change_points
from logship.forensics.change_points.fits import Fit
from logship.forensics.change_points.series import counts, durations, levels, ratios

SIZE = 120


@pytest.fixture
def dice() -> random.Random:
    return random.Random(7)


def failing(dice: random.Random, shares: list[float], requests: int = 100) -> Fit | None:
    failed = [sum(dice.random() < share for _ in range(requests)) for share in shares]
    return ratios(failed, [requests] * len(shares))


def p99(dice: random.Random, scales: Sequence[float]) -> list[float | None]:
    return [scale * 50e6 * exp(dice.gauss(0, 0.2)) for scale in scales]


def places(changes: Changes) -> list[int]:
    return [change.at for change in changes.changes]


def test_a_step_of_the_failure_ratio_has_its_levels_and_its_place(dice: random.Random) -> None:
    [step] = change_points(failing(dice, [0.004] * 70 + [0.2] * 50)).changes
    assert abs(step.at - 70) <= 1
    assert step.earliest <= 70 <= step.latest
    assert step.before < 0.01
    assert step.after == pytest.approx(0.2, abs=0.02)
    assert step.kind == "step"
    assert step.chance < 1e-9


def test_a_step_of_p99_is_found_within_one_bucket(dice: random.Random) -> None:
    hits = 0
    for _ in range(20):
        place = dice.randrange(20, 100)
        steps = change_points(durations(p99(dice, [1] * place + [3] * (SIZE - place)))).steps
        hits += len(steps) == 1 and abs(steps[0].at - place) <= 1
    assert hits >= 19


def test_an_episode_has_two_ends(dice: random.Random) -> None:
    assert places(change_points(failing(dice, [0.004] * 50 + [0.3] * 8 + [0.004] * 62))) == [50, 58]
    assert places(change_points(durations(p99(dice, [1] * 50 + [5] * 12 + [1] * 58)))) == [50, 62]


def test_several_levels_do_not_hide_each_other(dice: random.Random) -> None:
    heights = [0.0] * 40 + [10.0] * 15 + [-8.0] * 15 + [9.0] * 15 + [0.0] * 35
    assert places(change_points(levels([height + dice.gauss(0, 1) for height in heights]))) == [40, 55, 70, 85]


@pytest.mark.parametrize("seed", range(10))
def test_noise_has_no_change(seed: int) -> None:
    dice = random.Random(seed)
    assert places(change_points(levels([dice.gauss(10, 1) for _ in range(SIZE)]))) == []
    assert places(change_points(durations(p99(dice, [1.0] * SIZE)))) == []
    assert places(change_points(failing(dice, [0.004] * SIZE))) == []


def test_a_ramp_is_not_taken_for_steps(dice: random.Random) -> None:
    assert change_points(counts([dice.gauss(100 + at, 10) for at in range(SIZE)])).steps == ()


@pytest.mark.parametrize("seed", range(5))
def test_the_course_of_a_day_is_taken_for_one_step_at_most(seed: int) -> None:
    dice = random.Random(seed)
    rates = [500 * (1 - 0.8 * cos(2 * pi * at / 480)) for at in range(480)]
    assert len(change_points(counts([max(0.0, dice.gauss(rate, rate**0.5)) for rate in rates])).steps) <= 1


def test_a_random_walk_is_not_taken_for_steps(dice: random.Random) -> None:
    value, walk = 0.0, []
    for _ in range(300):
        value += dice.gauss(0, 1)
        walk.append(value)
    assert change_points(levels([*walk])).steps == ()


def test_traffic_that_doubles_is_a_step(dice: random.Random) -> None:
    rates = [20] * 60 + [40] * 60
    [step] = change_points(counts([dice.gauss(rate, rate**0.5) for rate in rates])).steps
    assert abs(step.at - 60) <= 1
    assert step.after == pytest.approx(40, rel=0.1)


def test_fewer_than_twenty_buckets_are_not_enough() -> None:
    assert change_points(levels([1.0] * 10 + [9.0] * 9)) == Changes(enough=False)
    assert change_points(ratios([0] * 30, [10] * 19 + [0] * 11)) == Changes(enough=False)
    assert places(change_points(levels([1.0] * 10 + [9.0] * 10))) == [10]


def test_a_constant_series_has_no_change() -> None:
    assert change_points(levels([5.0] * 30)) == Changes(enough=True)
    assert change_points(counts([0.0] * 30)) == Changes(enough=True)
    assert change_points(durations([0.0] * 30)) == Changes(enough=True)
    assert change_points(ratios([0] * 30, [10] * 30)) == Changes(enough=True)
    assert change_points(ratios([10] * 30, [10] * 30)) == Changes(enough=True)


def test_a_change_beside_missing_buckets_may_have_begun_in_them(dice: random.Random) -> None:
    values: list[float | None] = [height + dice.gauss(0, 1) for height in [0.0] * 50 + [20.0] * 50]
    values[44:50] = [None] * 6
    [step] = change_points(levels(values)).changes
    assert (step.earliest, step.at) == (44, 50)


def test_the_interval_of_a_change_includes_the_bucket_that_it_may_have_begun_in(dice: random.Random) -> None:
    [step] = change_points(failing(dice, [0.004] * 60 + [0.5] * 60)).changes
    assert (step.earliest, step.latest) == (60, 60)
    assert step.interval(1_000, 10) == (1_590, 1_600)
