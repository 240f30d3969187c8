"""Processes of this machine: whether one runs, how one ended, and which boot they belong to."""

import os
import signal
from pathlib import Path

# Signals that a supervisor, a service manager or a person at a terminal sends to stop a process.
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


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


def exit_name(code: int) -> str:
    """Return an exit status as one word: `exit_3`, or the signal's name for a negative one: `SIGKILL`."""
    if code >= 0:
        return f"exit_{code}"
    return signal.Signals(-code).name if -code in signal.valid_signals() else f"signal_{-code}"


def ancestors(pid: int) -> list[int]:
    """Return the parents of a process up to the first process, the nearest first; [] where the system does not report them."""
    parents: list[int] = []
    while pid > 1 and pid not in parents[:-1]:
        try:
            # The name of the program, in parentheses, may have spaces.
            pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        parents.append(pid)
    return parents
