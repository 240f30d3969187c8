"""The CPU time of a thread, seen from other threads."""

import threading
import time
from collections.abc import Callable


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
