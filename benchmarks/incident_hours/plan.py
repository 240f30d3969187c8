"""What happens in an hour: the plan of an incident, or of something harmless, and the truth that is sealed beside it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.incident_hours.shop import Shop

SECOND, MINUTE = 10**9, 60 * 10**9


@dataclass(slots=True)
class Call:
    """One request before it is an event. `route`: index in the routes of the shop; `error`: class of the exception, or "".

    `touched`: the plan changed it."""

    at_ns: int
    route: int
    slot: int
    tenant: str
    client: str
    agent: str
    took_ns: int
    status: int
    error: str = ""
    touched: bool = False

    def fail(self, error: str, status: int = 500) -> None:
        self.status, self.error, self.touched = status, error, True


@dataclass(frozen=True, slots=True)
class Line:
    """A log line of a worker outside of a request."""

    at_ns: int
    slot: int
    message: str
    level: str = "info"
    logger: str = "shop.jobs"


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a run. `how`: closed, killed or oom; `down_ns` until the replacement starts, with `version` if it is another."""

    slot: int
    at_ns: int
    how: str
    down_ns: int = 900_000_000
    version: str = ""


@dataclass(frozen=True, slots=True)
class LoopStall:
    """The event loop of a worker does not run. `reason`: as of a loop-stalled event; `function`: whose line blocks it."""

    slot: int
    at_ns: int
    length_ns: int
    reason: str = "garbage_collection"
    function: str = "to_json"


@dataclass(frozen=True, slots=True)
class Loss:
    """Events of a worker that are not stored: counted by it under a reason (`dropped`), or not."""

    slot: int
    at_ns: int
    events: int
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding is right if its kind is one of `kinds` and it names all `fields` and the `worker` (a node name) given here."""

    kinds: tuple[str, ...]
    fields: dict[str, str] = field(default_factory=dict)
    worker: str = ""
    words: str = ""


@dataclass(slots=True)
class Plan:
    """`change` gets each request that begins in [began, ended), and returns False to remove it; `rate`: factor of the traffic
    at a time, at most `rate_limit`; `prepare` changes the usual traffic, also before the window."""

    kind: str
    began_ns: int = 0
    ended_ns: int = 0
    accepted: list[Accepted] = field(default_factory=list)
    change: Callable[[Call], bool] | None = None
    rate: Callable[[int], float] | None = None
    rate_limit: float = 1.0
    extra: list[Call] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    stalls: list[LoopStall] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    # Requests that are running when their worker is killed: (slot, milliseconds, route).
    hanging: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Truth:
    """What was planted. `accepted` is empty for a quiet hour; times in nanoseconds, None without a moment.

    `touched`: how many events it changed, added or removed."""

    kind: str
    size: str
    accepted: list[Accepted]
    began_ns: int | None
    ended_ns: int | None
    touched: int


def truth_of(sealed: Mapping[str, Any]) -> Truth:
    """Return a truth from its JSON."""
    accepted = [Accepted(**{**one, "kinds": tuple(one["kinds"])}) for one in sealed["accepted"]]
    return Truth(**{**sealed, "accepted": accepted})


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a plan is made: the shop, the window, and the seeded chance."""

    pick: random.Random
    shop: Shop
    before_ns: int
    since_ns: int
    until_ns: int

    def span(self, minutes: tuple[float, float]) -> tuple[int, int]:
        """Return a beginning in the window, and an end after so many minutes, at most the end of the window."""
        length = int(self.pick.uniform(*minutes) * MINUTE)
        latest = max(6 * MINUTE, min(50 * MINUTE, self.until_ns - self.since_ns - length))
        began = self.since_ns + int(self.pick.uniform(5 * MINUTE, latest))
        return began, min(self.until_ns, began + length)

    def worker(self) -> int:
        return self.pick.randrange(len(self.shop.shares))

    def expected(self, share: float, began_ns: int, ended_ns: int) -> float:
        """Return how many requests a part of the traffic has in a span."""
        return share * self.shop.per_second * (ended_ns - began_ns) / SECOND
