"""Forty minutes of a shop under four workers, as its workers would tell them: the same events on every machine.

Every instant and every duration is there once, so that an order is an order in every store. A worker dies and comes back,
each reason for a drop occurs, some requests have no route, some no status, a few were told before their worker had a slot."""

import random
from collections.abc import Iterator
from typing import Any

from logship.event.fields import DROP_REASONS
from logship.search.times import from_rfc3339, rfc3339

Entry = tuple[int, dict[str, Any]]

SECOND, MINUTE = 10**9, 60 * 10**9
BEGIN = from_rfc3339("2026-11-20T10:00:00Z")
END = BEGIN + 40 * MINUTE
DEATH = BEGIN + 22 * MINUTE
ROUTES = (
    ("GET", "/orders/{id}", 55),
    ("GET", "/products", 25),
    ("POST", "/checkout", 14),
    ("GET", "/export", 4),
    ("GET", "", 2),
)
LOGGERS = ("shop.orders", "shop.mail", "shop.bank")
# A request id that has a request and lines of the application.
STORY = "req-000042"
# Numbered, and in no store.
LOST_LIFE = "31".ljust(24, "c")
LOST = {f"{LOST_LIFE}-{sequence:012d}" for sequence in (400, 401, 402, 700, 1001)}


class Life:
    """One life of one worker: numbers its events."""

    def __init__(self, slot: int, generation: int) -> None:
        self.id = f"{slot:x}{generation:x}".ljust(24, "c")
        self.slot, self.generation, self.pid, self.sequence = slot, generation, 4000 + 10 * slot + generation, 0

    def tells(self, at_ns: int, **fields: object) -> Entry:
        """One event."""
        self.sequence += 1
        record: dict[str, Any] = {
            "event.id": f"{self.id}-{self.sequence:012d}", "event.sequence": self.sequence, "event.kind": "event",
            "event.module": "logship", "service.name": "shop", "service.ephemeral_id": self.id, "process.pid": self.pid,
            "host.name": "host-1", "log.level": "info", "message": "-",
        }  # fmt: skip
        if at_ns > BEGIN + 2 * SECOND:
            record |= {
                "service.node.name": f"host-1/shop@8000/w{self.slot}",
                "logship.worker.slot": self.slot,
                "logship.worker.generation": self.generation,
            }
        return at_ns, record | {name.replace("__", "."): value for name, value in fields.items() if value is not None}


def entries() -> list[Entry]:
    """Every event that was not lost, oldest first."""
    return [one for one in everything() if one[1]["event.id"] not in LOST]


def everything() -> list[Entry]:
    """Every event, oldest first."""
    chance = random.Random(11)
    lives = [Life(slot, 1) for slot in range(4)]
    reborn = Life(2, 2)
    found: list[Entry] = []
    for second in range(40 * 60):
        at_ns = BEGIN + second * SECOND
        if at_ns == DEATH + SECOND:
            lives[2] = reborn
        found += _second(chance, lives, at_ns)
    assert len({at for at, _ in found}) == len(found)
    return sorted(found, key=lambda entry: entry[0])


def documents() -> list[dict[str, Any]]:
    """The same for Elasticsearch."""
    return [{"@timestamp": rfc3339(at_ns), **record} for at_ns, record in entries()]


def _second(chance: random.Random, lives: list[Life], at_ns: int) -> Iterator[Entry]:
    for _ in range(chance.choice((2, 3, 3, 4))):
        yield from _request(chance, chance.choice(lives[: chance.choice((2, 4, 4))]), at_ns + chance.randrange(SECOND))
    for life in lives:
        # Each at a millisecond of its own, so that no two events have one instant.
        own = at_ns + (life.slot + 1) * 1_000_003
        if (at_ns - BEGIN) % (30 * SECOND) == 0:
            yield _beat(chance, life, own, "worker-heartbeat" if at_ns > BEGIN else "worker-started")
        if life.slot == 2 and at_ns == DEATH:
            cut = {"logship__in_flight__count": 2, "logship__in_flight__ids": ["a", "b"], "event__outcome": "failure"}
            cut |= {"logship__in_flight__requests": ["GET /export 900ms", "GET /export 10ms"], "process__exit_code": -9}
            yield _beat(chance, life, own + 1, "worker-lost", event__reason="killed", **cut)
        if at_ns == END - SECOND:
            yield _beat(chance, life, own + 2, "worker-closed", event__reason="stopped")


def _request(chance: random.Random, life: Life, at_ns: int) -> Iterator[Entry]:
    number = int(chance.random() * 10**9)
    method, route, _ = chance.choices(ROUTES, [weight for *_, weight in ROUTES])[0]
    status: int | None = chance.choices((200, 201, 404, 500, 503), (90, 4, 3, 2, 1))[0] if route else 404
    reason = "complete"
    if chance.random() < 0.004:
        status, reason = None, "client_disconnected"
    failed = status is not None and status >= 500
    # The remainder is its instant: no two durations are the same.
    duration = int(chance.lognormvariate(2.2, 0.8) * 10**6) // 10**4 * 10**4 + at_ns % 9973
    id_ = STORY if at_ns // SECOND == BEGIN // SECOND + 600 else f"req-{number:09d}"
    shared = {"http__request__id": id_, "trace__id": f"{number:032x}"}
    if route == "/checkout":
        yield life.tells(
            at_ns - 1000 - number % 997, event__dataset="logship.app", log__logger=chance.choice(LOGGERS),
            labels={"plan": "team"}, numeric_labels={"total_cents": float(number % 9000)}, message="order placed",
            log__level=chance.choice(("debug", "info", "info", "warning")), **shared,
        )  # fmt: skip
    if failed:
        yield life.tells(
            at_ns - 10, event__dataset="logship.app", log__logger="shop.bank", log__level="error", message="the bank said no",
            error__type="shop.Declined", error__message="card was declined", **shared,
        )  # fmt: skip
    error = (
        {"error__type": "shop.Declined", "error__message": "card was declined", "log__level": "error"} if failed else {}
    )
    yield life.tells(
        at_ns, event__dataset="logship.request", event__action="http-request", event__duration=duration, event__reason=reason,
        event__outcome="failure" if failed else "success", http__request__method=method, http__route=route or None,
        url__path=(route or "/nothing").replace("{id}", str(number % 2000)), http__response__status_code=status,
        http__response__body__bytes=number % 5000, client__ip=f"10.0.0.{number % 250}", event__category=["web"],
        message=f"{method} {route} {status}", **shared, **error,
    )  # fmt: skip
    if chance.random() < 0.01:
        yield life.tells(at_ns + 20, event__dataset="logship.request", event__action="ws-open", message="WS /chat")


def _beat(chance: random.Random, life: Life, at_ns: int, action: str, **more: object) -> Entry:
    late = at_ns > BEGIN + 15 * MINUTE
    drops = {f"logship__dropped__{reason}": number for number, reason in enumerate(DROP_REASONS, 2)}
    counters: dict[str, object] = {
        "logship__emitted": life.sequence + 1, "logship__acknowledged": life.sequence,
        "logship__journal__bytes": chance.randrange(90_000),
        "logship__requests__in_flight": chance.randrange(12), "logship__loop_lag__max_ns": chance.randrange(10**5, 10**8),
        **{name: number if late and life.slot == 3 else 0 for name, number in drops.items()},
    }  # fmt: skip
    known = {} if action == "worker-started" else counters
    level = "error" if action == "worker-lost" else "info"
    told = {"event__dataset": "logship.worker", "event__action": action, "message": action, "log__level": level}
    return life.tells(at_ns, **(told | known | more))
