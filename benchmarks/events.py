"""A seeded day of requests of a shop: the same records in the same order each time, encoded as logship does.

Six workers of one service; worker 3 handles a quarter of the requests and is a quarter slower. 40 routes and 20,000 clients
follow a Zipf distribution, ids in paths a Pareto distribution. One request in a hundred fails with a stack trace, with a burst
of failures on worker 3 after 60 % of the records. Records arrive up to 0.8 s late, like batches of several workers. Every tenth
request has an id of its gateway; the others have their trace's id, as logship generates them."""

import random
import time
from collections.abc import Iterator
from typing import Any

BEGIN_NS = 1_795_132_800 * 10**9  # 2026-11-20T00:00:00Z
WORKERS = 6
PER_SECOND = 58
LIVES = tuple(f"{0xABCDEF0123456789ABCD0000 + slot:024x}" for slot in range(WORKERS))
WEIGHTS = (0.15, 0.15, 0.16, 0.24, 0.15, 0.15)
RESOURCES = "users orders items carts invoices search sessions reports payments webhooks".split()
FAILURES = (
    ("TimeoutError", "upstream timed out after 5.0s"),
    ("sqlalchemy.exc.OperationalError", "connection pool exhausted"),
    ("KeyError", "'customer_id'"),
    ("httpx.ConnectError", "All connection attempts failed"),
    ("ValueError", "invalid literal for int() with base 10: 'abc'"),
    ("asyncio.CancelledError", "task cancelled"),
)
FRAMES = (
    'starlette/middleware/errors.py", line 165, in __call__\n    await self.app(scope, receive, _send)',
    'starlette/routing.py", line {}, in __call__\n    await self.middleware_stack(scope, receive, send)',
    'fastapi/routing.py", line {}, in app\n    raw_response = await run_endpoint_function(dependant=dependant)',
    'shop/handlers/{}.py", line {}, in endpoint\n    result = await service.execute(request_id={})',
    'shop/db.py", line {}, in execute\n    return await asyncio.wait_for(self._run(q), timeout=5.0)',
)
HEARTBEAT_NS = 10 * 10**9
LATE_NS = 800_000_000

Entry = tuple[int, dict[str, Any]]


def zipf(count: int, power: float) -> list[float]:
    """Return cumulative weights for random.choices."""
    total, out = 0.0, []
    for rank in range(1, count + 1):
        total += rank**-power
        out.append(total)
    return out


class Shop:
    """Generates the records. `batches` may be called once."""

    def __init__(self, seed: int = 7, own_request_ids: float = 0.1) -> None:
        self.random = random.Random(seed)
        self.own_request_ids = own_request_ids
        pick = self.random
        self.routes = [
            (method, f"/api/v1/{name}{end}")
            for name in RESOURCES
            for method, end in (("GET", ""), ("GET", "/{id}"), ("POST", ""), ("PUT", "/{id}"))
        ]
        pick.shuffle(self.routes)
        self.median_ms = [2.71828 ** pick.gauss(2.5, 0.9) for _ in self.routes]
        self.agents = [self.agent(number) for number in range(300)]
        self.clients = [
            f"{pick.randint(1, 223)}.{pick.randint(0, 255)}.{pick.randint(0, 255)}.{pick.randint(1, 254)}"
            for _ in range(20_000)
        ]
        self.sequences = [0] * WORKERS
        self.emitted_at = [BEGIN_NS] * WORKERS
        self.who = [
            {
                "ecs.version": "9.4.0", "event.kind": "event", "event.module": "logship", "service.name": "shop",
                "service.version": "2.14.1", "service.environment": "production",
                "service.node.name": f"web-1/shop/w{slot}", "service.ephemeral_id": LIVES[slot], "host.name": "web-1",
                "process.pid": 4100 + slot, "process.parent.pid": 4099, "logship.worker.slot": slot,
                "logship.worker.generation": 1,
            }
            for slot in range(WORKERS)
        ]  # fmt: skip

    def agent(self, number: int) -> str:
        version, pick = 90 + number % 60, self.random.randint
        return (
            (
                f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0."
                f"{pick(1000, 7000)}.{pick(1, 200)} Safari/537.36"
            ),
            (
                f"Mozilla/5.0 (iPhone; CPU iPhone OS {version // 6}_{number % 7} like Mac OS X) AppleWebKit/605.1.15 "
                f"(KHTML, like Gecko) Version/{version // 6}.{number % 5} Mobile/15E148 Safari/604.1"
            ),
            f"python-httpx/0.{version // 4}.{number % 9}",
            f"okhttp/4.{number % 13}.{number % 4}",
        )[number % 4]

    def batches(self, records: int, size: int) -> Iterator[list[Entry]]:
        """Yield batches of `size` in order of arrival, `records` in total, including heartbeats."""
        made, at_ns = 0, BEGIN_NS
        while made < records:
            count = min(size, records - made)
            at_ns, chunk = self.chunk(at_ns, count, made, records)
            chunk.sort(key=arrival_ns)
            made += len(chunk)
            yield chunk

    def chunk(self, at_ns: int, count: int, made: int, records: int) -> tuple[int, list[Entry]]:
        pick = self.random
        routes = pick.choices(range(len(self.routes)), cum_weights=zipf(len(self.routes), 1.1), k=count)
        slots = pick.choices(range(WORKERS), WEIGHTS, k=count)
        agents = pick.choices(self.agents, cum_weights=AGENT_WEIGHTS, k=count)
        clients = pick.choices(self.clients, cum_weights=CLIENT_WEIGHTS, k=count)
        tenants = pick.choices(range(200), cum_weights=TENANT_WEIGHTS, k=count)
        bits = f"{pick.getrandbits(count * 192):0{count * 48}x}"
        low, high = int(records * 0.6), int(records * 0.6) + records // 200
        entries: list[Entry] = []
        for at in range(count):
            at_ns += int(pick.expovariate(PER_SECOND) * 1e9)
            slot, number = slots[at], made + at
            self.sequences[slot] += 1
            if at_ns - self.emitted_at[slot] > HEARTBEAT_NS:
                self.emitted_at[slot] = at_ns
                entries.append((at_ns, self.heartbeat(slot)))
                continue
            ids = bits[48 * at : 48 * at + 48]
            failing = 0.3 if slot == 3 and low <= number < high else 0.01
            route, client = routes[at], clients[at]
            record = self.request(at_ns, slot, route, ids, number, failing)
            record["user_agent.original"], record["client.ip"] = agents[at], client
            record["labels"]["tenant"] = f"tenant-{tenants[at]:03d}"
            record["labels"]["region"] = ("eu-west-1", "eu-central-1", "us-east-1")[tenants[at] % 3]
            entries.append((at_ns, record))
        return at_ns, entries

    def request(self, at_ns: int, slot: int, route: int, ids: str, number: int, failing: float) -> dict[str, Any]:
        pick = self.random
        (method, template), luck = self.routes[route], pick.random()
        status = self.status(method, luck, failing)
        path = template.replace("{id}", str(int(pick.paretovariate(1.0) * 50) % 200_000))
        late = 20 if status == 504 else 1.25 if slot == 3 else 1
        duration = int(self.median_ms[route] * 1e6 * 2.71828 ** pick.gauss(0, 0.7) * late)
        trace, span = ids[:32], ids[32:]
        own = pick.random() < self.own_request_ids
        record = {
            **self.who[slot],
            "log.level": "error" if status >= 500 else "info",
            "log.logger": "logship.request",
            "event.dataset": "logship.request",
            "event.action": "http-request",
            "event.category": ["web"],
            "event.type": ["access", "error"] if status >= 500 else ["access"],
            "event.outcome": "failure" if status >= 500 else "success",
            "event.reason": "server_error" if status >= 500 else "complete",
            "http.request.method": method,
            "http.route": template,
            "http.response.status_code": status,
            "http.response.mime_type": "application/json",
            "user_agent.original": "",
            "url.domain": "shop.example",
            "client.ip": "",
            "http.version": "1.1",
            "url.scheme": "https",
            "network.protocol": "http",
            "event.duration": duration,
            "http.request.body.bytes": 0 if method == "GET" else pick.randrange(40, 4000),
            "http.response.body.bytes": pick.randrange(80, 20_000),
            "client.port": pick.randrange(1024, 65_536),
            "logship.ttfb_ns": int(duration * 0.9),
            "logship.background_ns": pick.randrange(400, 3000),
            "event.start": stamp(at_ns - duration),
            "trace.id": trace,
            "span.id": span,
            "transaction.id": span,
            "event.sequence": self.sequences[slot],
            "event.id": f"{LIVES[slot]}-{self.sequences[slot]:012d}",
            "url.path": path,
            "http.request.id": f"{span[:8]}-{trace[:4]}-4{trace[5:8]}-a{trace[9:12]}-{trace[12:24]}" if own else trace,
            "message": f"{method} {path} {status} {duration // 1_000_000}ms",
            "labels": {},
        }
        if luck > 0.98:
            record["labels"][f"flag_{number % 37}"] = "on"
        if 0.9 < luck < 0.95:
            record["numeric_labels"] = {"retry": number % 5}
        if status >= 500:
            kind, text = pick.choices(FAILURES, (0.25, 0.3, 0.15, 0.15, 0.1, 0.05))[0]
            record |= {"error.type": kind, "error.message": text, "error.id": f"{hash_of(kind, template):016x}"}
            record["error.stack_trace"] = stack(kind, text, template, number)
        return record

    def status(self, method: str, luck: float, failing: float) -> int:
        if luck < failing:
            return 500 if luck < failing * 0.7 else 503 if luck < failing * 0.85 else 504
        for limit, status in ((0.03, 404), (0.045, 401), (0.06, 422)):
            if luck < failing + limit:
                return status
        return 201 if method == "POST" else 200

    def heartbeat(self, slot: int) -> dict[str, Any]:
        sequence = self.sequences[slot]
        return {
            **self.who[slot], "message": f"{sequence} events, 3 requests in flight", "log.level": "info",
            "log.logger": "logship.worker", "event.dataset": "logship.worker", "event.action": "worker-heartbeat",
            "event.category": ["process"], "event.type": ["info"], "logship.emitted": sequence,
            "logship.acknowledged": sequence - 1, "logship.journal.bytes": 4096, "logship.requests.in_flight": 3,
            "logship.loop_lag.mean_ns": 90_000, "logship.loop_lag.max_ns": 4_000_000, "event.sequence": sequence,
            "event.id": f"{LIVES[slot]}-{sequence:012d}",
        }  # fmt: skip


AGENT_WEIGHTS, CLIENT_WEIGHTS, TENANT_WEIGHTS = zipf(300, 1.0), zipf(20_000, 0.9), zipf(200, 1.0)


def arrival_ns(entry: Entry) -> int:
    """Return arrival times: each worker ships its records in order every 0.8 s, at different moments."""
    offset = entry[1]["logship.worker.slot"] * LATE_NS // WORKERS
    return (entry[0] - offset) // LATE_NS * LATE_NS + offset


def stamp(ns: int) -> str:
    second, rest = divmod(ns, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{rest:09d}Z"


def hash_of(*words: str) -> int:
    return int.from_bytes("".join(words).encode()[:8].rjust(8), "big")


def stack(kind: str, text: str, route: str, number: int) -> str:
    handler = route.split("/")[3]
    frames = (
        FRAMES[0],
        FRAMES[1].format(700 + number % 60),
        FRAMES[2].format(290 + number % 30),
        FRAMES[3].format(handler, 20 + number % 400, number % 5000),
        FRAMES[4].format(100 + number % 40),
    )
    lines = "\n".join(f'  File "/srv/app/{frame}' for frame in frames)
    return f"Traceback (most recent call last):\n{lines}\n{kind}: {text}"
