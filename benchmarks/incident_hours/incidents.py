"""Kinds of incidents, each in three sizes: 0 clear, 1 medium, 2 small but real.

A small one changes at least a dozen events, or changes hundreds by a little: a statistical test separates it from the noise,
and a person who knows where to look sees it."""

from collections.abc import Callable

from benchmarks.incident_hours.effects import (
    deploy,
    error_of,
    failing,
    is_for,
    next_version,
    of_client,
    path_with,
    slow,
    times,
)
from benchmarks.incident_hours.plan import MINUTE, SECOND, Accepted, Call, Exit, Line, LoopStall, Loss, Plan, Stage

Kind = Callable[[Stage, int], Plan]
INCIDENTS: dict[str, Kind] = {}
ROUTE, METHOD, STATUS = "http.route", "http.request.method", "http.response.status_code"
TENANT, CLIENT, AGENT, ERROR, VERSION = (
    "labels.tenant", "client.ip", "user_agent.original", "error.type", "service.version",
)  # fmt: skip
MEMORY_WORDS = "container memory"


def incident(kind: Kind) -> Kind:
    INCIDENTS[kind.__name__] = kind
    return kind


# Workers that end


@incident
def worker_killed(stage: Stage, size: int) -> Plan:
    began, _ = stage.span((0, 1))
    slot = stage.worker()
    pick, routes = stage.pick, range(len(stage.shop.routes))
    hanging = [(slot, pick.randint(900, 40_000), pick.choice(routes)) for _ in range((6, 2, 0)[size])]
    return Plan(
        "worker_killed", began, began + SECOND, [_death(stage, slot)],
        exits=[Exit(slot, began, "killed", (3, 2, 1)[size] * 450_000_000)], hanging=hanging,
    )  # fmt: skip


@incident
def oom_kill(stage: Stage, size: int) -> Plan:
    began, _ = stage.span((0, 1))
    slot = stage.worker()
    said = [
        Line(began - minutes * MINUTE, slot, f"{MEMORY_WORDS} at {97 - 4 * minutes} %", "warning", "shop.memory")
        for minutes in range(1, (5, 3, 0)[size])
    ]
    return Plan(
        "oom_kill", began, began + SECOND, [_death(stage, slot)], lines=said,
        exits=[Exit(slot, began, "oom", 1_500_000_000)],
        hanging=[(slot, 7_400, 0)] * (3, 1, 0)[size],
    )  # fmt: skip


@incident
def restart_loop(stage: Stage, size: int) -> Plan:
    began, _ = stage.span((0, 1))
    slot, times = stage.worker(), (12, 6, 3)[size]
    exits = [Exit(slot, began + number * 40 * SECOND, "killed", 4 * SECOND) for number in range(times)]
    return Plan("restart_loop", began, exits[-1].at_ns, [_death(stage, slot)], exits=exits)


def _death(stage: Stage, slot: int) -> Accepted:
    return Accepted(("death",), worker=stage.shop.node(slot))


# Workers that are slow


@incident
def blocked_worker(stage: Stage, size: int) -> Plan:
    length_ns, every_ns = ((25 * SECOND, 90 * SECOND), (3 * SECOND, 20 * SECOND), (700 * 10**6, 6 * SECOND))[size]
    began, ended = stage.span((5, 8))
    slot = stage.worker()
    stalls = [
        LoopStall(slot, at_ns, length_ns, "blocking_call", "read_price_list")
        for at_ns in range(began, ended - length_ns, every_ns)
    ]
    node = stage.shop.node(slot)
    return Plan("blocked_worker", began, stalls[-1].at_ns + length_ns, [Accepted(("stall", "slow"), worker=node)], stalls=stalls)


@incident
def slow_worker(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((8, 15))
    slot, factor = stage.worker(), (7.0, 3.5, 2.2)[size]

    def change(call: Call) -> bool:
        if call.slot == slot:
            slow(call, factor)
        return True

    return Plan("slow_worker", began, ended, [Accepted(("slow",), worker=stage.shop.node(slot))], change)


# Routes, and parts of their traffic


@incident
def failing_route(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((7, 14))
    part = (0.7, 0.25, 0.1)[size]
    path = path_with(stage, began, ended, 20 / part)
    error = error_of(stage, path)
    accepted = [Accepted(("failing", "new_error"), {ROUTE: path})]
    return failing("failing_route", (began, ended), accepted, stage, part, lambda call: is_for(stage, call, path), error)


@incident
def failing_method(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((9, 15))
    part = (0.8, 0.4, 0.2)[size]
    several = [route for route in stage.shop.routes if stage.shop.share_of(route.path) > route.share]
    route = max(stage.pick.sample(several, 2), key=lambda route: route.share)
    accepted = [Accepted(("failing", "new_error"), {ROUTE: route.path, METHOD: route.method})]

    def hit(call: Call) -> bool:
        return is_for(stage, call, route.path, route.method)

    return failing("failing_method", (began, ended), accepted, stage, part, hit, route.errors[0])


@incident
def slow_route(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((8, 15))
    path, factor = path_with(stage, began, ended, 120), (8.0, 4.0, 2.5)[size]

    def change(call: Call) -> bool:
        if is_for(stage, call, path):
            slow(call, factor)
        return True

    return Plan("slow_route", began, ended, [Accepted(("slow",), {ROUTE: path})], change)


@incident
def slow_tenant_on_route(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((10, 18))
    tenant, factor = stage.pick.choice(stage.shop.tenants[:3]), (12.0, 7.0, 4.0)[size]
    path = max((route for route in stage.shop.routes), key=lambda route: stage.shop.share_of(route.path)).path

    def change(call: Call) -> bool:
        if call.tenant == tenant and is_for(stage, call, path):
            slow(call, factor)
        return True

    accepted = [Accepted(("slow",), {ROUTE: path, TENANT: tenant})]
    return Plan("slow_tenant_on_route", began, ended, accepted, change)


@incident
def bad_tenant(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((8, 15))
    tenant, part = stage.pick.choice(stage.shop.tenants[:5]), (0.8, 0.3, 0.12)[size]
    accepted = [Accepted(("failing",), {TENANT: tenant})]
    return failing("bad_tenant", (began, ended), accepted, stage, part, lambda call: call.tenant == tenant, "")


@incident
def bad_client(stage: Stage, size: int) -> Plan:
    """One address sends requests that fail: a customer's script, a scanner."""
    began, ended = stage.span((6, 12))
    client, count, part = stage.shop.clients[0], (300, 100, 40)[size], (0.9, 0.6, 0.4)[size]
    plan = Plan("bad_client", began, ended, [Accepted(("failing", "traffic"), {CLIENT: client})])
    plan.extra = of_client(stage, began, ended, count, client)
    for call in plan.extra:
        if stage.pick.random() < part:
            call.fail(error_of(stage, stage.shop.routes[call.route].path))
    return plan


@incident
def bad_agent(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((8, 15))
    agent, part = stage.pick.choice(stage.shop.agents), (0.8, 0.3, 0.15)[size]
    accepted = [Accepted(("failing",), {AGENT: agent})]
    return failing("bad_agent", (began, ended), accepted, stage, part, lambda call: call.agent == agent, "")


@incident
def status_shifted(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((8, 15))
    path, part = path_with(stage, began, ended, 120), (0.9, 0.4, 0.2)[size]
    status = stage.pick.choice((404, 302, 403))

    def change(call: Call) -> bool:
        if is_for(stage, call, path) and call.status in (200, 201) and stage.pick.random() < part:
            call.status, call.touched = status, True
        return True

    return Plan("status_shifted", began, ended, [Accepted(("status",), {ROUTE: path, STATUS: str(status)})], change)


@incident
def new_error(stage: Stage, size: int) -> Plan:
    """A class of exception that never occurred, at a rate that is low against all failures."""
    began, ended = stage.span((10, 20))
    error = stage.pick.choice(("shop.errors.StockMismatch", "shop.pricing.RoundingError", "RecursionError", "UnicodeDecodeError"))
    path = path_with(stage, began, ended, 100)
    part = (60, 25, 12)[size] / stage.expected(stage.shop.share_of(path), began, ended)
    accepted = [Accepted(("new_error", "failing"), {ERROR: error})]
    return failing("new_error", (began, ended), accepted, stage, part, lambda call: is_for(stage, call, path), error)


@incident
def new_message(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((8, 15))
    text = stage.pick.choice((
        "replica 3 is {number} s behind, reading from primary", "circuit breaker of payments opened after {number} errors",
        "certificate of payments.example expires in {number} hours", "queue orders has {number} messages, limit reached",
    ))  # fmt: skip
    level, count = stage.pick.choice(("warning", "error")), (150, 40, 12)[size]
    said = [
        Line(at_ns, stage.worker(), text.format(number=stage.pick.randint(2, 900)), level, "shop.deps")
        for at_ns in times(stage, began, ended, count)
    ]
    words = text.partition("{number}")[0].strip()
    return Plan(
        "new_message", said[0].at_ns, said[-1].at_ns, [Accepted(("new_pattern",), words=words)], lines=said
    )  # fmt: skip


# Traffic


@incident
def hot_worker(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((10, 20))
    slot, even = stage.worker(), 1 / len(stage.shop.shares)
    part = min(0.97, (even + (1 - even) * 0.75, even + (1 - even) * 0.4, even + (1 - even) * 0.22)[size])
    move = (part - even) / (1 - even)

    def change(call: Call) -> bool:
        if stage.pick.random() < move:
            call.slot, call.touched = slot, True
        return True

    return Plan("hot_worker", began, ended, [Accepted(("imbalance",), worker=stage.shop.node(slot))], change)


@incident
def traffic_drop(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((6, 14))
    factor = (0.08, 0.4, 0.7)[size]
    accepted = [Accepted(("traffic",))]
    return Plan("traffic_drop", began, ended, accepted, rate=lambda at_ns: factor if began <= at_ns < ended else 1.0)


@incident
def client_flood(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((5, 12))
    client = stage.pick.choice(stage.shop.clients[5:])
    count = int(stage.expected((3.0, 0.8, 0.25)[size], began, ended))
    plan = Plan("client_flood", began, ended, [Accepted(("traffic",), {CLIENT: client})])
    plan.extra = of_client(stage, began, ended, count, client)
    return plan


# Deploys


@incident
def bad_version_on_one_worker(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((12, 25))
    slot, part, version = stage.worker(), (0.5, 0.2, 0.1)[size], next_version(stage.shop.version)
    node = stage.shop.node(slot)
    accepted = [Accepted(("failing", "deploy"), worker=node), Accepted(("failing", "deploy"), {VERSION: version})]
    span = (began + 3 * SECOND, ended)
    plan = failing("bad_version_on_one_worker", span, accepted, stage, part, lambda call: call.slot == slot, "")
    plan.exits = [Exit(slot, began, "closed", 2 * SECOND, version)]
    plan.exits.append(Exit(slot, ended, "closed", 2 * SECOND, stage.shop.version))
    return plan


@incident
def bad_deploy(stage: Stage, size: int) -> Plan:
    began, ended = stage.span((15, 30))
    ended, part, version = stage.until_ns, (0.4, 0.12, 0.05)[size], next_version(stage.shop.version)
    accepted = [Accepted(("deploy", "failing", "slow"), {VERSION: version})]
    started = began + 4 * SECOND * len(stage.shop.shares)
    plan = failing("bad_deploy", (started, ended), accepted, stage, part, lambda _: True, "")
    plan.exits = deploy(stage, began, version)
    return plan


# Evidence


@incident
def missing_events(stage: Stage, size: int) -> Plan:
    began, _ = stage.span((0, 1))
    slot = stage.worker()
    stage.shop.dropped_before.clear()
    accepted = [Accepted(("gap",), worker=stage.shop.node(slot))]
    return Plan("missing_events", began, began, accepted, losses=[Loss(slot, began, (400, 60, 5)[size])])


@incident
def dropped_events(stage: Stage, size: int) -> Plan:
    began, _ = stage.span((0, 1))
    slot = stage.worker()
    accepted = [Accepted(("drops",), worker=stage.shop.node(slot))]
    return Plan("dropped_events", began, began, accepted, losses=[Loss(slot, began, (400, 60, 5)[size], dropped=True)])
