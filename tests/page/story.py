"""A quarter of an hour of a shop under four workers, as events: one is slow, one dies, one has most of the traffic.

For tests and pictures: the same events every time. Workers that are real are in test_browser.py."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MINUTE_NS = 60 * 10**9
ROUTES = (("GET", "/products", 5), ("GET", "/orders/{id}", 8), ("POST", "/checkout", 30), ("GET", "/export", 90))
SHARES = (0.16, 0.22, 0.17, 0.45)
TRACE = "Traceback (most recent call last):\n" + "".join(
    f'  File "/srv/shop/{name}.py", line {line}, in {name}\n    await {name}(request)\n'
    for name, line in (("middleware", 71), ("routing", 40), ("checkout", 46))
)

# What an event may hold at worst: markup, scripts, marks that turn the direction, control characters, formulas, length.
HOSTILE = {
    "markup": "<img src=x onerror=\"window.broken=1\"><script>window.broken=1</script><b>bold</b>&amp;",
    "template": "${window.broken=1} {{constructor.constructor('window.broken=1')()}} javascript:window.broken=1",
    "direction": "user \u202egnp.exe\u202c \u2066hidden\u2069 \u200f\u061c end",
    "controls": "\x1b[31mred\x1b[0m \x00nul \x07bell \x7f \u0085 \u200bzero\ufeff",
    "lines": "first\nsecond\r\nthird\ttabbed\u2028fourth",
    "formula": "=HYPERLINK(\"http://evil.example\",\"click\")",
    "long": "A" * 16_000 + "END",
    "quotes": "'; DROP TABLE events; -- \" \\ `$(id)`",
    "combining": "Z" + "\u0335" * 60 + "algo",
}
ABSURD_NAMES = {
    '<script>"x"': 1,
    "a b: c and (d)": 2,
    "__proto__": 3,
    "constructor": 4,
    "=cmd|calc": 5,
    "\u202eeman": 6,
    "n" * 300: 7,
}


@dataclass
class Life:
    """One life of one worker: hands out its sequence."""

    slot: int
    generation: int
    pid: int
    id: str
    sequence: int = 0
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def add(self, ns: int, dataset: str, message: str, **more: Any) -> dict[str, Any]:
        self.sequence += 1
        record = {
            "event.id": f"{self.id}-{self.sequence:012d}",
            "event.sequence": self.sequence,
            "event.kind": "event",
            "event.dataset": f"logship.{dataset}",
            "message": message,
            "log.level": "info",
            "service.name": "shop",
            "service.node.name": f"host-7/8000/w{self.slot}",
            "service.ephemeral_id": self.id,
            "host.name": "host-7",
            "process.pid": self.pid,
            "logship.worker.slot": self.slot,
            "logship.worker.generation": self.generation,
        } | {name.replace("__", "."): value for name, value in more.items()}
        self.events.append((ns, record))
        return record


def story(end_ns: int, requests: int = 3000, minutes: int = 15) -> list[tuple[int, dict[str, Any]]]:
    """Return the events, in the order they happened, the newest shortly before `end_ns`."""
    chance = random.Random(3)
    begin_ns = end_ns - minutes * MINUTE_NS
    death_ns = begin_ns + (end_ns - begin_ns) * 6 // 10
    lives = [Life(slot, 1, 4100 + slot, f"{slot:x}fe11ab1e5ca1ab1e0ddba{slot:x}1") for slot in range(4)]
    heir = Life(3, 2, 4177, "3f00dca5cade0ddba11cafe0")
    for life in lives:
        life.add(begin_ns, "worker", f"worker w{life.slot} started", event__action="worker-started")
    times = sorted(begin_ns + int(chance.random() * (end_ns - begin_ns)) for _ in range(requests))
    for number, ns in enumerate(times):
        slot = chance.choices(range(4), SHARES)[0]
        dead = slot == 3 and death_ns - 1_500_000_000 < ns < death_ns + 900_000_000
        if not dead:
            _request(heir if slot == 3 and ns > death_ns else lives[slot], ns, number, slot, chance)
    for life in (*lives, heir):
        first_ns = death_ns + 10**9 if life is heir else begin_ns
        _heartbeats(life, first_ns, death_ns if life is lives[3] else end_ns, chance)
    heir.add(death_ns + 820_000_000, "worker", "worker w3 started", event__action="worker-started")
    for life in (*lives, heir):
        _in_order(life)
    _death(lives[3], death_ns)
    return sorted((one for life in (*lives, heir) for one in life.events), key=lambda one: one[0])


def _request(life: Life, ns: int, number: int, slot: int, chance: random.Random) -> None:
    method, route, usual_ms = chance.choices(ROUTES, (30, 45, 18, 7))[0]
    took = int(chance.lognormvariate(0, 0.45) * usual_ms * 1e6)
    if slot == 1 and route == "/orders/{id}" and chance.random() < 0.2:
        took += int(chance.uniform(0.6, 2.4) * 1e9)
    path = route.replace("{id}", str(chance.randint(1, 2000)))
    request = f"{number:08x}{life.id[:24]}"
    failed = route == "/checkout" and number % 23 == 0
    usual = 201 if method == "POST" else 200
    status = 500 if failed else 404 if number % 41 == 0 else 304 if number % 37 == 0 else usual
    shared = {"http__request__id": request, "trace__id": request, "http__route": route}
    if method == "POST":
        plan = chance.choice(("free", "team", "business"))
        life.add(
            ns - took + 300_000, "app", "order placed", log__logger="shop.orders", labels={"plan": plan},
            numeric_labels={"total_cents": float(chance.randint(500, 90_000)), "order_id": float(number)},
            **shared,
        )  # fmt: skip
    more: dict[str, Any] = {}
    if failed:
        more = {
            "error__type": "shop.PaymentDeclined", "error__message": f"the card of order {number} was declined",
            "log__level": "error", "error__stack_trace": TRACE + "shop.PaymentDeclined: declined", "error__id": "5ca1ab1e" * 4,
        }  # fmt: skip
    life.add(
        ns, "request", f"{method} {path} {status} {took // 10**6}ms", event__action="http-request", event__duration=took,
        event__start=_text(ns - took), event__outcome="failure" if failed else "success",
        event__reason="server_error" if failed else "complete",
        http__request__method=method, http__response__status_code=status,
        http__response__body__bytes=chance.randint(20, 9000), http__request__body__bytes=53 if method == "POST" else 0,
        url__path=path, url__scheme="http", url__domain="shop.example", client__ip="127.0.0.1",
        user_agent__original="okhttp/4.12", logship__ttfb_ns=int(took * 0.9),
        logship__background_ns=20_000_000 if method == "POST" else 30_000,
        **shared, **more,
    )  # fmt: skip


def _heartbeats(life: Life, begin_ns: int, end_ns: int, chance: random.Random) -> None:
    for ns in range(begin_ns + 10**10, end_ns, 10**10):
        busy = life.slot == 1
        life.add(
            ns, "worker", "heartbeat", event__action="worker-heartbeat",
            logship__requests__in_flight=chance.choice((0, 0, 1, 1, 2, 4 if busy else 1)),
            logship__loop_lag__mean_ns=500_000,
            logship__loop_lag__max_ns=int(chance.lognormvariate(0, 0.8) * (4e7 if busy else 2e6)),
            logship__journal__bytes=2000,
        )  # fmt: skip


def _in_order(life: Life) -> None:
    """Number the events in the order they happened; heartbeats count up to their own number."""
    life.events.sort(key=lambda one: one[0])
    for number, (_, record) in enumerate(life.events, 1):
        record["event.sequence"], record["event.id"] = number, f"{life.id}-{number:012d}"
        if record["event.dataset"] == "logship.worker":
            record["logship.emitted"], record["logship.acknowledged"] = number, number - 1


def _death(life: Life, ns: int) -> None:
    life.events = [one for one in life.events if one[0] <= ns]
    life.sequence = len(life.events)
    requests = ["GET /report 1478ms", "GET /report 1476ms", "GET /export 212ms"]
    life.add(
        ns, "worker", f"worker lost with 3 requests in flight: {requests[0]} and 2 more",
        event__action="worker-lost", log__level="error", event__outcome="failure", event__reason="requests_in_flight",
        event__created=_text(ns + 530_000_000), logship__in_flight__count=3, logship__in_flight__requests=requests,
        logship__in_flight__ids=[f"dead{n:028x}" for n in range(3)], logship__requests__in_flight=3,
        logship__emitted=life.sequence + 1, logship__acknowledged=life.sequence,
    )  # fmt: skip


def hostile(end_ns: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield events that hold the worst in each place that people see: message, path, route, label, field name, error."""
    life = Life(9, 1, 6666, "bad0bad0bad0bad0bad0bad0")
    for number, (kind, text) in enumerate(HOSTILE.items()):
        life.add(
            end_ns - (number + 1) * 10**9, "request", text, event__action="http-request", event__duration=10**6,
            event__outcome="failure", http__request__method="GET", http__request__id=f"hostile-{kind}",
            http__response__status_code=500, http__route=text[:2000], url__path="/" + text[:4000], url__scheme="http",
            url__domain="shop.example", user_agent__original=text[:2000], error__type=text[:200], error__message=text,
            error__stack_trace=text, labels={"kind": kind, "text": text[:4000]},
        )  # fmt: skip
    life.add(
        end_ns - 10**8, "app", "absurd names", http__request__id="hostile-names",
        labels=dict.fromkeys(ABSURD_NAMES, "<i>value</i>"),
        numeric_labels={name: float(n) for name, n in ABSURD_NAMES.items()},
    )  # fmt: skip
    yield from life.events


def _text(ns: int) -> str:
    from logship.search.times import rfc3339

    return rfc3339(ns)
