"""Processes of this machine: whether one runs, and which boot they belong to."""

import os
from pathlib import Path


def boot_id() -> str:
    """Return the id of the current boot, which changes when the machine restarts; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Return whether a process with this id exists, whichever user it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's process
    return True
