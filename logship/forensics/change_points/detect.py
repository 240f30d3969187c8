"""The change points of a series as values: an interval for each, the levels around it, and how likely chance is.

series = ratios(failed, requests)
changes = change_points(series)        # enough is False below 20 buckets with data
for episode in episodes(changes): ...  # from a step to the step back, or to the end
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from logship.forensics.change_points.fits import Fit
from logship.forensics.change_points.search import Cut, cuts

# A step leaves the noise of single buckets: it is at least so many of their standard deviations high. Less is a slope that
# turns, or a curve such as the course of a day, which two lines do not follow.
LEAST_JUMP = 2.0
ChangeKind: TypeAlias = Literal["step", "trend"]


@dataclass(frozen=True, slots=True)
class Change:
    """The level changed before bucket `at`; the true place is in `earliest` to `latest` (included) with 95 %.

    `before` and `after`: levels of the parts on both sides, in the unit of the series (medians; pooled shares of ratios).
    `kind`: a step, or a trend that begins, ends or turns. `chance`: the probability that noise alone makes a change as
    large at any place of the series."""

    at: int
    earliest: int
    latest: int
    before: float
    after: float
    kind: ChangeKind
    chance: float

    def interval(self, since_ns: int, every_ns: int) -> tuple[int, int]:
        """Return when it began, earliest and latest, if bucket 0 begins at `since_ns` and buckets last `every_ns`.

        The bucket before `at` may have been affected in part, so it is included."""
        return since_ns + (self.earliest - 1) * every_ns, since_ns + self.latest * every_ns


@dataclass(frozen=True, slots=True)
class Changes:
    """`enough`: whether there were enough buckets to judge. `steps`: oldest first."""

    enough: bool
    changes: tuple[Change, ...] = ()

    @property
    def steps(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.kind == "step")


def change_points(series: Fit | None) -> Changes:
    """Return the significant changes of `series`, oldest first."""
    if series is None:
        return Changes(enough=False)
    return Changes(True, tuple(_change(series, cut) for cut in cuts(series)))


def _change(series: Fit, cut: Cut) -> Change:
    stepped = series.jump(cut.since, cut.at, cut.until) >= LEAST_JUMP
    return Change(
        series.buckets[cut.at],
        series.buckets[cut.earliest - 1] + 1,
        series.buckets[cut.latest],
        series.level(cut.since, cut.at),
        series.level(cut.at, cut.until),
        "step" if stepped else "trend",
        cut.chance,
    )
