"""The process that starts and watches workers: its role, and the exit of its workers as events."""

import contextlib
import functools
import signal
from pathlib import Path
from typing import Any

from logship.event import build
from logship.state import metric_totals
from logship.state.home import home_of
from logship.state.processes import STOP_SIGNALS
from logship.worker import registry
from logship.worker.capture import install as capture

CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")


def mark(supervisor: Any) -> None:
    """Patch the class `supervisor`: the process that calls its `run` has the role supervisor, and its log is captured."""
    run = supervisor.run

    @functools.wraps(run)
    def logged_run(self: Any, *args: Any, **kwargs: Any) -> Any:
        registry.set_role("supervisor")
        capture.reassert()
        return run(self, *args, **kwargs)

    supervisor.run = logged_run


def record_exit(pid: int | None, code: int | None, out_of_memory: bool) -> None:
    """Record that a worker process ended. `code`: exit status, negative for a signal; None: unknown, nothing is recorded."""
    pipeline = registry.existing()
    if pipeline is None or code is None:
        return
    stopped = -code in STOP_SIGNALS
    message = f"worker process {pid} {_end(code, stopped)}"
    if out_of_memory:
        message += "; its control group counts a new out-of-memory kill"
    fields = build.supervisor(message, "info" if code == 0 or stopped else "error", "logship.supervisor")
    fields["process.exit_code"] = code
    fields["numeric_labels"] = {"worker.pid": pid or 0}
    pipeline.record(fields)
    if pid is not None and pipeline.journal.directory is not None:
        with contextlib.suppress(OSError):
            metric_totals.note_exit(home_of(pipeline.journal.directory).path, pid, code, out_of_memory)


def _end(code: int, stopped: bool) -> str:
    if code >= 0:
        return f"exited with status {code}"
    name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    return f"was {'stopped' if stopped else 'killed'} by {name}"


def out_of_memory_kills() -> int:
    """Return how many processes of this control group the kernel has killed for lack of memory; 0 if unknown."""
    try:
        words = CGROUP_EVENTS.read_text(encoding="ascii").split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError, IndexError):
        return 0
