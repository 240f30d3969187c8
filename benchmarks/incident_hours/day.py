"""A day of one service: incidents and harmless changes, each in a separate hour, over traffic that follows the time of day."""

import gc
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.incident_hours.hour import build_hour
from benchmarks.incident_hours.make import DAY_NS, KINDS, SIZES
from benchmarks.incident_hours.plan import MINUTE, Accepted, Call, Plan, Stage
from benchmarks.incident_hours.runs import Entry
from benchmarks.incident_hours.shop import draw_shop

HOUR_NS = 60 * MINUTE
# (kind, size, hour of the day). Kinds that change the shop itself have no place here.
DAY = (
    ("worker_killed", "clear", 3), ("orderly_deploy", "clear", 5), ("slow_route", "clear", 7), ("doubled_traffic", "medium", 9),
    ("failing_route", "medium", 11), ("one_pause", "medium", 13), ("blocked_worker", "medium", 15),
    ("single_slow_request", "clear", 17), ("bad_tenant", "clear", 19), ("absorbed_retries", "small", 21),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planted:
    """An incident of the day, with what a right finding about it names."""

    kind: str
    size: str
    began_ns: int
    ended_ns: int
    accepted: list[Accepted]


@dataclass(frozen=True, slots=True)
class Day:
    """`entries`: as of an hour, oldest first, from `since_ns` to `until_ns`; `quiet`: the kinds that are not incidents."""

    entries: list[Entry]
    since_ns: int
    until_ns: int
    planted: list[Planted]
    quiet: list[str]


def make_day(seed: int, hours: int = 24, planned: Sequence[tuple[str, str, int]] = DAY, per_second: float = 2.5) -> Day:
    """Return a day that begins at midnight and has so many hours: the same for the same arguments."""
    gc.disable()
    try:
        pick = random.Random(f"day/{seed}")
        shop = replace(draw_shop(pick), per_second=per_second, drift=0.0)
        since_ns, until_ns = DAY_NS, DAY_NS + hours * HOUR_NS
        stage = Stage(pick, shop, since_ns, since_ns, until_ns)
        plans = []
        for kind, size, hour in planned:
            begin_ns = since_ns + hour * HOUR_NS
            plan = KINDS[kind](Stage(pick, shop, begin_ns, begin_ns, begin_ns + HOUR_NS), SIZES.index(size))
            plans.append((plan, size))
        entries = build_hour(stage, _merged(stage, [plan for plan, _ in plans]), "").entries
    finally:
        gc.enable()
    planted = [Planted(plan.kind, size, plan.began_ns, plan.ended_ns, plan.accepted) for plan, size in plans if plan.accepted]
    return Day(entries, since_ns, until_ns, planted, [plan.kind for plan, _ in plans if not plan.accepted])


def _merged(stage: Stage, plans: Sequence[Plan]) -> Plan:
    """One plan that does what all of them do, each in its time."""

    def change(call: Call) -> bool:
        return all(
            plan.change(call) for plan in plans if plan.change is not None and plan.began_ns <= call.at_ns < plan.ended_ns
        )

    def rate(at_ns: int) -> float:
        return _time_of_day(at_ns) * math.prod(plan.rate(at_ns) for plan in plans if plan.rate is not None)

    merged = Plan("day", stage.since_ns, stage.until_ns, change=change, rate=rate)
    merged.rate_limit = math.prod(plan.rate_limit for plan in plans if plan.rate is not None)
    for plan in plans:
        merged.extra += plan.extra
        merged.lines += plan.lines
        merged.exits += plan.exits
        merged.stalls += plan.stalls
        merged.losses += plan.losses
        merged.hanging += plan.hanging
    return merged


def _time_of_day(at_ns: int) -> float:
    """The part of the greatest traffic: at 04:00 half as much as at 16:00."""
    return 0.75 - 0.25 * math.cos(2 * math.pi * ((at_ns - DAY_NS) / HOUR_NS - 4) / 24)
