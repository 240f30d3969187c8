"""Files that a segment has replaced: they stay for a moment, because a running query may still read them."""

import threading
import time
from pathlib import Path

from logship.store.files import Segment, number_of

GRACE_SECONDS = 3.0


class Superseded:
    """Superseded files in the order in which they are due. Any thread may use it."""

    def __init__(self) -> None:
        self._due: list[tuple[float, Path]] = []
        # Without it, an `add` between the two steps of `keep` would bring back what must stay, and of two threads that remove
        # files, each would skip some.
        self._turn = threading.Lock()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, *paths: Path) -> None:
        """Remove these files after the grace period."""
        due = time.monotonic() + GRACE_SECONDS
        with self._turn:
            self._due += [(due, path) for path in paths]

    def keep(self, segment: Segment) -> None:
        """Keep what this segment superseded: it is damaged, and the older files hold the same events."""
        held = range(segment.first, segment.last + 1)
        with self._turn:
            self._due = [(due, path) for due, path in self._due if number_of(path.name) not in held]

    def remove_due(self) -> None:
        """Remove the files whose grace period is over."""
        self._remove_until(time.monotonic())

    def remove_all(self) -> None:
        """Remove all superseded files now."""
        self._remove_until(float("inf"))

    def _remove_until(self, now: float) -> None:
        with self._turn:
            while self._due and self._due[0][0] <= now:
                self._due[0][1].unlink(missing_ok=True)
                self._due.pop(0)
