"""What a store keeps: by configured age and size, and for no other reason.

An event counts by its `@timestamp` if that is plausible. An event with an implausible time neither keeps the events around it
forever nor is removed at once: it counts from when its file was written."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from logship.store.plausible import DAY_NS

# Below this much free space no events are accepted, because sealing needs room. On a small disk it is a twentieth.
FLOOR_BYTES = 64 * 2**20
FLOOR_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Retention:
    """What to keep; 0 means no limit. `disk_percent`: of the disk that holds the store."""

    days: float = 0
    limit_bytes: int = 0
    disk_percent: float = 0

    def most_bytes(self, directory: Path) -> int:
        """Return the smaller of the two size limits in bytes, 0 if there is none."""
        of_disk = int(shutil.disk_usage(directory).total * self.disk_percent / 100) if self.disk_percent else 0
        return min(filter(None, (self.limit_bytes, of_disk)), default=0)

    def before_ns(self, now_ns: int) -> int | None:
        """Return the time before which an event is too old, None without an age limit."""
        return now_ns - int(self.days * DAY_NS) if self.days > 0 else None


def room(directory: Path) -> tuple[int, int]:
    """Return how many bytes of the disk are free, and how many must be free to accept events."""
    disk = shutil.disk_usage(directory)
    return disk.free, min(FLOOR_BYTES, int(disk.total * FLOOR_SHARE))
