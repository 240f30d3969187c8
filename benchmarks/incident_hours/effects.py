"""Changes that several kinds of hours share: requests that fail or are slow, the requests of one client, a deploy."""

from collections.abc import Callable

from benchmarks.incident_hours.plan import SECOND, Accepted, Call, Exit, Plan, Stage
from benchmarks.incident_hours.traffic import usual_call


def deploy(stage: Stage, began_ns: int, version: str) -> list[Exit]:
    """Return an orderly restart of all workers, one after the other."""
    return [
        Exit(slot, began_ns + slot * 4 * SECOND, "closed", 1_800_000_000, version)
        for slot in range(len(stage.shop.shares))
    ]


def failing(
    kind: str, span: tuple[int, int], accepted: list[Accepted], stage: Stage, part: float, hit: Callable[[Call], bool],
    *error: str,
) -> Plan:  # fmt: skip
    """Return a plan in which a part of the requests that `hit` fails with this error, or with the usual one of its route."""

    def change(call: Call) -> bool:
        if hit(call) and stage.pick.random() < part:
            call.fail(error[0] or stage.shop.routes[call.route].errors[0])
        return True

    return Plan(kind, *span, accepted, change)


def slow(call: Call, factor: float) -> None:
    call.took_ns, call.touched = int(call.took_ns * factor), True


def is_for(stage: Stage, call: Call, path: str, method: str = "") -> bool:
    route = stage.shop.routes[call.route]
    return route.path == path and method in ("", route.method)


def path_with(stage: Stage, began_ns: int, ended_ns: int, least: float) -> str:
    """Return a route by chance that has at least so many requests in the span, or else the busiest one."""
    paths = sorted({route.path for route in stage.shop.routes}, key=lambda path: -stage.shop.share_of(path))
    enough = [path for path in paths if stage.expected(stage.shop.share_of(path), began_ns, ended_ns) >= least]
    return stage.pick.choice(enough or paths[:1])


def error_of(stage: Stage, path: str) -> str:
    return next(route.errors[0] for route in stage.shop.routes if route.path == path)


def times(stage: Stage, began_ns: int, ended_ns: int, count: int) -> list[int]:
    return sorted(stage.pick.randint(began_ns, ended_ns) for _ in range(count))


def of_client(stage: Stage, began_ns: int, ended_ns: int, count: int, client: str) -> list[Call]:
    """Return requests of one client to few routes, with one agent and one tenant."""
    pick, shop = stage.pick, stage.shop
    routes, agent, tenant = pick.sample(range(len(shop.routes)), 3), pick.choice(shop.agents), pick.choice(shop.tenants)
    made = []
    for at_ns in times(stage, began_ns, ended_ns, count):
        call = usual_call(stage, at_ns, pick.choice(routes))
        call.client, call.agent, call.tenant, call.touched = client, agent, tenant, True
        made.append(call)
    return made


def next_version(version: str) -> str:
    major, minor, _ = version.split(".")
    return f"{major}.{int(minor) + 1}.0"
