"""Log levels that an operator has set for a while: `<state>/levels.json`, which workers read.

A list of overrides as JSON. It is replaced as a whole; what has ended is left out with the next write."""

import contextlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from logship.errors import JournalUnreadable
from logship.state import mapping
from logship.state.home import Home

FILE: Final = "levels.json"
MOST_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class LevelOverride:
    """`level` for the workers of `service` ("": all) in `slot` (None: all), until `until_ns` (wall clock).

    `logger`: only for this logger of the standard library and those below it; "" for all loggers."""

    level: str
    until_ns: int
    service: str = ""
    slot: int | None = None
    logger: str = ""

    def concerns(self, service: str, slot: int | None, now_ns: int) -> bool:
        """Return whether it is in force for a worker."""
        return now_ns < self.until_ns and self.service in ("", service) and self.slot in (None, slot)

    def same_target(self, other: "LevelOverride") -> bool:
        """Return whether both are about the same workers and loggers."""
        return (self.service, self.slot, self.logger) == (other.service, other.slot, other.logger)


def read(state: Path) -> list[LevelOverride]:
    """Return the overrides in the state directory `state`, the last one that was set last; [] if there is no valid file."""
    with contextlib.suppress(OSError, JournalUnreadable, orjson.JSONDecodeError, TypeError):
        rows: list[dict[str, Any]] = orjson.loads(mapping.read(state / FILE, MOST_BYTES))
        return [LevelOverride(**row) for row in rows]
    return []


def add(state: Path, override: LevelOverride, now_ns: int) -> None:
    """Set an override; it replaces one for the same target. One that has ended removes it. StateUnusable, OSError."""
    Home(state).check()
    kept = [known for known in read(state) if known.until_ns > now_ns and not known.same_target(override)]
    rows = [asdict(known) for known in [*kept, override] if known.until_ns > now_ns]
    unfinished = state / f".{FILE}-{os.getpid()}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(orjson.dumps(rows))
    unfinished.rename(state / FILE)
