"""Counters and states from heartbeats and end records, for every report."""

from logship.event.fields import DROP_REASONS
from logship.search.query import Incarnation, Record

# Two heartbeats and a margin: a worker without an event for longer is not called alive.
ALIVE_NS = 25 * 10**9
# Clocks of two hosts differ. An event dated further in the future proves nothing about the present.
AHEAD_NS = 600 * 10**9


def dropped(beat: Record | None) -> dict[str, int]:
    """Return how many events were dropped up to `beat`, by reason, without reasons that never occurred."""
    counts = {reason: number(beat, f"logship.dropped.{reason}") or 0 for reason in DROP_REASONS}
    return {reason: events for reason, events in counts.items() if events}


def number(beat: Record | None, field: str) -> int | None:
    """Return a whole number of `beat`, None if it has none."""
    value = beat.get(field) if beat else None
    return value if isinstance(value, int) else None


def state(run: Incarnation, now_ns: int) -> str:
    """Return the state of a run: alive, closed (orderly), lost (crashed), ended (without a report of its requests), or silent (no
    heartbeat for a while and no recorded end). An event dated in the future does not make it alive."""
    if run.ended:
        return run.ended.removeprefix("worker-")
    return "alive" if -AHEAD_NS <= now_ns - run.last_ns <= ALIVE_NS else "silent"
