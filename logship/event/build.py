"""Builders of events: the fields of every event except the end of a request, as flat dotted ECS keys. No clock, no files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import gmtime, strftime

from logship.event.fields import ECS_VERSION

MODULE = "logship"
REQUEST, APP, WORKER = "logship.request", "logship.app", "logship.worker"
IN_FLIGHT_SHOWN = 50
EVIDENCE = {"supervisor_survived": "its supervisor is still running", "host_restarted": "its host was restarted"}

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def level_name(number: int) -> str:
    """Return the name of the highest level that is not above `number`: 25 is info."""
    if number >= 50:
        return "critical"
    if number >= 40:
        return "error"
    if number >= 30:
        return "warning"
    return "info" if number >= 20 else "debug"


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that emits events: the fields common to all events of an incarnation. Empty values are left out."""

    incarnation: str
    service: str
    host: str
    pid: int
    supervisor: int = 0
    instance: str = ""
    version: str = ""
    environment: str = ""
    slot: int | None = None
    generation: int | None = None
    role: str = "worker"

    def node(self) -> str | None:
        """Return `service.node.name`, the same for all runs in a slot; None before a slot is claimed."""
        if self.slot is None:
            return None
        return f"{self.host}/{self.instance or self.service}/w{self.slot}"

    def fields(self) -> dict[str, object]:
        """Return the fields that do not change in an incarnation once its slot is claimed."""
        every = {
            "ecs.version": ECS_VERSION,
            "event.kind": "event",
            "event.module": MODULE,
            "service.name": self.service,
            "service.version": self.version,
            "service.environment": self.environment,
            "service.node.name": self.node(),
            "service.ephemeral_id": self.incarnation,
            "host.name": self.host,
            "process.pid": self.pid,
            "process.parent.pid": self.supervisor,
            "logship.worker.slot": self.slot,
            "logship.worker.generation": self.generation,
            "logship.worker.role": "" if self.role == "worker" else self.role,
        }
        return {
            name: value
            for name, value in every.items()
            if value not in (None, "") and (value or name != "process.parent.pid")
        }


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters in a heartbeat. They cover the sequence numbers up to and including that of the event."""

    emitted: int
    acknowledged: int
    dropped: Mapping[str, int]
    journal_bytes: int = 0
    in_flight: int = 0
    in_flight_overflow: int = 0
    probes: int = 0
    sampled_out: int = 0
    lag_mean_ns: int = 0
    lag_max_ns: int = 0

    def fields(self) -> dict[str, object]:
        return {
            "logship.emitted": self.emitted,
            "logship.acknowledged": self.acknowledged,
            "logship.journal.bytes": self.journal_bytes,
            "logship.requests.in_flight": self.in_flight,
            "logship.requests.in_flight_overflow": self.in_flight_overflow,
            "logship.requests.probes": self.probes,
            "logship.requests.sampled_out": self.sampled_out,
            "logship.loop_lag.mean_ns": self.lag_mean_ns,
            "logship.loop_lag.max_ns": self.lag_max_ns,
            **{f"logship.dropped.{reason}": events for reason, events in self.dropped.items()},
        }


def heartbeat(counters: Counters) -> dict[str, object]:
    """Return the heartbeat of a worker."""
    message = f"{counters.emitted} events, {counters.in_flight} requests in flight"
    lost = sum(counters.dropped.values())
    if lost:
        message += f", {lost} dropped"
    return _worker_event("worker-heartbeat", "info", message, ["process"], ["info"]) | counters.fields()


def started(server: str, durable: bool, why_not: str = "", settings: Sequence[str] = ()) -> dict[str, object]:
    """Return the event of a worker that begins to serve. `why_not`: why its journal is not `durable`, a sentence.

    `settings`: those that do not have their default, as name=value."""
    message = f"worker started under {server}" if server else "worker started"
    fields = _worker_event("worker-started", "info" if durable else "warning", message, ["process"], ["start"])
    fields["logship.journal.durable"] = durable
    fields["logship.settings"] = list(settings)
    if server:
        fields["logship.server"] = server
    if not durable:
        fields["message"] = f"{message}; the journal is in memory: {why_not}"
    return fields


def closed(counters: Counters) -> dict[str, object]:
    """Return the event of a worker that the server shut down in order."""
    message = f"worker stopped after {counters.emitted} events"
    return _worker_event("worker-closed", "info", message, ["process"], ["end"]) | counters.fields()


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a run that emitted no event about it.

    `found`: when it was discovered, RFC 3339; `in_flight`: (request id, method, path, milliseconds); `overflow`: further
    requests, of which only the number is known; `evidence`: a key of `EVIDENCE` or ""."""

    found: str
    in_flight: tuple[tuple[str, str, str, int], ...] = ()
    overflow: int = 0
    evidence: str = ""
    journal_end: Counters = field(default_factory=lambda: Counters(0, 0, {}))


def ended(death: Death) -> dict[str, object]:
    """Return the event of a run that ended without a shutdown: `worker-lost` with evidence of a crash, else `worker-ended`.

    `event.reason` is the evidence: requests_in_flight, supervisor_survived, host_restarted, or unknown."""
    count = len(death.in_flight) + death.overflow
    reason = "requests_in_flight" if count else death.evidence
    lost = bool(reason)
    message = "worker crashed" if lost else "worker ended without a shutdown event"
    if count:
        message += f" with {count} request{'s' if count > 1 else ''} in flight"
        if death.in_flight:  # requests without a cell in the table have no name
            message += f": {_shown(death.in_flight[0])}" + (f" and {count - 1} more" if count > 1 else "")
    elif reason in EVIDENCE:
        message += f": {EVIDENCE[reason]}"
    fields = _worker_event(
        "worker-lost" if lost else "worker-ended", "error" if lost else "warning", message, ["process"], ["end"]
    )
    fields["event.outcome"] = "failure" if lost else "unknown"
    fields["event.reason"] = reason or "unknown"
    fields["event.created"] = death.found
    fields["logship.in_flight.count"] = count
    if death.in_flight:
        fields["logship.in_flight.ids"] = [request[0] for request in death.in_flight[:IN_FLIGHT_SHOWN]]
        fields["logship.in_flight.requests"] = [_shown(request) for request in death.in_flight[:IN_FLIGHT_SHOWN]]
    return fields | death.journal_end.fields()


def _shown(request: tuple[str, str, str, int]) -> str:
    _, method, path, milliseconds = request
    return f"{method} {path} {milliseconds}ms"


def supervisor(message: str, level: str, logger: str) -> dict[str, object]:
    """Return the event of a log line of the process that supervises the workers."""
    fields = _worker_event("supervisor-message", level, message, ["process"], ["info"])
    fields["log.logger"] = logger
    return fields


def level_changed(logger: str, level: str, set_by_operator: bool) -> dict[str, object]:
    """Return the event of a worker whose log level changed. `logger`: "" for all loggers."""
    of = f" of logger {logger}" if logger else ""
    message = f"log level{of} set to {level} by logship level" if set_by_operator else f"log level{of} is {level} again"
    return _worker_event("log-level-changed", "info", message, ["configuration"], ["change"])


def _worker_event(action: str, level: str, message: str, category: list[str], kind: list[str]) -> dict[str, object]:
    return {
        "message": message,
        "log.level": level,
        "log.logger": WORKER,
        "event.dataset": WORKER,
        "event.action": action,
        "event.category": category,
        "event.type": kind,
    }


def time_text(time_ns: int) -> str:
    """Return `time_ns` as RFC 3339 in UTC with nine digits, as in ECS date fields."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{nanoseconds:09d}Z"
