"""How a service as a whole changed: its request rate, its share of failed requests and its p99, before and then."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from logship.forensics.change_points.detect import change_points
from logship.forensics.change_points.episodes import Episode, episodes
from logship.forensics.change_points.fits import Fit
from logship.forensics.change_points.series import counts, durations, ratios
from logship.forensics.incident.counted import Counted, Series
from logship.forensics.incident.finding import Interval
from logship.search import kql
from logship.search.times import rfc3339
from logship.search.units import duration, rate, share
from logship.search.views import DURATION, SERVED

SERVICE = "service.name"
# A service with less traffic is not described, nor are more services than fit on a screen.
SERVICES, LEAST_REQUESTS = 3, 100
# A smaller change is usual within an hour.
LEAST_TIMES = 1.3


@dataclass(frozen=True, slots=True)
class Level:
    """One measure of one service. `before`: its usual level; `after`: the level furthest from it in the window, None if it did
    not change; `began`: when the change began, earliest and latest. Ratios are 0 to 1, rates per second, p99 in nanoseconds."""

    service: str
    measure: str
    before: float
    after: float | None
    began: Interval | None

    def text(self) -> str:
        """Return the measure as a clause without its time: `p99 84 ms -> 4.1 s`, or `p99 84 ms, unchanged`."""
        write = _TEXTS[self.measure]
        return f"{self.measure} {write(self.before)}" + (", unchanged" if self.after is None else f" -> {write(self.after)}")

    def as_json(self) -> dict[str, Any]:
        """Return the level as documented: times as RFC 3339."""
        began = [rfc3339(time) for time in self.began] if self.began else None
        return {"service": self.service, "measure": self.measure, "before": self.before, "after": self.after, "began": began}


def levels(counted: Counted, services: Iterable[str]) -> list[Level]:
    """Return the three measures of each of these services."""
    requests = counted.series(counted.requests, (SERVICE,))
    failed = counted.series(counted.failed, (SERVICE,))
    chosen = [service for service in list(dict.fromkeys(services))[:SERVICES] if _total(requests, service) >= LEAST_REQUESTS]
    slowest = _p99(counted, chosen)
    found: list[Level] = []
    for service in chosen:
        events = requests[service,]
        failures = failed.get((service,), [0.0] * len(events))
        seconds, known = counted.clock.every_ns / 1e9, _since_the_first(events)
        per_second = [None if number is None else number / seconds for number in known]
        found += [
            _level(counted, (service, "requests per second"), counts(known), per_second, 1 / seconds),
            _level(counted, (service, "failed requests"), ratios(failures, events), _ratio(failures, events)),
            _level(counted, (service, "p99"), durations(slowest[service]), slowest[service]),
        ]
    return found


def _total(requests: Mapping[tuple[str, ...], Series], service: str) -> float:
    return sum(requests.get((service,), ()))


def _since_the_first(events: Series) -> list[float | None]:
    """The buckets from the first one with events: there is no data of a time before a service was recorded."""
    first = next((at for at, number in enumerate(events) if number), len(events))
    return [None] * first + [*events[first:]]


def _p99(counted: Counted, services: Sequence[str]) -> dict[str, list[float | None]]:
    """The p99 of each bucket, by service, read with one query."""
    found: dict[str, list[float | None]] = {service: [None] * len(counted.starts) for service in services}
    if not found:
        return found
    where = kql.every(kql.parse(SERVED), kql.either(*(kql.equal(SERVICE, service) for service in services)))
    for query in counted.clock.queries():
        for stat in counted.source.stats(query.narrowed(where), DURATION, SERVICE, counted.clock.every_ns):
            found[stat.key][counted.index[stat.start_ns]] = stat.p99
    return found


def _ratio(parts: Series, totals: Series) -> list[float | None]:
    return [part / total if total else None for part, total in zip(parts, totals, strict=True)]


def _level(
    counted: Counted, name: tuple[str, str], fit: Fit | None, values: Sequence[float | None], unit: float = 1.0
) -> Level:
    """The level by the episode that is the furthest from the usual level of those that begin in the window."""
    steps = [episode for episode in episodes(change_points(fit).changes) if episode.began.kind == "step"]
    inside = [episode for episode in steps if episode.began.latest >= counted.first and _distance(episode) >= LEAST_TIMES]
    if not inside:
        present = [value for value in values if value is not None]
        return Level(*name, sum(present) / max(len(present), 1), None, None)
    largest = max(inside, key=_distance)
    began = counted.starts[max(0, largest.began.earliest - 1)], counted.starts[largest.began.latest]
    return Level(*name, largest.usual * unit, largest.level * unit, began)


def _distance(episode: Episode) -> float:
    low, high = sorted((episode.usual, episode.level))
    return high / max(low, 1e-6)


_TEXTS: dict[str, Callable[[float], str]] = {
    "requests per second": rate, "failed requests": lambda ratio: share(ratio, 1), "p99": duration,
}  # fmt: skip
