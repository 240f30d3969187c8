"""Records with the fields, in the shape and with the texts that logship's workers give them."""

import random
from dataclasses import dataclass
from typing import Any

from benchmarks.incident_hours.plan import Call
from benchmarks.incident_hours.shop import Shop, UsualRoute
from logship.event import build

Record = dict[str, Any]
SLOW_NS = 1_000_000_000
FRAMES = (
    ("/srv/app/.venv/lib/python3.12/site-packages/starlette/routing.py", 715, "__call__"),
    ("/srv/app/.venv/lib/python3.12/site-packages/starlette/routing.py", 735, "app"),
    ("/srv/app/shop/handlers.py", 88, "endpoint"),
)
MESSAGES = {
    "TimeoutError": "upstream timed out after 5.0s",
    "sqlalchemy.exc.OperationalError": "connection pool exhausted",
    "KeyError": "'customer_id'",
    "httpx.ConnectError": "All connection attempts failed",
    "shop.errors.OutOfStock": "item {number} is out of stock",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """One run of one process. `fields`: those of all its events once it has its slot."""

    incarnation: str
    fields: Record
    unclaimed: Record


def identity(pick: random.Random, shop: Shop, slot: int | None, generation: int, supervisor: int, version: str) -> Identity:
    """Return the identity of a new run; `slot` None: the supervisor itself, with pid `supervisor`."""
    who = build.Worker(
        incarnation=f"{pick.getrandbits(96):024x}",
        service=shop.service,
        host=shop.host,
        pid=supervisor if slot is None else pick.randint(1000, 60_000),
        supervisor=1 if slot is None else supervisor,
        instance=str(shop.port),
        version=version,
        environment="production",
        slot=slot,
        generation=None if slot is None else generation,
        role="supervisor" if slot is None else "worker",
    )
    fields = who.fields()
    slotted = ("service.node.name", "logship.worker.slot", "logship.worker.generation")
    unclaimed = {name: value for name, value in fields.items() if name not in slotted}
    return Identity(who.incarnation, fields, unclaimed if slot is None else unclaimed | {"logship.worker.role": "process"})


def request(pick: random.Random, shop: Shop, call: Call, ids: str) -> Record:
    """Return the event of a finished request; `ids`: 48 hexadecimal digits."""
    route = shop.routes[call.route]
    path = path_of(pick, route)
    failed = call.status >= 500
    slow = call.took_ns > SLOW_NS
    milliseconds = call.took_ns // 1_000_000
    record: Record = {
        "log.level": "error" if failed else "warning" if slow else "info",
        "log.logger": build.REQUEST,
        "event.dataset": build.REQUEST,
        "event.action": "http-request",
        "event.category": ["web"],
        "event.type": ["access", "error"] if failed else ["access"],
        "event.outcome": "failure" if failed else "success",
        "event.reason": "server_error" if failed else "complete",
        "http.request.method": route.method,
        "http.route": route.path,
        "http.response.status_code": call.status,
        "http.response.mime_type": "text/plain" if failed else "application/json",
        "user_agent.original": call.agent,
        "url.domain": f"{shop.service}.example",
        "client.ip": call.client,
        "http.version": "1.1",
        "url.scheme": "https",
        "network.protocol": "http",
        "event.duration": call.took_ns,
        "http.request.body.bytes": 0 if route.method == "GET" else 40 + int(pick.random() * 4000),
        "http.response.body.bytes": 21 if failed else 80 + int(pick.random() * 20_000),
        "client.port": 1024 + int(pick.random() * 60_000),
        "logship.ttfb_ns": call.took_ns * 9 // 10,
        "logship.background_ns": 40_000,
        "event.start": build.time_text(call.at_ns),
        "trace.id": ids[:32],
        "span.id": ids[32:],
        "transaction.id": ids[32:],
        "url.path": path,
        "http.request.id": ids[:32],
        "message": f"{route.method} {path} {call.status} {milliseconds}ms",
        "labels": {"tenant": call.tenant},
    }
    if slow:
        record["tags"] = ["slow"]
    if call.error:
        record |= error(call.error, route, pick)
    return record


def path_of(pick: random.Random, route: UsualRoute) -> str:
    return route.path.replace("{id}", str(1 + int(pick.random() * 5000)))


def error(kind: str, route: UsualRoute, pick: random.Random) -> Record:
    """Return the fields of an exception that a route raised."""
    text = MESSAGES.get(kind, "unexpected state of item {number}").format(number=int(pick.random() * 5000))
    name = route.path.split("/")[1]
    own = (f"/srv/app/shop/{name}.py", 40 + len(route.path), f"{route.method.lower()}_{name}")
    frames = "\n".join(f'  File "{file}", line {line}, in {function}' for file, line, function in (*FRAMES, own))
    return {
        "error.type": kind,
        "error.message": text,
        "error.stack_trace": f"Traceback (most recent call last):\n{frames}\n{kind}: {text}",
        "error.id": f"{random.Random(kind + name).getrandbits(128):032x}",
    }


def line(message: str, level: str, logger: str, origin: tuple[str, int, str]) -> Record:
    """Return the event of a log call."""
    return {
        "message": message,
        "log.level": level,
        "log.logger": logger,
        "event.dataset": build.APP,
        "log.origin.file.name": origin[0],
        "log.origin.file.line": origin[1],
        "log.origin.function": origin[2],
    }
