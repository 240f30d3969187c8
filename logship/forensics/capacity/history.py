"""Requests of a service by hour: rates, the busiest times, and what is usual at each hour and weekday."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from statistics import median

from logship.forensics.capacity.estimate import Estimate, unknown
from logship.search import units
from logship.search.query import Stat

HOUR_NS = 3600 * 10**9
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class History:
    """`hours`: statistics of event.duration by hour, oldest first, without empty hours; from `since_ns`, which is the first
    request or the beginning of the window, to `until_ns`."""

    hours: Sequence[Stat]
    since_ns: int
    until_ns: int

    @property
    def requests(self) -> int:
        return sum(hour.count for hour in self.hours)

    @property
    def mean_ns(self) -> float:
        return sum(hour.sum for hour in self.hours) / max(self.requests, 1)

    @property
    def span_ns(self) -> int:
        return max(self.until_ns - self.since_ns, 1)

    def rates(self) -> list[tuple[int, float]]:
        """Return the start of each hour with its requests a second, also of hours without requests.

        The first and the last hour are usually not complete: their rate is that of the part inside the window."""
        counts = {hour.start_ns: hour.count for hour in self.hours}
        starts = range(self.since_ns // HOUR_NS * HOUR_NS, self.until_ns, HOUR_NS)
        return [(start, counts.get(start, 0) / self._seconds(start)) for start in starts]

    def _seconds(self, start_ns: int) -> float:
        return max(min(start_ns + HOUR_NS, self.until_ns) - max(start_ns, self.since_ns), 10**9) / 1e9


@dataclass(frozen=True, slots=True)
class Usual:
    """Requests a second at an hour of the day (0 to 23), or on a weekday: the median of its hours, and the highest."""

    name: str
    usual: float
    peak: float


def by_hour(history: History, zone: tzinfo) -> list[Usual]:
    """Return one row for each hour of the day that was seen, in `zone`."""
    return _grouped(history, zone, lambda when: (when.hour, f"{when.hour:02d}:00"))


def by_weekday(history: History, zone: tzinfo) -> list[Usual]:
    """Return one row for each weekday that was seen, in `zone`."""
    return _grouped(history, zone, lambda when: (when.weekday(), DAYS[when.weekday()]))


def usual_rate(history: History) -> Estimate:
    """Return the median of the hourly rates."""
    rates = [rate for _, rate in history.rates()]
    value = median(rates)
    derived = f"median of {len(rates)} hours" if len(rates) > 1 else "mean over less than an hour"
    return Estimate("usual rate", value, "requests/s", rate_text(value), derived, "measured", min(rates), max(rates))


def busiest(rows: Sequence[Usual], name: str, history: History, least_days: int) -> Estimate:
    """Return the hour of the day, or the weekday, with the highest usual rate."""
    days = history.span_ns / HOUR_NS / 24
    if days < least_days:
        return unknown(
            name, "requests/s", f"not enough history: {days:.1f} d of requests, at least {least_days} d are needed"
        )
    top = max(rows, key=lambda row: (row.usual, row.peak))
    text = f"{top.name}: usually {rate_text(top.usual)}, at most {rate_text(top.peak)}"
    return Estimate(
        name, top.usual, "requests/s", text, f"medians over hours of {days:.0f} d", "measured", high=top.peak
    )


def rate_text(value: float) -> str:
    """Return requests a second: 0.042/s, 3.1/s, 1,240/s."""
    return f"{units.rate(value)}/s"


def daily(history: History, zone: tzinfo) -> list[int]:
    """Return the requests of each complete day in `zone`, oldest first."""
    counts: defaultdict[int, int] = defaultdict(int)
    for hour in history.hours:
        counts[_local(hour.start_ns, zone).toordinal()] += hour.count
    first, last = (_local(ns, zone) for ns in (history.since_ns, history.until_ns))
    complete_from = first.toordinal() + ((first - timedelta(minutes=5)).toordinal() == first.toordinal())
    return [counts[day] for day in range(complete_from, last.toordinal())]


def _grouped(history: History, zone: tzinfo, key: Callable[[datetime], tuple[int, str]]) -> list[Usual]:
    groups: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for start_ns, rate in history.rates():
        groups[key(_local(start_ns, zone))].append(rate)
    return [Usual(name, median(rates), max(rates)) for (_, name), rates in sorted(groups.items())]


def _local(ns: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, zone)
