"""Stalls of event loops as the watchdog of a worker reports them, and the short ones that every service has."""

from collections.abc import Iterator

from benchmarks.incident_hours.plan import MINUTE, LoopStall, Stage
from benchmarks.incident_hours.records import Record
from logship.event.stall import Place, Stall, stalled

# The watchdog reports a stall from 0.1 s on, and one of more than a second while it lasts.
LEAST_NS, LONG_NS = 100_000_000, 1_000_000_000
PER_MINUTE = 0.02


def usual_stalls(stage: Stage) -> list[LoopStall]:
    """Return stalls of 0.1 to 0.3 s, one or two in an hour of a worker."""
    pick = stage.pick
    return [
        LoopStall(slot, minute + int(pick.random() * MINUTE), int(pick.uniform(1.1, 3) * LEAST_NS))
        for minute in range(stage.before_ns, stage.until_ns, MINUTE)
        for slot in range(len(stage.shop.shares))
        if pick.random() < PER_MINUTE
    ]


def reports(stall: LoopStall) -> Iterator[tuple[int, Record]]:
    """Yield the events of a stall with their times, without the fields of the worker."""
    place = Place(stall.function, "/srv/app/shop/prices.py", 61)
    if stall.length_ns > LONG_NS:
        yield stall.at_ns + LONG_NS, stalled(Stall(stall.at_ns, LONG_NS, stall.reason, 3, place, ended=False))
    if stall.length_ns >= LEAST_NS:
        yield stall.at_ns + stall.length_ns, stalled(Stall(stall.at_ns, stall.length_ns, stall.reason, 3, place))
