"""Kinds of hours in which nothing needs attention, although something changes."""

from benchmarks.incident_hours.effects import deploy, next_version, of_client
from benchmarks.incident_hours.incidents import Kind
from benchmarks.incident_hours.plan import MINUTE, SECOND, Call, Exit, LoopStall, Plan, Stage
from benchmarks.incident_hours.shop import normalised
from benchmarks.incident_hours.traffic import usual_call

QUIET: dict[str, Kind] = {}


def quiet(kind: Kind) -> Kind:
    QUIET[kind.__name__] = kind
    return kind


@quiet
def steady(stage: Stage, size: int) -> Plan:
    return Plan("steady")


@quiet
def ramp(stage: Stage, size: int) -> Plan:
    """Traffic grows evenly from before the window to its end."""
    most = (1.6, 2.2, 3.0)[size]

    def rate(at_ns: int) -> float:
        return 1 + (most - 1) * (at_ns - stage.before_ns) / (stage.until_ns - stage.before_ns)

    stage.shop.per_second /= most / 2
    return Plan("ramp", rate=rate, rate_limit=most)


@quiet
def doubled_traffic(stage: Stage, size: int) -> Plan:
    """Ten minutes of more users of every kind, as after a newsletter."""
    began, ended = stage.span((10, 10.5))
    factor = (1.5, 2.0, 2.5)[size]
    return Plan("doubled_traffic", rate=lambda at_ns: factor if began <= at_ns < ended else 1.0, rate_limit=factor)


@quiet
def orderly_deploy(stage: Stage, size: int) -> Plan:
    began, _ = stage.span((5, 10))
    return Plan("orderly_deploy", exits=deploy(stage, began, next_version(stage.shop.version)))


@quiet
def orderly_restart(stage: Stage, size: int) -> Plan:
    began, _ = stage.span((5, 10))
    return Plan("orderly_restart", exits=[Exit(stage.worker(), began, "closed")])


@quiet
def single_slow_request(stage: Stage, size: int) -> Plan:
    began, _ = stage.span((5, 10))
    call = usual_call(stage, began, stage.pick.randrange(len(stage.shop.routes)))
    call.took_ns = (8, 20, 55)[size] * SECOND
    return Plan("single_slow_request", extra=[call])


@quiet
def noisy_failures(stage: Stage, size: int) -> Plan:
    """Every route fails at its low rate, unevenly from minute to minute, before the window as in it."""
    stage.shop.noise = (0.6, 0.8, 1.0)[size]
    return Plan("noisy_failures")


@quiet
def absorbed_retries(stage: Stage, size: int) -> Plan:
    """A few requests get a 503 and succeed a moment later: fewer than usually fail in an hour."""
    began, ended = stage.span((5, 8))
    extra = []
    for number in range((4, 6, 8)[size]):
        at_ns = began + (ended - began) * number // 8
        first, second = (usual_call(stage, at_ns + later, number % 4) for later in (0, SECOND))
        first.fail(stage.shop.routes[first.route].errors[0], 503)
        second.client, second.tenant, second.agent, second.status = first.client, first.tenant, first.agent, 200
        extra += [first, second]
    return Plan("absorbed_retries", extra=extra)


@quiet
def uneven_workers(stage: Stage, size: int) -> Plan:
    """The kernel gives connections to workers unevenly, all day."""
    stage.shop.shares = normalised([stage.pick.lognormvariate(0, (0.2, 0.3, 0.4)[size]) for _ in stage.shop.shares])
    return Plan("uneven_workers")


@quiet
def nightly_batch(stage: Stage, size: int) -> Plan:
    """A job of one client runs every 15 minutes, before the window as well."""
    client, tenant, extra = "10.20.0.9", stage.pick.choice(stage.shop.tenants), []
    for began in range(stage.before_ns + 3 * MINUTE, stage.until_ns - 4 * MINUTE, 15 * MINUTE):
        count = int(stage.expected((0.2, 0.5, 1.0)[size], began, began + 3 * MINUTE))
        calls = of_client(stage, began, began + 3 * MINUTE, count, client)
        for call in calls:
            call.route, call.tenant, call.agent, call.took_ns = 0, tenant, "batch/1.0", call.took_ns * 2
        extra += calls
    return Plan("nightly_batch", extra=extra)


@quiet
def little_traffic(stage: Stage, size: int) -> Plan:
    stage.shop.per_second = (0.5, 0.15, 0.04)[size]
    return Plan("little_traffic")


@quiet
def new_agent_version(stage: Stage, size: int) -> Plan:
    """A browser update spreads slowly."""
    old = stage.pick.choice(stage.shop.agents[:5])
    new, most = old.replace("142", "143").replace("18", "19").replace("132", "133"), (0.2, 0.4, 0.7)[size]

    def change(call: Call) -> bool:
        passed = (call.at_ns - stage.before_ns) / (stage.until_ns - stage.before_ns)
        if call.agent == old and stage.pick.random() < most * passed:
            call.agent = new
        return True

    return Plan("new_agent_version", stage.before_ns, stage.until_ns, change=change)


@quiet
def one_pause(stage: Stage, size: int) -> Plan:
    """Every worker pauses once for a moment, as for a collection of garbage or a busy host."""
    began, _ = stage.span((5, 10))
    length_ns = (200, 400, 700)[size] * 10**6
    return Plan(
        "one_pause", stalls=[LoopStall(slot, began + slot * MINUTE, length_ns) for slot in range(len(stage.shop.shares))]
    )
