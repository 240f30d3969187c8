"""What this process uses: CPU time, memory, descriptors, threads and garbage collections."""

import contextlib
import gc
import os
import resource
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple

STATM: Final = Path("/proc/self/statm")
FDS: Final = Path("/proc/self/fd")
PAGE_BYTES: Final = resource.getpagesize()


class Vitals(NamedTuple):
    """Numbers of this process as of now. `collections`: of the three generations of the garbage collector.

    `resident_bytes` and `open_fds` are 0 where the system does not report them."""

    cpu_ns: int
    resident_bytes: int
    open_fds: int
    max_fds: int
    threads: int
    collections: tuple[int, ...]


def read() -> Vitals:
    """Return the numbers of this process."""
    return Vitals(
        cpu_ns=time.process_time_ns(),
        resident_bytes=_resident_bytes(),
        open_fds=_open_fds(),
        max_fds=max(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        threads=threading.active_count(),
        collections=tuple(generation["collections"] for generation in gc.get_stats()),
    )


def _resident_bytes() -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(STATM.read_bytes().split()[1]) * PAGE_BYTES
    return 0


def _open_fds() -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(FDS)) - 1  # the listing itself has one
    return 0
