"""Running a command as if it were started directly: its output is inherited, signals are relayed, its exit status is ours."""

import os
import resource
import shutil
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from logship.cli.output import talk

NOT_RUNNABLE, NOT_FOUND = 126, 127  # the exit statuses of shells
# Not relayed: signals that cannot be caught, faults of this process, and signals of debuggers.
OURS = {signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}
TERMINAL = {
    signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH, signal.SIGHUP,
}  # fmt: skip
# siginfo_t: sent by the kernel, as the signals of a terminal's keys are.
SI_KERNEL = 0x80


def supervise(command: tuple[str, ...], environment: dict[str, str]) -> int:
    """Run the command to its end and return its exit status. If a signal killed it, this process dies of the same signal."""
    relayed = {number for number in signal.valid_signals() if number not in OURS}
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, relayed)
    try:
        child = os.posix_spawnp(
            _executable(command[0]), command, environment, setsigmask=previous, setsigdef=_ignored()
        )
    except FileNotFoundError:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        talk(f"error: command {command[0]!r} is neither on the PATH nor in {Path(sys.executable).parent}")
        return NOT_FOUND
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        talk(f"error: {command[0]} cannot be run: {error.strerror}")
        return NOT_RUNNABLE
    status = _relay_until_end(child, relayed)
    signal.pthread_sigmask(signal.SIG_SETMASK, previous - {signal.SIGCHLD})
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _die_of(signal.Signals(-code))


def _executable(command: str) -> str:
    """The command if it is on the PATH, else the one next to our own executable: `.venv/bin/logship run uvicorn`."""
    sibling = Path(sys.executable).parent / command
    return str(sibling) if shutil.which(command) is None and os.access(sibling, os.X_OK) else command


def _relay_until_end(child: int, relayed: Iterable[int]) -> int:
    while True:
        number, from_terminal = _next_signal(relayed)
        if number == signal.SIGCHLD:
            status = _reap(child)
            if status is not None:
                return status
            continue
        # The terminal sends its signals to the whole group: the child has this one, and a second Ctrl-C means something else.
        if not from_terminal:
            os.kill(child, number)
        if number in {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU} and from_terminal:
            os.kill(os.getpid(), signal.SIGSTOP)  # the shell waits until this process is stopped, too


def _next_signal(relayed: Iterable[int]) -> tuple[int, bool]:
    """The next signal, and whether a terminal sent it."""
    if hasattr(signal, "sigwaitinfo"):
        info = signal.sigwaitinfo(relayed)
        return info.si_signo, info.si_code == SI_KERNEL and info.si_signo in TERMINAL
    # macOS does not report the sender; for a foreground process it is most likely the terminal.
    number = int(signal.sigwait(relayed))
    foreground = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    return number, foreground and number in TERMINAL


def _reap(child: int) -> int | None:
    """The status of the child if it has ended. The first process of a container also inherits orphans, and reaps them."""
    status = None
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = ended


def _ignored() -> list[int]:
    """The signals that Python ignores; the child gets them as from a shell."""
    names = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _die_of(number: signal.Signals) -> int:
    """End as the child did, so that our parent sees the same end. Process 1 cannot: it returns the shell's status."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    os.kill(os.getpid(), number)
    return 128 + number
