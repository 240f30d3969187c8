"""Growth of traffic per week, and the date when a capacity is not enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp, log, sqrt
from statistics import median

from logship.forensics.capacity.estimate import Estimate, unknown

# Two weeks compare each weekday with itself once.
LEAST_DAYS = 14
WEEK_SECONDS = 7 * 86_400
# Growth does not stay the same for so long: later dates are not shown.
MOST_WEEKS = 260


@dataclass(frozen=True, slots=True)
class Growth:
    """Factors per week: 1.02 is 2 % more requests each week. `low` to `high`: the 95 % interval of the median."""

    factor: float
    low: float
    high: float
    days: int

    @property
    def established(self) -> bool:
        """Whether the traffic grows by more than chance."""
        return self.low > 1


def growth(days: Sequence[int]) -> Growth | None:
    """Return the growth from requests of successive days; None if there are less than two weeks of days with requests.

    Each day is compared with the same weekday a week before. The median of the ratios is not moved by one holiday or outage;
    its interval is that of the order statistics of a binomial distribution (the confidence interval of a quantile)."""
    ratios = sorted(log(now / then) for then, now in zip(days, days[7:], strict=False) if then and now)
    if len(days) < LEAST_DAYS or len(ratios) < 7:
        return None
    rank = max(0, int((len(ratios) - 1.96 * sqrt(len(ratios))) / 2))
    middle, low, high = median(ratios), ratios[rank], ratios[-1 - rank]
    return Growth(exp(middle), exp(low), exp(high), len(days))


def growth_estimate(days: Sequence[int], grown: Growth | None) -> Estimate:
    """Return the growth with its interval."""
    if grown is None:
        missing = f"not enough history: {len(days)} complete days, at least {LEAST_DAYS} are needed"
        return unknown("growth per week", "%", missing)
    percent, low, high = (100 * (factor - 1) for factor in (grown.factor, grown.low, grown.high))
    derived = f"median ratio of a day to the same weekday a week before, over {grown.days} days"
    text = f"{percent:+.1f} % ({low:+.1f} to {high:+.1f} %)"
    return Estimate("growth per week", percent, "%", text, derived, "modelled", low, high)


def enough_until(most: Estimate, peak: float, grown: Growth | None, now_ns: int) -> Estimate:
    """Return when the peak reaches the capacity `most`, in seconds since 1970, if the growth continues."""
    name, unit = "enough until", "seconds since 1970"
    if most.value is None or grown is None:
        return unknown(
            name, unit, f"needs {'the growth' if most.value is not None else 'the maximum rate'}, which is not known"
        )
    if peak >= most.value:
        return Estimate(
            name, now_ns / 1e9, unit, "not enough now", "the peak is above the maximum rate", most.confidence
        )
    if not grown.established:
        return unknown(name, unit, "no growth beyond chance: the interval of the growth includes zero")
    weeks, late, soon = (log(most.value / peak) / log(factor) for factor in (grown.factor, grown.low, grown.high))
    if weeks > MOST_WEEKS:
        return unknown(name, unit, "more than five years away at this growth")
    moments = [now_ns / 1e9 + min(count, 2 * MOST_WEEKS) * WEEK_SECONDS for count in (weeks, soon, late)]
    dates = [f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}" for moment in moments]
    derived = "ln(maximum rate / peak) / ln(growth), if the growth continues"
    text = f"{dates[0]} ({dates[1]} to {dates[2]})"
    return Estimate(name, moments[0], unit, text, derived, "uncertain", moments[1], moments[2])
