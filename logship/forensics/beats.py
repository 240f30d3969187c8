"""What heartbeats and end records say, read once for every report."""

from logship.event.fields import DROP_REASONS
from logship.search.query import Incarnation, Record

# Two heartbeats and a little: a worker that has not been heard for longer is not called alive.
ALIVE_NS = 25 * 10**9
# Clocks of two hosts differ. An event that is dated later than this proves nothing about now.
AHEAD_NS = 600 * 10**9


def dropped(beat: Record | None) -> dict[str, int]:
    """Return what was dropped up to `beat`, by reason, without the reasons that never occurred."""
    counts = {reason: number(beat, f"logship.dropped.{reason}") or 0 for reason in DROP_REASONS}
    return {reason: events for reason, events in counts.items() if events}


def number(beat: Record | None, field: str) -> int | None:
    """Return a whole number of `beat`, None if it has none."""
    value = beat.get(field) if beat else None
    return value if isinstance(value, int) else None


def state(life: Incarnation, now_ns: int) -> str:
    """Return how a life stands: alive, closed, lost, ended (without a word), or silent: not heard of, no end known.

    An event dated in the future is no sign of life."""
    if life.ended:
        return life.ended.removeprefix("worker-")
    return "alive" if -AHEAD_NS <= now_ns - life.last_ns <= ALIVE_NS else "silent"
