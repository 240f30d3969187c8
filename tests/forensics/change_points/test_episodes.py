"""Changes make up episodes: from a step away from the usual level to the step back."""

from logship.forensics.change_points.detect import Change
from logship.forensics.change_points.episodes import episodes


def change(at: int, before: float, after: float) -> Change:
    return Change(at, at, at, before, after, "step", 0.0)


def test_a_step_and_the_step_back_are_one_episode() -> None:
    up, down = change(10, 1, 9), change(20, 9, 1.2)
    [episode] = episodes([up, down])
    assert (episode.began, episode.ended, episode.usual, episode.level) == (up, down, 1, 9)


def test_a_step_without_one_back_goes_on() -> None:
    [episode] = episodes([change(10, 1, 9)])
    assert episode.ended is None


def test_an_episode_that_gets_worse_ends_when_the_level_is_the_usual_one() -> None:
    steps = [change(10, 1, 5), change(15, 5, 9), change(20, 9, 6), change(30, 6, 1)]
    [episode] = episodes(steps)
    assert (episode.ended, episode.level) == (steps[-1], 9)


def test_two_episodes_are_two() -> None:
    steps = [change(10, 1, 9), change(15, 9, 1), change(20, 1, 0), change(30, 0, 1)]
    assert [(episode.began.at, episode.ended and episode.ended.at) for episode in episodes(steps)] == [
        (10, 15),
        (20, 30),
    ]


def test_without_changes_there_is_no_episode() -> None:
    assert episodes([]) == []
