"""What travels from a feed to an outlet: bundles of entries, each of which becomes one frame."""

from typing import Protocol


class Bundle(Protocol):
    """Entries of one journal, oldest first. `records`: how many.

    `body`: the entries end to end. `split`: two halves, the older one first. `done`: the agent has acknowledged it.
    `set_aside`: the agent refuses its only entry; keep that elsewhere and count it."""

    records: int

    def body(self) -> bytes | memoryview: ...
    def entries(self) -> list[bytes]: ...
    def split(self) -> "tuple[Bundle, Bundle]": ...
    def done(self) -> None: ...
    def set_aside(self) -> None: ...


class Feed(Protocol):
    """Where bundles come from. `next` returns None if there is nothing to send now."""

    def next(self) -> Bundle | None: ...
