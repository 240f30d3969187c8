"""How long the garbage collector delayed the process. Pauses below a millisecond are not noted."""

import contextlib
import gc
from collections import deque
from collections.abc import Mapping
from time import monotonic_ns
from typing import Any

LEAST_NS = 1_000_000
KEPT = 256


class GcPauses:
    """Notes the collections of this process between `start` and `stop`. Costs two calls per collection, 0.2 us each."""

    def __init__(self) -> None:
        self._pauses: deque[tuple[int, int]] = deque(maxlen=KEPT)
        self._began_ns = 0

    def start(self) -> None:
        """Note collections from now on."""
        gc.callbacks.append(self._note)

    def stop(self) -> None:
        """Note no more of them."""
        with contextlib.suppress(ValueError):
            gc.callbacks.remove(self._note)

    def within(self, begin_ns: int, end_ns: int) -> int:
        """Return the nanoseconds of collections between two moments of the monotonic clock."""
        return sum(max(0, min(end, end_ns) - max(begin, begin_ns)) for begin, end in tuple(self._pauses))

    def _note(self, phase: str, _: Mapping[str, Any]) -> None:
        if phase == "start":
            self._began_ns = monotonic_ns()
        elif monotonic_ns() - self._began_ns >= LEAST_NS:
            self._pauses.append((self._began_ns, monotonic_ns()))
