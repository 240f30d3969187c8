"""Why an event loop did not run: judged from the clocks before and during the stall, and from samples of its thread."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from logship.worker.stalls.clocks import Moment
from logship.worker.stalls.stack import Stack

Reason: TypeAlias = Literal[
    "blocking_call",
    "computing",
    "interpreter_held",
    "garbage_collection",
    "many_callbacks",
    "not_scheduled",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class StackSample:
    """The loop's thread at one moment of a stall, the innermost call first.

    `late_ns`, `switches`: how late the watchdog itself was, and the voluntary context switches it made meanwhile;
    `waited_ns`: for how long the loop's thread had been ready without a processor so far; `task`: identity of the task."""

    moment: Moment
    late_ns: int
    switches: int
    waited_ns: int
    task: int
    stack: Stack


def reason_of(before: Moment, samples: Sequence[StackSample], gap_ns: int, gc_ns: int, limit_ns: int) -> Reason:
    """Return why a loop did not run for `gap_ns`.

    `before`: the last moment at which it ran; `gc_ns`: collections in the gap; `limit_ns`: from which a stall counts. A loop
    that used so much CPU time would have stalled on an idle machine too, however little of a processor it got."""
    if gc_ns * 2 >= gap_ns:
        return "garbage_collection"
    if not samples:
        return "unknown"
    late_ns = sum(sample.late_ns for sample in samples)
    loop_ns, process_ns = used_ns(before, samples)
    starved = loop_ns < limit_ns
    if late_ns * 2 >= gap_ns:
        switches = sum(sample.switches for sample in samples)
        if _was_held(late_ns, switches, max(loop_ns, process_ns), limit_ns):
            return "interpreter_held"
        return "not_scheduled" if starved else "computing"
    last = samples[-1].moment
    if sum(not sample.stack for sample in samples) * 2 > len(samples):
        # The loop was in no callback: it was ready to run.
        return "interpreter_held" if process_ns * 2 >= last.time_ns - before.time_ns else "not_scheduled"
    waited_ns = samples[-1].waited_ns - samples[0].waited_ns
    seen_ns = max(1, last.time_ns - samples[0].moment.time_ns)
    if len(samples) > 1 and waited_ns * 2 >= seen_ns and starved and loop_ns * 4 < gap_ns:
        return "not_scheduled"
    if len({sample.task for sample in samples}) * 2 > len(samples) > 2:
        return "many_callbacks"
    active = loop_ns / max(1, last.time_ns - before.time_ns) + waited_ns / seen_ns
    return "computing" if active >= 0.5 else "blocking_call"


def used_ns(before: Moment, samples: Sequence[StackSample]) -> tuple[int, int]:
    """Return the CPU time of (the loop's thread, the process) from `before` to the last sample."""
    last = samples[-1].moment
    return last.loop_cpu_ns - before.loop_cpu_ns, last.process_cpu_ns - before.process_cpu_ns


def held_by_another(before: Moment, samples: Sequence[StackSample]) -> bool:
    """Return whether another thread, rather than the loop's, held the interpreter lock."""
    loop_ns, process_ns = used_ns(before, samples)
    # The holder does not get half of a processor on a busy machine, but much more than the loop, which waits.
    return not any(sample.stack for sample in samples) or (
        loop_ns * 4 < process_ns and process_ns * 10 >= samples[-1].late_ns
    )


def _was_held(late_ns: int, switches: int, cpu_ns: int, limit_ns: int) -> bool:
    """Return whether the watchdog waited for the interpreter's lock, rather than that the process did not run.

    Half of the expected wake-ups are enough, because a busy machine delays them, beyond the two of a normal turn."""
    expected = late_ns / (sys.getswitchinterval() * 1e9)
    return switches >= expected / 2 + 2 or cpu_ns >= max(late_ns / 2, limit_ns * 0.7)
