"""The line of this process: from an event to the journal. One a process; a forked child gets a new one before its first write.

Everything that logs asks `current()`; `configure` says how a line is made. Until a server's context is known the worker
has no slot, and events logged by then are kept all the same."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from logship.event import build, entry
from logship.event.redact import Redactor
from logship.event.remember import Remembered
from logship.settings import Settings
from logship.state import adopt
from logship.state.identity import Cell, Facts
from logship.state.journal import Journal
from logship.state.slots import Claim, Slots
from logship.worker.fork import around_forks

SIGN_OF_LIFE_SECONDS = 1.0
SLOT_SECONDS = 0.2
IDLE_SECONDS = 2.0
LAG_EVERY_SECONDS = 0.25

# Set on an exception that a request's event has told, so that the server's own line about it is not a second event.
ACCOUNTED = "_logship_accounted"

# What the events of the application carry while a request is answered: [request id, trace id, span id, scope, what was
# bound (`capture.bound.Bound` or None)]. When it is over the scope
# gives way to the route: a server's timers hold copies of the context for seconds, and with asyncio a
# hundred scopes at a time; the garbage collector went over them again and again (seen in profiles).
REQUEST: ContextVar[list[Any] | None] = ContextVar("logship_request", default=None)


@dataclass(frozen=True, slots=True)
class Serving:
    """What a server says of itself: its name, address, how many workers, and this one's number if it has one."""

    server: str = ""
    instance: str = ""
    workers: int | None = None
    slot: int | None = None
    tells_closing: bool = False
    settle_seconds: float | None = None  # an heir that is older, while nobody leaves, is one worker more


class Ships(Protocol):
    """What a line asks of its shipping thread."""

    def flush(self, deadline_seconds: float) -> bool: ...
    def stop(self, deadline_seconds: float) -> bool: ...
    def end(self) -> None: ...
    def alive(self) -> bool: ...
    def start(self) -> None: ...
    def revive(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Line:
    """The journal of this process, the bytes that every event shares, and the counters behind the heartbeats."""

    def __init__(
        self, settings: Settings, journal: Journal, worker: build.Worker, slots_folder: Path | None, why_in_memory: str
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.redactor = Redactor(settings.redact_names)
        self.worker = worker
        self.slots_folder = slots_folder
        self.why_in_memory = why_in_memory
        self.slots: Slots | None = None
        self.serving: Serving | None = None
        self.shipper: Ships | None = None
        self.lag: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.closing = False
        self._serving_lock = threading.Lock()
        self.heads: Remembered[Any] = Remembered()
        self.clients: Remembered[tuple[bytes, int]] = Remembered()
        # RequestLog's: what the settings mean for each request. None: they have changed, and it is made again.
        self.plan: Any = None
        self._share(worker)

    def _share(self, worker: build.Worker) -> None:
        """Pack what every event carries; what was packed before with an older slot is forgotten."""
        fields = worker.fields()
        self.worker = worker
        self.common = entry.pairs(fields)
        self.common_count = len(fields)
        self.heads = Remembered()
        self.clients = Remembered()

    def record(self, fields: Mapping[str, object], time_ns: int | None = None, reserved: bool = False) -> bool:
        """Journal one event of `fields`. False: it was refused, and counted. Never raises, never waits."""
        try:
            at = time.time_ns() if time_ns is None else time_ns
            packed, count = entry.limited_pairs(fields)
            parts = (entry.begin(at, self.common_count + count), self.common, packed)
            return self.journal.append(parts, reserved)
        except Exception:
            self.journal.refuse("internal_error")
            return False

    # Life.

    def serve(self, serving: Serving) -> None:
        """This process serves requests: claim a slot, say `worker-started`. The second call and later ones do nothing."""
        with self._serving_lock:
            if self.serving is not None:
                return
            settings = self.settings
            instance = settings.instance or serving.instance
            claim: Claim | None = None
            if self.slots_folder is not None:
                try:
                    self.slots = Slots(
                        self.slots_folder,
                        self.worker.service,
                        instance,
                        os.getppid(),
                        settings.workers or serving.workers,
                    )
                    claim = self.slots.claim_one(serving.slot)
                except OSError:
                    self.slots = None
            facts = self.journal.identity.facts
            self.journal.identity.write_facts(
                replace(
                    facts, instance=instance, server=serving.server, tells_closing=serving.tells_closing, role="worker"
                )
            )
            self._share(replace(self.worker, instance=instance, role="worker"))
            if claim is not None:
                self.claimed(claim)
            self.record(build.started(serving.server, self.journal.directory is not None, self.why_in_memory))
            self.serving = serving

    def change(self, settings: Settings) -> None:
        """Carry other settings from now on; what was journalled stays as it was."""
        self.settings = settings
        self.journal.limit(settings.journal_limit_bytes)
        self.redactor = Redactor(settings.redact_names)
        instance = settings.instance or self.worker.instance
        facts = self.journal.identity.facts
        self.journal.identity.write_facts(
            replace(
                facts,
                service=settings.service,
                version=settings.version,
                environment=settings.environment,
                instance=instance,
                agent=settings.agent,
            )
        )
        self._share(
            replace(
                self.worker,
                service=settings.service,
                version=settings.version,
                environment=settings.environment,
                instance=instance,
            )
        )
        self.plan = None

    def play(self, part: str) -> None:
        """Carry another role from now on."""
        self.journal.identity.write_facts(replace(self.journal.identity.facts, role=part))
        self._share(replace(self.worker, role=part))

    def claimed(self, claim: Claim) -> None:
        """Carry the slot and the generation from now on."""
        cells = self.journal.cells
        cells[Cell.GENERATION] = claim.generation
        cells[Cell.SLOT] = claim.slot + 1
        self._share(replace(self.worker, slot=claim.slot, generation=claim.generation))

    def counters(self) -> build.Counters:
        """The counters as of the next sequence: call under the journal's lock and append under the same hold."""
        journal = self.journal
        cells = journal.cells
        mean_ns, max_ns = self.lag()
        return build.Counters(
            emitted=cells[Cell.SEQUENCE] + 1,
            acknowledged=cells[Cell.ACKNOWLEDGED],
            dropped=journal.identity.dropped(),
            journal_bytes=journal.backlog_bytes(),
            in_flight=journal.inflight.count(),
            in_flight_overflow=cells[Cell.IN_FLIGHT_OVERFLOW],
            probes=cells[Cell.PROBES],
            sampled_out=cells[Cell.SAMPLED_OUT],
            lag_mean_ns=mean_ns,
            lag_max_ns=max_ns,
        )

    def heartbeat(self) -> None:
        """Journal a heartbeat; room for it is reserved when the journal is full."""
        with self.journal.locked():
            self.record(build.heartbeat(self.counters()), reserved=True)

    def revive(self) -> None:
        """Start the shipping thread again if it died."""
        if self.shipper is not None:
            self.shipper.revive()

    def begin_closing(self) -> None:
        """The server begins to shut down: whatever happens from here on is no crash unless requests are cut off."""
        cells = self.journal.cells
        if not cells[Cell.CLOSING]:
            cells[Cell.CLOSING] = 1
        self.closing = True

    def closed(self) -> None:
        """Journal the closing record, once. It counts when it is written: one that was dropped or has to wait is not told of."""
        cells = self.journal.cells
        if cells[Cell.CLOSING] > 1 or cells[Cell.SEQUENCE] == 0:
            return
        self.begin_closing()
        with self.journal.locked():
            sequence = cells[Cell.SEQUENCE] + 1
            if self.record(build.closed(self.counters()), reserved=True) and cells[Cell.SEQUENCE] == sequence:
                cells[Cell.CLOSING] = sequence + 1


class Heartbeat:
    """A sign of life in the identity table every second, an event every ten."""

    def __init__(self, line: Line, every_seconds: float) -> None:
        self._line = line
        self._every = every_seconds
        self._next = time.monotonic() + every_seconds

    def tick(self, now: float) -> float:
        self._line.journal.cells[Cell.ALIVE_NS] = time.time_ns()
        if now >= self._next and self._line.serving is not None:
            self._next = now + self._every
            self._line.heartbeat()
        return min(SIGN_OF_LIFE_SECONDS, self._every)


class SlotWatch:
    """Takes the slot that frees while this worker is only an heir."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._heir_since = 0.0

    def tick(self, now: float) -> float:
        slots = self._line.slots
        if slots is None:
            return SLOT_SECONDS
        waiting = slots.waiting()
        claim = slots.poll()
        if claim is None and waiting and self._settled(now):
            claim = slots.stay()
        if claim is not None:
            self._line.claimed(claim)
        return SLOT_SECONDS if waiting else IDLE_SECONDS

    def _settled(self, now: float) -> bool:
        """Whether this heir has waited for so long, and nobody leaves, that it is no replacement but one worker more."""
        serving, directory = self._line.serving, self._line.journal.directory
        if serving is None or serving.settle_seconds is None or directory is None:
            return False
        self._heir_since = self._heir_since or now
        if now - self._heir_since < serving.settle_seconds:
            return False
        found, _ = adopt.survey(directory.parent.parent)
        mine = self._line.journal.identity.facts
        return not any(
            one.owner is not None
            and one.snapshot.cells[Cell.CLOSING]
            and one.snapshot.facts.supervisor == mine.supervisor
            for one in found
        )


class LoopLag:
    """How late a timer of the event loop is: mean and worst since the last question. `beside`: called each time as well."""

    def __init__(self, loop: asyncio.AbstractEventLoop, beside: Callable[[], None] = lambda: None) -> None:
        self._loop = loop
        self._beside = beside
        self._sum_ns = self._count = self._max_ns = 0
        self._due = 0.0
        self._schedule()

    def _schedule(self) -> None:
        self._due = self._loop.time() + LAG_EVERY_SECONDS
        self._loop.call_at(self._due, self._late)

    def _late(self) -> None:
        late = max(0, int((self._loop.time() - self._due) * 1e9))
        self._sum_ns += late
        self._count += 1
        self._max_ns = max(self._max_ns, late)
        self._beside()
        if not self._loop.is_closed():
            self._schedule()

    def __call__(self) -> tuple[int, int]:
        """(mean, worst) nanoseconds since the last call. A loop that is blocked now counts as late already."""
        with contextlib.suppress(RuntimeError):
            self._max_ns = max(self._max_ns, int((self._loop.time() - self._due) * 1e9))
        answer = (self._sum_ns // self._count if self._count else 0, self._max_ns)
        self._sum_ns = self._count = self._max_ns = 0
        return answer


_line: Line | None = None
_make: Callable[[], Line] | None = None
_guard = threading.RLock()


def current() -> Line | None:
    """The line of this process, made now if it was configured; None before `configure` and while one is being made."""
    return _line if _line is not None else _open()


def existing() -> Line | None:
    """The line of this process if it was made already."""
    return _line


def installed() -> bool:
    """Whether this process was configured, so that `current` makes a line."""
    return _make is not None


def _open() -> Line | None:
    global _line, _making, _complained
    if _make is None or _making == threading.get_ident():
        return None
    with _guard:
        if _line is None:
            _making = threading.get_ident()
            try:
                _line = _make()
            except Exception:
                # No more descriptors, say. A log call must not raise: the next one tries again.
                if not _complained:
                    _complained = True
                    logging.getLogger("logship").exception(
                        "there is no journal yet, and events are lost until there is"
                    )
            finally:
                _making = 0
        return _line


_making = 0
_complained = False


role = "process"


def play(part: str) -> None:
    """Say what this process is for: its events carry it until it serves. A supervisor's child starts over."""
    global role
    role = part
    if _line is not None and _line.serving is None:
        _line.play(part)


def install(make: Callable[[], Line] | None) -> None:
    """Say how a line is made from now on; the one that exists stays."""
    global _make
    _make = make


def forget() -> None:
    """Drop the line of this process (tests; a forked child)."""
    global _line, _guard, _making, role
    _line = None
    role = "process"
    _making = 0
    _guard = threading.RLock()


def facts_of(settings: Settings, service: str, host: str, boot: str, role: str) -> Facts:
    """What the identity table says of this process."""
    return Facts(
        service=service,
        version=settings.version,
        environment=settings.environment,
        instance=settings.instance,
        host=host,
        boot=boot,
        pid=os.getpid(),
        supervisor=os.getppid(),
        agent=settings.agent,
        started_ns=time.time_ns(),
        role=role,
    )


def _before_fork() -> None:
    if _line is not None and _line.shipper is not None:
        _line.shipper.pause()


def _after_fork() -> None:
    if _line is not None and _line.shipper is not None:
        _line.shipper.resume()


os.register_at_fork(after_in_child=forget)
around_forks(_before_fork, _after_fork)
