"""The CPU time of a thread, seen from other threads, and how long it waited for a CPU core."""

import threading
import time
from collections.abc import Callable
from pathlib import Path


def own_clock() -> Callable[[], int] | None:
    """Return a function for other threads that returns the CPU nanoseconds of the calling thread, 0 after its end.

    None where the system has no such clock (macOS)."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return None
    # Read on the thread itself: the clock of a thread that has ended must not be looked up.
    clock = time.pthread_getcpuclockid(threading.get_ident())

    def cpu_ns() -> int:
        try:
            return time.clock_gettime_ns(clock)
        except OSError:  # the thread has ended
            return 0

    return cpu_ns


def own_wait() -> Callable[[], int]:
    """Return a function that returns for how long the calling thread was ready and waited for a CPU core, in nanoseconds.

    It returns 0 where the system does not report it (other than Linux). Source: Linux, Documentation/scheduler/sched-stats.rst:
    the second number of /proc/<pid>/task/<tid>/schedstat."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")

    def wait_ns() -> int:
        try:
            return int(path.read_bytes().split()[1])
        except (OSError, IndexError, ValueError):
            return 0

    return wait_ns
