"""Which values explain that there are more or fewer events than before, per time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

from logship.forensics.compare.significance import adjusted, p_value
from logship.forensics.compare.table import SideOf, Table

SIGNIFICANT = 1e-4
LEAST_EVENTS = 10
# A smaller change of the rate is usual from one window to the next.
LEAST_CHANGE = 0.25


@dataclass(frozen=True, slots=True)
class RateChange:
    """Events with these values, and their rates per second. `explained`: the part of the difference of all rates, 0 to 1."""

    fields: dict[str, str]
    events_before: int
    events_after: int
    rate_before: float
    rate_after: float
    explained: float
    p: float


def rate_changes(
    table: Table, side_of: SideOf, seconds: tuple[float, float], fields: Sequence[tuple[str, ...]], limit: int = 5
) -> list[RateChange]:
    """Return the values, and pairs of values, whose rate changed by a quarter or more, those that explain most first.

    `seconds`: the lengths of the times before and after."""
    changes = [change for names in fields for change in _changes(names, table.sides(names, side_of), seconds)]
    corrected = adjusted([change.p for change in changes])
    kept = [change for change, p in zip(changes, corrected, strict=True) if p <= SIGNIFICANT and _large(change)]
    kept.sort(key=lambda change: (-round(change.explained, 2), len(change.fields), *change.fields.items()))
    return kept[:limit]


def _changes(
    names: Sequence[str], counts: Mapping[tuple[str, ...], Sequence[int]], seconds: tuple[float, float]
) -> list[RateChange]:
    before_s, after_s = (max(value, 1e-9) for value in seconds)
    differences = {values: events[1] / after_s - events[0] / before_s for values, events in counts.items()}
    rises = sum(differences.values()) >= 0
    whole = sum(abs(difference) for difference in differences.values() if (difference >= 0) == rises)
    if len(counts) < 2:
        return []
    return [
        RateChange(
            dict(zip(names, values, strict=True)), events[0], events[1], events[0] / before_s, events[1] / after_s,
            abs(differences[values]) / whole if whole else 0.0, p_value(_g(events, (before_s, after_s))),
        )
        for values, events in counts.items()
        if all(values) and max(events) >= LEAST_EVENTS and (differences[values] >= 0) == rises
    ]  # fmt: skip


def _g(events: Sequence[int], seconds: tuple[float, float]) -> float:
    """G of two counts of Poisson processes that were observed for these times."""
    whole, time = sum(events), sum(seconds)
    parts = (count * log(count * time / (whole * length)) for count, length in zip(events, seconds, strict=True) if count)
    return max(0.0, 2 * sum(parts))


def _large(change: RateChange) -> bool:
    usual = max(change.rate_before, change.rate_after)
    return abs(change.rate_after - change.rate_before) >= LEAST_CHANGE * usual
