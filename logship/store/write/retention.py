"""What a store may let go, and when: by configured age and size, and for no other reason.

An event counts by its `@timestamp`, if that is plausible. A clock that was never set says 1970 or 2000, and others lie far
in the future: such an event neither keeps those around it for ever nor goes at once, but counts from when its file was
written."""

import shutil
from dataclasses import dataclass
from pathlib import Path

DAY_NS = 86_400 * 10**9
PLAUSIBLE_FROM_NS = 978_307_200 * 10**9  # 2001
PLAUSIBLE_AHEAD_NS = DAY_NS
# Below this much free space nothing is accepted: sealing what is stored needs room. Of a small disk it is a twentieth.
FLOOR_BYTES = 64 * 2**20
FLOOR_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Retention:
    """What to keep; 0: no limit. `disk_percent`: of the disk that holds the store."""

    days: float = 0
    limit_bytes: int = 0
    disk_percent: float = 0

    def most_bytes(self, directory: Path) -> int:
        """Return how many bytes the store may take, the smaller limit of two; 0: as many as there are."""
        of_disk = int(shutil.disk_usage(directory).total * self.disk_percent / 100) if self.disk_percent else 0
        return min(filter(None, (self.limit_bytes, of_disk)), default=0)

    def before_ns(self, now_ns: int) -> int | None:
        """Return before which time an event is too old, None when none is."""
        return now_ns - int(self.days * DAY_NS) if self.days > 0 else None


def plausible(now_ns: int) -> tuple[int, int]:
    """Return the first and the last plausible time of an event."""
    return PLAUSIBLE_FROM_NS, now_ns + PLAUSIBLE_AHEAD_NS


def room(directory: Path) -> tuple[int, int]:
    """Return how many bytes of the disk are free, and how many must be so that events are accepted."""
    disk = shutil.disk_usage(directory)
    return disk.free, min(FLOOR_BYTES, int(disk.total * FLOOR_SHARE))
