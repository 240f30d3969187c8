"""The root of a worker: builds the line in the order data flows, and is the one place that does."""

import atexit
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from logship.errors import SettingsError, StateUnusable
from logship.event.build import Worker
from logship.settings import BY_NAME, Settings, load, no_color
from logship.state import home
from logship.state.identity import Facts
from logship.state.journal import Journal
from logship.state.processes import boot_id
from logship.wire.address import has_address, parse_address
from logship.worker import hooks
from logship.worker import line as lines
from logship.worker.agent import ForwardAgent
from logship.worker.capture import fluent, stdlib
from logship.worker.capture import install as capture
from logship.worker.feed import Feed, Orphans, OwnFeed, Refused
from logship.worker.line import Heartbeat, Line, SlotWatch
from logship.worker.render import json_line, pretty_line
from logship.worker.shipper import Chore, Outlet, Shipper
from logship.worker.sinks import Console, Sink

TERMINATED_SECONDS = 0.5
# Settings that the shipping thread was made with: when one of them changes, it is made again.
OF_THE_SHIPPER = (
    "agent",
    "agent_shared_key",
    "agent_user",
    "agent_password",
    "agent_ca_file",
    "ack_timeout_seconds",
    "heartbeat_seconds",
    "console",
    "mute_access",
)

_logger = logging.getLogger("logship")
_settings: Settings | None = None
_warned_memory = False
_guard = threading.Lock()


def configure(**arguments: object) -> Settings:
    """Take hold of this process's logging and return the settings in force: arguments > `LOGSHIP_*` > defaults.

    May be called again at any time: all settings of the last call hold for events and requests that come later, and
    what that call does not give falls back to `LOGSHIP_*` and defaults. Only the journal's place (`state_dir`) and the
    slot that a serving worker has claimed (`workers`) stay. SettingsError names the nearest setting when one is unknown.
    It opens nothing: the journal is made with the first event, in the process that logs it."""
    settings = load(arguments)
    _check_agent(settings.agent)
    _install(settings)
    return settings


def configure_from_environment() -> None:
    """Configure as `import logship.auto` does: whatever is wrong, the service starts, and one warning says what it is.

    An invalid `LOGSHIP_*` variable is ignored: its default holds."""
    try:
        settings = load(ignored=_ignored)
        try:
            _check_agent(settings.agent)
        except SettingsError as error:
            _ignored(error)
            settings = replace(settings, agent=str(BY_NAME["agent"].default))
        _install(settings)
    except Exception:
        _logger.warning("logship could not start, and this process runs without it", exc_info=True)


def _ignored(error: SettingsError) -> None:
    _logger.warning("ignoring an invalid setting, its default is used: %s", error)


def _check_agent(agent: str) -> None:
    """SettingsError if `agent` is no address of an agent and not one of the words."""
    if has_address(agent):
        parse_address(agent)


def _install(settings: Settings) -> None:
    global _settings
    with _guard:
        before, _settings = _settings, settings
        lines.install(partial(_make, settings))
        capture.install(settings.level)
        hooks.PATCHES.update(fluent.PATCHES)
        hooks.install(reassert=_reassert)
        existing = lines.existing()
        if existing is not None and before != settings:
            _apply(existing, settings)
        if before is None:
            atexit.register(_at_exit)
            hooks.loop_watchers.append(_in_hypercorn)


def flush(deadline_seconds: float = 2.0) -> bool:
    """Wait until everything logged so far is acknowledged; False if the deadline passed before. Nothing is lost then."""
    line = lines.existing()
    return line is None or line.shipper is None or line.shipper.flush(deadline_seconds)


def shutdown(deadline_seconds: float = 2.0) -> bool:
    """Say goodbye, flush, end the shipping thread. Later events stay in the journal until it is adopted."""
    line = lines.existing()
    if line is None:
        return True
    line.closed()
    return line.shipper is None or line.shipper.stop(deadline_seconds)


def _also_in_children() -> None:
    """Children of multiprocessing (granian's workers, process pools) end without atexit: they have finalisers instead."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=1)


def _in_hypercorn(loop: object) -> None:
    """hypercorn ends whoever is slower than his neighbour by SIGTERM, and its workers do not handle that."""
    line = lines.existing()
    if line is not None and line.serving is not None and line.serving.server == "hypercorn":
        with contextlib.suppress(ValueError):  # not the main thread
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, _: object) -> None:
    line = lines.existing()
    if line is not None and line.shipper is not None:
        line.closed()
        until = time.monotonic() + TERMINATED_SECONDS
        while line.journal.pending_events() and time.monotonic() < until:
            line.journal.wake()
            time.sleep(0.005)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _at_exit() -> None:
    with contextlib.suppress(Exception):
        shutdown()


def _make(settings: Settings) -> Line:
    """The line of this process: home, journal, worker, feed, outlet, thread."""
    state, why = _home(settings)
    host = socket.gethostname()
    facts = lines.facts_of(settings, settings.service, host, boot_id(), lines.role)
    journal = _journal(state, facts, settings)
    if journal.directory is None:
        why = why or "the disk is full"
    worker = Worker(
        incarnation=journal.incarnation,
        service=settings.service,
        host=host,
        pid=os.getpid(),
        supervisor=os.getppid(),
        instance=settings.instance,
        version=settings.version,
        environment=settings.environment,
        role=lines.role,
    )
    slots = state.slots if state is not None else None
    line = Line(settings, journal, worker, slots, why)
    with contextlib.suppress(OSError):
        journal.prepare()
    line.shipper = _shipper(line, state.path if state is not None and journal.directory is not None else None)
    line.shipper.start()
    _also_in_children()
    return line


def _home(settings: Settings) -> tuple[home.Home | None, str]:
    global _warned_memory
    try:
        return home.open_home(Path(settings.state_dir)), ""
    except StateUnusable as error:
        if not _warned_memory:
            _warned_memory = True
            _logger.warning("%s. The journal is in memory: events are lost if this process dies", error)
        return None, str(error)


def _journal(state: home.Home | None, facts: Facts, settings: Settings) -> Journal:
    if state is not None:
        try:
            return Journal(state.journals, facts, settings.journal_limit_bytes)
        except OSError as error:
            _logger.warning("no journal in %s (%s); it is in memory until the next start", state.path, error.strerror)
    return Journal(None, facts, settings.journal_limit_bytes)


def _shipper(line: Line, state: Path | None) -> Shipper:
    settings = line.settings
    aside = Refused(line.journal, home.Home(state).refused if state is not None else None)
    feed = OwnFeed(line.journal, aside)
    chores: list[Chore] = [Heartbeat(line, settings.heartbeat_seconds), SlotWatch(line)]
    if state is not None and settings.agent != "off":
        orphans = Orphans(line, state, aside.keep)
        feed.orphans = orphans.next
        chores.append(orphans)
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if settings.agent != "console" and (settings.console == "on" or (settings.console == "auto" and terminal)):
        with contextlib.suppress(OSError):  # a closed stderr shows nothing
            chores.append(Console(OwnFeed(line.journal, aside), terminal and not no_color()))
    outlet = _outlet(settings, feed)
    return Shipper(line.journal, feed, outlet, chores, settings.agent)


def _outlet(settings: Settings, feed: Feed) -> Outlet:
    where, _, path = settings.agent.partition(":")
    mute: Callable[[], object] = stdlib.mute_access if settings.mute_access else int
    if settings.agent == "stdout":
        return Sink(feed, "stdout", json_line, mute)
    if settings.agent == "console":
        color = not no_color() and sys.stderr is not None and sys.stderr.isatty()
        return Sink(feed, "stderr", partial(pretty_line, color=color), mute)
    if where == "file":
        return Sink(feed, path, json_line, mute)
    if settings.agent == "off":
        return Off()
    return ForwardAgent(settings, feed, mute)


class Off:
    """No agent: events stay in the journal until its limit, for `logship` to read there."""

    acks = 1
    trouble = ""

    def wants(self) -> None:
        return None

    def deadline(self) -> None:
        return None

    def step(self, now: float) -> None:
        return None

    def room(self) -> bool:
        return False

    def disconnect(self) -> None:
        return None


def _apply(line: Line, settings: Settings) -> None:
    """Apply another `configure` call in a process that has logged already. The journal stays; everything else changes."""
    before = line.settings
    line.change(settings)
    if not settings.mute_access:
        stdlib.unmute_access()
    if any(getattr(before, name) != getattr(settings, name) for name in OF_THE_SHIPPER):
        if line.shipper is not None:
            line.shipper.end()
        state = home.home_of(line.journal.directory).path if line.journal.directory is not None else None
        line.shipper = _shipper(line, state)
        line.shipper.start()


def _reassert() -> None:
    if _settings is not None:
        capture.reassert()
