"""Events about a worker that could not work: its event loop stood still, or its thread pool was exhausted."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from logship.event.build import WORKER, time_text

LOOP_STALLED, LOOP_STALLING = "loop-stalled", "loop-stalling"
POOL_EXHAUSTED, POOL_EXHAUSTING = "thread-pool-exhausted", "thread-pool-exhausting"

# event.reason of a stall -> the middle of its message, before the line. Their order is that of the counters in a metric file
# (`state/metric_file.py`): new ones go to the end.
REASONS: Final = {
    "blocking_call": "by a call that waited",
    "computing": "by computing",
    "interpreter_held": "by a call that held the interpreter lock",
    "garbage_collection": "by garbage collection",
    "many_callbacks": "by many callbacks in one round",
    "not_scheduled": "because the process did not run: it was suspended, or the machine was overloaded",
    "unknown": "",
}
# A stall with one of these reasons has no line.
WITHOUT_LINE: Final = frozenset({"not_scheduled", "many_callbacks", "unknown"})


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code, the stack above it as text, outermost call first, and the thread, "" for that of the event loop."""

    function: str
    file: str
    line: int
    stack: str = ""
    thread: str = ""

    def fields(self) -> dict[str, object]:
        return {
            "log.origin.function": self.function,
            "log.origin.file.name": self.file,
            "log.origin.file.line": self.line,
            "error.id": hashlib.blake2b(
                repr((self.file, self.function, self.line)).encode(), digest_size=16
            ).hexdigest(),
            **({"error.stack_trace": self.stack} if self.stack else {}),
            **({"process.thread.name": self.thread} if self.thread else {}),
        }

    def __str__(self) -> str:
        return f"{self.function} ({self.file}:{self.line})"


@dataclass(frozen=True, slots=True)
class Stall:
    """`start_ns`: wall clock; `reason`: a key of `REASONS`; `running`: requests in flight; `request`: fields of the request
    in whose context the code ran; `ended`: False for a stall that continues."""

    start_ns: int
    duration_ns: int
    reason: str
    running: int
    place: Place | None = None
    request: Mapping[str, object] = field(default_factory=dict)
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """All `size` threads of a pool were busy and calls waited for one, `waiting` at most. `place`: where most threads were."""

    start_ns: int
    duration_ns: int
    size: int
    waiting: int
    running: int
    place: Place | None = None
    ended: bool = True


def stalled(stall: Stall) -> dict[str, object]:
    """Return the event of a stall: `loop-stalled` after its end, `loop-stalling` while it lasts."""
    runs = stall.reason == "not_scheduled"
    message = f"event loop {'blocked' if stall.ended else 'still blocked after'} "
    message += f"{'for ' if stall.ended else ''}{_milliseconds(stall.duration_ns)} {REASONS[stall.reason]}".rstrip()
    if stall.place is not None:
        message += f" in {stall.place}"
    path = stall.request.get("http.route") or stall.request.get("url.path")
    if path:
        message += f", request {stall.request.get('http.request.method', '')} {path}".replace("  ", " ")
    message += f"; {_requests(stall.running)} running"
    action = LOOP_STALLED if stall.ended else LOOP_STALLING
    fields = _event(action, "info" if runs else "warning", message, stall.start_ns, stall.duration_ns)
    fields |= {"event.reason": stall.reason, "logship.requests.in_flight": stall.running, **stall.request}
    return fields | (stall.place.fields() if stall.place is not None else {})


def exhausted(pool: Exhaustion) -> dict[str, object]:
    """Return the event of an exhausted pool: `thread-pool-exhausted` after its end, `-exhausting` while it lasts."""
    message = f"all {pool.size} threads of the pool {'were' if pool.ended else 'have been'} busy for "
    message += f"{_milliseconds(pool.duration_ns)}; up to {pool.waiting} calls waited for one"
    if pool.place is not None:
        message += f"; most threads were in {pool.place}"
    action = POOL_EXHAUSTED if pool.ended else POOL_EXHAUSTING
    fields = _event(action, "warning", message, pool.start_ns, pool.duration_ns)
    fields |= {
        "logship.thread_pool.size": pool.size,
        "logship.thread_pool.waiting": pool.waiting,
        "logship.requests.in_flight": pool.running,
    }
    return fields | (pool.place.fields() if pool.place is not None else {})


def _event(action: str, level: str, message: str, start_ns: int, duration_ns: int) -> dict[str, object]:
    return {
        "message": message,
        "log.level": level,
        "log.logger": WORKER,
        "event.dataset": WORKER,
        "event.action": action,
        "event.category": ["process"],
        "event.type": ["info"],
        "event.start": time_text(start_ns),
        "event.duration": duration_ns,
    }


def _milliseconds(ns: int) -> str:
    return f"{ns / 1e6:.0f} ms" if ns < 1e9 else f"{ns / 1e9:.1f} s"


def _requests(count: int) -> str:
    return "1 request was" if count == 1 else f"{count} requests were"
