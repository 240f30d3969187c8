"""`logship run`: a server with `logship.auto` in each of its processes, and not one line of its code changed.

The server is our child; its output is inherited. Signals that we get are its signals, and its end is ours."""

import os
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from logship.cli.show import talk
from logship.settings import child_environment, inherited, load

INJECT = Path(__file__).parent / "inject"
NOT_RUNNABLE, NOT_FOUND = 126, 127  # what a shell answers
# These cannot be caught, or are about ourselves: faults, and what the kernel says of our own child.
OURS = {signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}
TERMINAL = {
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGWINCH,
    signal.SIGHUP,
}
# struct siginfo_t: the kernel itself sent it, as it does for the keys of a terminal.
SI_KERNEL = 0x80


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["-h", "--help"],
    }
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
def run(command: tuple[str, ...]) -> int:
    """Run COMMAND with logship in all its processes.

    For example: logship run uvicorn shop:app --workers 4. Works with uvicorn, gunicorn, granian and hypercorn. The
    status is that of the command."""
    load()  # a setting that makes no sense is told here once, and not by every worker
    path = os.pathsep.join(filter(None, [str(INJECT), inherited("PYTHONPATH")]))
    environment = child_environment({"PYTHONPATH": path, "LOGSHIP_SUPERVISED": str(os.getpid())})
    return supervise(command, environment)


def supervise(command: tuple[str, ...], environment: dict[str, str]) -> int:
    """Start the command, relay signals until it ends, and return its status; killed by a signal, we die of it too."""
    relayed = {one for one in signal.valid_signals() if one not in OURS}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, relayed)
    try:
        child = os.posix_spawnp(command[0], command, environment, setsigmask=before, setsigdef=_ignored())
    except FileNotFoundError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        talk(f"error: there is no command {command[0]!r} on the PATH")
        return NOT_FOUND
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        talk(f"error: {command[0]} cannot be run: {error.strerror}")
        return NOT_RUNNABLE
    status = _relay_until_end(child, relayed)
    signal.pthread_sigmask(signal.SIG_SETMASK, before - {signal.SIGCHLD})
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _die_of(signal.Signals(-code))


def _relay_until_end(child: int, relayed: Iterable[int]) -> int:
    while True:
        number, from_terminal = _next_signal(relayed)
        if number == signal.SIGCHLD:
            status = _reap(child)
            if status is not None:
                return status
            continue
        # The terminal has told the child already: it is in the same group, and a second Ctrl-C means something else.
        if not from_terminal:
            os.kill(child, number)
        if number in {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU} and from_terminal:
            os.kill(os.getpid(), signal.SIGSTOP)  # the shell waits until we are stopped, too


def _next_signal(relayed: Iterable[int]) -> tuple[int, bool]:
    """The next signal and whether a terminal sent it."""
    if hasattr(signal, "sigwaitinfo"):
        told = signal.sigwaitinfo(relayed)
        return told.si_signo, told.si_code == SI_KERNEL and told.si_signo in TERMINAL
    # macOS does not tell who sent it; in the foreground of a terminal it was most likely the terminal.
    number = int(signal.sigwait(relayed))
    foreground = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    return number, foreground and number in TERMINAL


def _reap(child: int) -> int | None:
    """The child's status if it has ended. As the first process of a container we also inherit orphans, and reap them."""
    status = None
    while True:
        try:
            pid, one = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = one


def _ignored() -> list[int]:
    """Signals that Python ignores for itself; the child gets them as a shell would give them."""
    names = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _die_of(number: signal.Signals) -> int:
    """End as the child did, so that whoever waits for us sees the same; as process 1 that is impossible."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    os.kill(os.getpid(), number)
    return 128 + number
