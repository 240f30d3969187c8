"""The requests of an hour: the usual traffic of a shop, changed by a plan."""

import math
from collections.abc import Iterator

from benchmarks.incident_hours.plan import MINUTE, SECOND, Call, Plan, Stage

CHUNK = 4096


def calls(stage: Stage, plan: Plan) -> list[Call]:
    """Return the requests in the order of their beginnings, after the changes of the plan."""
    minutes = _Minutes(stage)
    every = [call for call in _usual(stage, plan, minutes) if _changed(plan, call)]
    every += plan.extra
    every.sort(key=lambda call: call.at_ns)
    return every


def usual_call(stage: Stage, at_ns: int, route: int) -> Call:
    """Return one ordinary request of a route at a time."""
    pick, shop = stage.pick, stage.shop
    call = Call(
        at_ns, route, pick.choices(range(len(shop.shares)), shop.shares)[0],
        pick.choices(shop.tenants, shop.tenant_weights)[0], pick.choices(shop.clients, shop.client_weights)[0],
        pick.choices(shop.agents, shop.agent_weights)[0], 0, 200,
    )  # fmt: skip
    _answer(stage, call, 1.0, 1.0)
    return call


class _Minutes:
    """Each minute is a little slower or faster and fails more or less often, as services do."""

    def __init__(self, stage: Stage) -> None:
        pick, self._first = stage.pick, stage.before_ns // MINUTE
        count = (stage.until_ns - stage.before_ns) // MINUTE + 2
        self._slower = [pick.lognormvariate(0, 0.05) for _ in range(count)]
        self._failing = [[pick.lognormvariate(0, stage.shop.noise) for _ in stage.shop.routes] for _ in range(count)]

    def slower(self, at_ns: int) -> float:
        return self._slower[at_ns // MINUTE - self._first]

    def failing(self, at_ns: int, route: int) -> float:
        return self._failing[at_ns // MINUTE - self._first][route]


def _changed(plan: Plan, call: Call) -> bool:
    return plan.change is None or not plan.began_ns <= call.at_ns < plan.ended_ns or plan.change(call)


def _usual(stage: Stage, plan: Plan, minutes: _Minutes) -> Iterator[Call]:
    pick, shop = stage.pick, stage.shop
    shares = [route.share for route in shop.routes]
    at_ns: float = stage.before_ns
    while True:
        columns = zip(
            pick.choices(range(len(shop.routes)), shares, k=CHUNK),
            pick.choices(range(len(shop.shares)), shop.shares, k=CHUNK),
            pick.choices(shop.tenants, shop.tenant_weights, k=CHUNK),
            pick.choices(shop.clients, shop.client_weights, k=CHUNK),
            pick.choices(shop.agents, shop.agent_weights, k=CHUNK),
            strict=True,
        )
        for route, slot, tenant, client, agent in columns:
            at_ns += pick.expovariate(shop.per_second * plan.rate_limit * (1 + abs(shop.drift))) * SECOND
            if at_ns >= stage.until_ns:
                return
            now_ns = int(at_ns)
            if not _arrives(stage, plan, now_ns):
                continue
            call = Call(now_ns, route, slot, tenant, client, agent, 0, 200)
            _answer(stage, call, minutes.slower(now_ns), minutes.failing(now_ns, route))
            yield call


def _arrives(stage: Stage, plan: Plan, now_ns: int) -> bool:
    """Thin the arrivals to the rate of this moment: the drift of the day, and the plan's factor."""
    drift = stage.shop.drift
    passed = (now_ns - stage.before_ns) / (stage.until_ns - stage.before_ns)
    factor = (1 + drift * math.sin(passed * math.pi)) / (1 + abs(drift))
    if plan.rate is not None:
        factor *= plan.rate(now_ns) / plan.rate_limit
    return stage.pick.random() < factor


def _answer(stage: Stage, call: Call, slower: float, failing: float) -> None:
    """Give the request its usual duration and status."""
    pick, route = stage.pick, stage.shop.routes[call.route]
    took_ms = route.median_ms * pick.lognormvariate(0, route.sigma) * slower
    if pick.random() < route.tail:
        took_ms *= pick.uniform(3, 12)
    call.took_ns = int(took_ms * 1e6)
    call.status = 201 if route.method == "POST" else 200
    luck = pick.random()
    if luck < route.failing * failing:
        call.status = pick.choices((500, 503, 504), (0.7, 0.2, 0.1))[0]
        call.error = pick.choices(route.errors, (0.7, 0.3))[0]
    elif luck < 0.02 + route.absent:
        call.status = 404 if luck > 0.02 else pick.choices((401, 422, 400), (0.5, 0.3, 0.2))[0]
        call.took_ns //= 2
    elif luck > 1 - route.cached:
        call.status = 304
        call.took_ns //= 3


