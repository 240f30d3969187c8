"""Where the shipping thread delivers bundles: the agent's connection, a sink, or nothing."""

from typing import Protocol


class Outlet(Protocol):
    """Takes bundles from the feed that it was made with. Only the shipping thread calls it.

    `acks`: bundles delivered so far. `trouble`: why nothing is delivered at present, or "". `unreachable`: because nothing
    listens. `wants`: (descriptor, poll events) to wait for, or None. `deadline`: monotonic second at which `step` has
    something to do, or None. `step`: do what can be done without waiting. `room`: whether it would take another bundle now."""

    trouble: str
    unreachable: bool

    @property
    def acks(self) -> int: ...

    def wants(self) -> tuple[int, int] | None: ...
    def deadline(self) -> float | None: ...
    def step(self, now: float) -> None: ...
    def room(self) -> bool: ...
    def disconnect(self) -> None: ...


class NoAgent:
    """Delivers nothing (`LOGSHIP_AGENT=off`): events stay in the journal, up to its limit, for `logship` to read there."""

    acks = 1
    trouble = ""
    unreachable = False

    def wants(self) -> None:
        return None

    def deadline(self) -> None:
        return None

    def step(self, now: float) -> None:
        return None

    def room(self) -> bool:
        return False

    def disconnect(self) -> None:
        return None
