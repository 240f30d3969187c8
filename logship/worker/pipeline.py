"""The way of an event from a call to the journal, and what all events of this process share."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from logship.event import build, entry
from logship.event.redact import Redactor
from logship.settings import Settings, not_default
from logship.state.home import home_of
from logship.state.identity import Cell, Facts
from logship.state.journal import Journal
from logship.state.metric_file import MetricCell, MetricFacts, MetricFile
from logship.state.metric_totals import create as create_metrics
from logship.state.slots import Claim, Slots
from logship.worker.server_info import ServerInfo
from logship.worker.thread_pool import ThreadPool


class ShippingThread(Protocol):
    """What a pipeline needs of the thread that ships its journal."""

    def flush(self, deadline_seconds: float) -> bool: ...
    def stop(self, deadline_seconds: float) -> bool: ...
    def end(self) -> None: ...
    def alive(self) -> bool: ...
    def start(self) -> None: ...
    def revive(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class ObservedLoop(Protocol):
    """What a pipeline needs of the event loop that serves."""

    pool: ThreadPool | None

    def late(self, late_ns: int) -> None: ...
    def busy_ns(self) -> tuple[int, int]: ...


class Pipeline:
    """The journal of this process, the packed fields that every event carries, and the counters of heartbeats.

    `record` may be called from any thread. Before the process serves it has no slot; its events are recorded all the same."""

    def __init__(
        self, settings: Settings, journal: Journal, worker: build.Worker, slots_folder: Path | None, why_in_memory: str
    ) -> None:
        """`slots_folder`: None if there is no state directory. `why_in_memory`: why the journal has no directory, or ""."""
        self.settings = settings
        self.journal = journal
        self.redactor = Redactor(settings.redact_names)
        self.slots: Slots | None = None
        self.server: ServerInfo | None = None
        self.shipper: ShippingThread | None = None
        self.loop_lag: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.loop_watch: ObservedLoop | None = None
        # An `asgi.policy.RequestPolicy`; None until the first request, and again after the settings have changed.
        self.policy: Any = None
        # Brings the sampled metrics up to date.
        self.sample: Callable[[], None] = lambda: None
        # Returns what this process uses, as fields of a heartbeat.
        self.vitals: Callable[[], dict[str, object]] = dict
        # In memory until the process serves.
        self.metrics = MetricFile(None, MetricFacts())
        self._slots_folder = slots_folder
        self._why_in_memory = why_in_memory
        self._server_lock = threading.Lock()
        self._set_worker(worker)

    def _set_worker(self, worker: build.Worker) -> None:
        """Pack the fields that every event carries from now on."""
        fields = worker.fields()
        self.worker = worker
        self.common = entry.pairs(fields)
        self.common_count = len(fields)

    def record(self, fields: Mapping[str, object], time_ns: int | None = None, reserved: bool = False) -> bool:
        """Append one event to the journal. False: refused, and counted. Never raises or waits.

        `time_ns`: wall clock, None for now. `reserved`: may use the room that a full journal keeps for heartbeats."""
        try:
            at = time.time_ns() if time_ns is None else time_ns
            packed, count = entry.limited_pairs(fields)
            parts = (entry.begin(at, self.common_count + count), self.common, packed)
            return self.journal.append(parts, reserved)
        except Exception:
            self.journal.refuse("internal_error")
            return False

    # Identity.

    def serve(self, server: ServerInfo) -> None:
        """Claim a slot and record `worker-started`: this process serves requests. Later calls do nothing."""
        with self._server_lock:
            if self.server is not None:
                return
            instance = self.settings.instance or server.instance
            claim = self._claim_slot(server, instance)
            identity = self.journal.identity
            identity.write_facts(
                replace(
                    identity.facts,
                    instance=instance,
                    server=server.name,
                    tells_closing=server.reports_shutdown,
                    role="worker",
                )
            )
            self._set_worker(replace(self.worker, instance=instance, role="worker"))
            self.metrics = self._metric_file(server, instance)
            if claim is not None:
                self.set_claim(claim)
            durable = self.journal.directory is not None
            started = build.started(server.name, durable, self._why_in_memory, not_default(self.settings))
            self.record(started | _address(server))
            self.server = server

    def _claim_slot(self, server: ServerInfo, instance: str) -> Claim | None:
        if self._slots_folder is None:
            return None
        workers = self.settings.workers or server.workers
        try:
            self.slots = Slots(self._slots_folder, self.worker.service, instance, os.getppid(), workers)
            return self.slots.claim_one(server.slot)
        except OSError:
            self.slots = None
            return None

    def _metric_file(self, server: ServerInfo, instance: str) -> MetricFile:
        """Return the metrics of this worker, in memory if its journal is or the disk is full."""
        worker, directory = self.worker, self.journal.directory
        facts = MetricFacts(
            worker.service, instance, worker.host, worker.version, server.name, os.getppid(), server.reports_shutdown
        )
        try:
            file = create_metrics(home_of(directory), self.journal.incarnation, facts) if directory is not None else None
        except OSError:
            file = None
        file = file or MetricFile(None, facts)
        file.cells[MetricCell.PID], file.cells[MetricCell.STARTED_NS] = os.getpid(), self.journal.identity.facts.started_ns
        file.cells[MetricCell.UPDATED_NS] = time.time_ns()
        return file

    def set_claim(self, claim: Claim) -> None:
        """Carry the slot and generation of `claim` from now on."""
        self.metrics.cells[MetricCell.SLOT], self.metrics.cells[MetricCell.GENERATION] = claim.slot + 1, claim.generation
        cells = self.journal.cells
        cells[Cell.GENERATION] = claim.generation
        cells[Cell.SLOT] = claim.slot + 1
        self._set_worker(replace(self.worker, slot=claim.slot, generation=claim.generation))

    def set_role(self, role: str) -> None:
        """Carry another role from now on."""
        self.journal.identity.write_facts(replace(self.journal.identity.facts, role=role))
        self._set_worker(replace(self.worker, role=role))

    def apply(self, settings: Settings) -> None:
        """Use other settings from now on. Events in the journal are not changed."""
        self.settings = settings
        self.journal.limit(settings.journal_limit_bytes)
        self.redactor = Redactor(settings.redact_names)
        identity = self.journal.identity
        worker = replace(
            self.worker,
            service=settings.service,
            version=settings.version,
            environment=settings.environment,
            instance=settings.instance or self.worker.instance,
        )
        identity.write_facts(
            replace(
                identity.facts,
                service=worker.service,
                version=worker.version,
                environment=worker.environment,
                instance=worker.instance,
                agent=settings.agent,
            )
        )
        self._set_worker(worker)
        self.policy = None

    # Counters.

    def record_heartbeat(self) -> None:
        """Record a heartbeat. A full journal keeps room for it."""
        vitals = self.vitals()
        with self.journal.locked():
            self.record(build.heartbeat(self._counters()) | vitals, reserved=True)

    def _counters(self) -> build.Counters:
        """Return the counters as of the next sequence. The caller holds the journal's lock until it has appended them."""
        journal = self.journal
        cells = journal.cells
        mean_ns, max_ns = self.loop_lag()
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

    # The end.

    def begin_closing(self) -> None:
        """Note that the server begins to shut down: an end after this is not a crash unless requests are interrupted."""
        if not self.journal.cells[Cell.CLOSING]:
            self.journal.cells[Cell.CLOSING] = 1

    def close(self) -> None:
        """Record `worker-closed`, once; nothing if this process has recorded no event.

        It counts only if it is in the journal when this returns, neither refused nor waiting."""
        cells = self.journal.cells
        if cells[Cell.CLOSING] > 1 or cells[Cell.SEQUENCE] == 0:
            return
        self.begin_closing()
        with self.journal.locked():
            sequence = cells[Cell.SEQUENCE] + 1
            if self.record(build.closed(self._counters()), reserved=True) and cells[Cell.SEQUENCE] == sequence:
                cells[Cell.CLOSING] = sequence + 1
        self.metrics.cells[MetricCell.CLOSED] = 1

    def revive_shipper(self) -> None:
        """Start the shipping thread again if it died."""
        if self.shipper is not None:
            self.shipper.revive()


def _address(server: ServerInfo) -> dict[str, object]:
    fields: dict[str, object] = {"server.address": server.host, "server.port": server.port}
    return {name: value for name, value in fields.items() if value not in ("", None)}


def facts_of(settings: Settings, worker: build.Worker, boot_id: str) -> Facts:
    """Return what the identity table stores about this process."""
    return Facts(
        service=worker.service,
        version=worker.version,
        environment=worker.environment,
        instance=worker.instance,
        host=worker.host,
        boot=boot_id,
        pid=worker.pid,
        supervisor=worker.supervisor,
        agent=settings.agent,
        started_ns=time.time_ns(),
        role=worker.role,
    )
