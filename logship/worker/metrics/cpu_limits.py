"""Which CPU cores this process may use: by affinity, and by the quota of its control group."""

import contextlib
import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Final

# A container sees its own control group here (cgroup v2): "200000 100000" are two cores, "max 100000" means no limit.
QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def fields(quota: Path = QUOTA) -> dict[str, object]:
    """Return the limits as fields of a heartbeat, without those that the system does not report."""
    limits: dict[str, object] = {}
    with contextlib.suppress(AttributeError, OSError):  # macOS has no affinity
        limits["logship.process.cpus"] = cpu_list(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        allowed_us, period_us = map(int, quota.read_text().split())
        limits["logship.process.cpu_quota"] = round(allowed_us / period_us, 3)
    return limits


def cpu_list(cpus: Iterable[int]) -> str:
    """Return numbers of CPU cores in the format of the kernel: 0-3,6."""
    runs = groupby(enumerate(sorted(cpus)), lambda placed: placed[1] - placed[0])
    spans = [[cpu for _, cpu in run] for _, run in runs]
    return ",".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)
