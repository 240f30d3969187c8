"""A spike of one bucket does not begin anything."""

import random

from logship.forensics.change_points.detect import change_points
from logship.forensics.change_points.series import durations, levels, ratios, without_bursts, without_spikes


def test_a_spike_is_limited_and_a_step_is_not() -> None:
    noise = [0.0, 1.0, -1.0, 0.5, -0.5] * 4
    spiked = [*noise[:10], 50.0, *noise[10:]]
    assert max(without_spikes(spiked)) < 5
    stepped = [*noise, *(value + 50 for value in noise)]
    assert without_spikes(stepped)[20:] == stepped[20:]


def test_one_slow_request_is_not_a_change() -> None:
    dice = random.Random(1)
    values = [50e6 * (1 + dice.random()) for _ in range(60)]
    values[30] = 30e9
    assert change_points(durations(values)).changes == ()


def test_a_burst_of_one_bucket_is_limited_and_an_episode_of_three_is_not() -> None:
    assert without_bursts([0, 0, 0, 90, 0, 0, 0], [100] * 7)[3] < 60
    assert without_bursts([0] * 10 + [90] * 3 + [0] * 10, [100] * 23)[10:13] == [90, 90, 90]
    assert change_points(ratios([0] * 30 + [50] + [0] * 30, [100] * 61)).changes == ()


def test_changes_keep_the_unit_of_the_series() -> None:
    [step] = change_points(durations([100.0, 110.0] * 15 + [900.0, 1000.0] * 15)).changes
    assert (step.at, step.before, step.after) == (30, 105.0, 950.0)
    [step] = change_points(levels([-1.0, 1.0] * 15 + [19.0, 21.0] * 15)).changes
    assert (step.at, step.before, step.after) == (30, 0.0, 20.0)
