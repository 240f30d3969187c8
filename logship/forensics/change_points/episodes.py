"""Episodes of a series: from a step away from its usual level to the step back."""

from collections.abc import Sequence
from dataclasses import dataclass

from logship.forensics.change_points.detect import Change

# A step back leaves at most this part of the distance that the episode began with.
BACK = 0.5


@dataclass(frozen=True, slots=True)
class Episode:
    """`began`: the step away from the level `usual`; `ended`: the step back, None if it lasts until the end; `level`: the level
    that is the furthest from the usual one."""

    began: Change
    ended: Change | None
    usual: float
    level: float


def episodes(changes: Sequence[Change]) -> list[Episode]:
    """Return the episodes that `changes` (oldest first) make up. The level before the first change is the usual one; a step
    that is not followed by one back is an episode that lasts until the end."""
    result: list[Episode] = []
    remaining = [*changes]
    while remaining:
        episode, used = _first(remaining)
        result.append(episode)
        remaining = remaining[used:]
    return result


def _first(changes: Sequence[Change]) -> tuple[Episode, int]:
    began = changes[0]
    usual, level = began.before, began.after
    for number, change in enumerate(changes[1:], 2):
        if abs(change.after - usual) <= BACK * abs(level - usual):
            return Episode(began, change, usual, level), number
        level = max(level, change.after, key=lambda reached: abs(reached - usual))
    return Episode(began, None, usual, level), len(changes)
