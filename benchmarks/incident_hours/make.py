"""Hours by kind, size and seed: `make_hour("slow_route", "small", 7, half="tuning")`."""

import gc
import random
from dataclasses import replace
from itertools import count

from benchmarks.incident_hours.hour import Hour, build_hour
from benchmarks.incident_hours.incidents import INCIDENTS, Kind
from benchmarks.incident_hours.plan import MINUTE, Stage
from benchmarks.incident_hours.quiet import QUIET
from benchmarks.incident_hours.shop import draw_shop

SIZES = ("clear", "medium", "small")
HALVES = ("tuning", "judging")
# 2026-11-20, and some hour of the day.
DAY_NS = 1_795_132_800 * 10**9
WINDOW_NS = 60 * MINUTE
# An incident that changes fewer requests than this is not one: the next attempt has another service.
LEAST_TOUCHED = 8
KINDS: dict[str, Kind] = INCIDENTS | QUIET


def make_hour(kind: str, size: str, seed: int, half: str = "tuning", end_ns: int | None = None, per_second: float = 0) -> Hour:
    """Return the hour of a kind and size: the same for the same arguments. The seeds of the two halves are different ones.

    `end_ns`: the end of the window, else at some minute of a day; `per_second`: requests, else as the service usually has."""
    gc.disable()  # nothing here is a cycle, and looking for some takes a third of the time
    try:
        for attempt in count():
            pick = random.Random(f"{half}/{kind}/{size}/{seed}" + f"/{attempt}" * bool(attempt))
            stage = _stage(pick, end_ns, per_second)
            plan = KINDS[kind](stage, SIZES.index(size))
            hour = build_hour(stage, plan, size)
            if plan.change is None or not plan.accepted or hour.truth.touched >= LEAST_TOUCHED:
                return hour
        raise AssertionError("count() does not end")
    finally:
        gc.enable()


def _stage(pick: random.Random, end_ns: int | None, per_second: float) -> Stage:
    shop = draw_shop(pick)
    if per_second:
        shop = replace(shop, per_second=per_second)
    until_ns = DAY_NS + pick.randint(3 * 60, 23 * 60) * MINUTE if end_ns is None else end_ns
    since_ns = until_ns - WINDOW_NS
    return Stage(pick, shop, since_ns - pick.choice((30, 60)) * MINUTE, since_ns, until_ns)
