"""The CPU time of a thread and of the process, read from another thread, and how often the reading thread slept.

The last number distinguishes a held interpreter lock from a suspended process. A thread that waits for the lock wakes up every
`sys.getswitchinterval()` (5 ms) to ask for it (CPython, `take_gil`), which are voluntary context switches; a thread of a
suspended process makes none."""

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from logship.worker.thread_clock import own_clock

try:
    import resource

    _OWN_THREAD = getattr(resource, "RUSAGE_THREAD", None)
except ImportError:
    _OWN_THREAD = None


@dataclass(frozen=True, slots=True)
class Moment:
    """CPU time used so far. Without the clock of a thread (macOS) `loop_cpu_ns` is that of the process."""

    time_ns: int
    loop_cpu_ns: int
    process_cpu_ns: int


class Clocks:
    """Reads the clocks of the thread that made it. `now` is for one other thread, always the same."""

    def __init__(self) -> None:
        self._loop_cpu_ns = own_clock() or time.process_time_ns
        self._schedule = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")

    def now(self) -> Moment:
        """Return this moment: two system calls."""
        return Moment(time.monotonic_ns(), self._loop_cpu_ns(), time.process_time_ns())

    def waited_ns(self) -> int:
        """Return for how long the thread was ready to run and had no processor; 0 where the kernel does not report it."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(self._schedule.read_bytes().split()[1])
        return 0


def own_switches() -> int:
    """Return the voluntary context switches of this thread so far; -1 if the system does not count them by thread."""
    return resource.getrusage(_OWN_THREAD).ru_nvcsw if _OWN_THREAD is not None else -1
