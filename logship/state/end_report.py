"""The report of an incarnation that has ended: one event, with the id that follows its last one."""

import time
from dataclasses import dataclass

from logship.event import build, entry
from logship.state.identity import Facts
from logship.state.inflight import Running
from logship.state.processes import is_running


@dataclass(frozen=True, slots=True)
class End:
    """What an incarnation left behind in its journal. Times are wall clock, nanoseconds since 1970.

    `alive_ns`: its last sign of life; `closing`: the server had begun to shut it down; `reported`: its own event of an
    orderly end is in the journal and names every loss. `unreadable_events`, `unreadable_bytes`: what was in the journal,
    was not acknowledged, and cannot be read."""

    incarnation: str
    facts: Facts
    slot: int | None
    generation: int
    sequence: int
    alive_ns: int
    closing: bool
    reported: bool
    in_flight: tuple[Running, ...]
    in_flight_overflow: int
    dropped: dict[str, int]
    acknowledged: int
    probes: int
    sampled_out: int
    unreadable_events: int = 0
    unreadable_bytes: int = 0


def report_of(end: End, finder: Facts) -> bytes | None:
    """Return the entry that reports `end`, as an event of that incarnation; None if no report is needed.

    `finder`: the process that found the journal. If both had the same supervisor, the supervisor has survived."""
    if end.sequence == 0 and not end.in_flight and not end.unreadable_bytes:
        return None
    if end.reported and not end.in_flight:
        return None
    fields = _worker(end).fields() | _event(end, finder)
    if end.unreadable_bytes:
        fields["message"] = f"{fields['message']}; {events_text(end.unreadable_events)} in its journal could not be read"
        fields["logship.journal.unreadable_events"] = end.unreadable_events
        fields["logship.journal.unreadable_bytes"] = end.unreadable_bytes
    return entry.whole(end.alive_ns, fields, end.incarnation, end.sequence + 1)


def events_text(events: int) -> str:
    """Return a number of events as text; 0 stands for an unknown number (a segment without a readable index)."""
    return f"{events} event{'s' if events != 1 else ''}" if events else "an unknown number of events"


def _worker(end: End) -> build.Worker:
    facts = end.facts
    return build.Worker(
        incarnation=end.incarnation,
        service=facts.service,
        host=facts.host,
        pid=facts.pid,
        supervisor=facts.supervisor,
        instance=facts.instance,
        version=facts.version,
        environment=facts.environment,
        slot=end.slot,
        generation=end.generation or None,
        role=facts.role,
    )


def _counters(end: End) -> build.Counters:
    return build.Counters(
        emitted=end.sequence + 1,
        acknowledged=end.acknowledged,
        dropped=end.dropped,
        in_flight=len(end.in_flight) + end.in_flight_overflow,
        in_flight_overflow=end.in_flight_overflow,
        probes=end.probes,
        sampled_out=end.sampled_out,
    )


def _event(end: End, finder: Facts) -> dict[str, object]:
    if end.closing and not end.in_flight:
        return build.closed(_counters(end))
    requests = tuple(
        (one.request_id, one.method, one.path, max(0, end.alive_ns - one.started_ns) // 1_000_000) for one in end.in_flight
    )
    return build.ended(
        build.Death(
            found=build.time_text(time.time_ns()),
            in_flight=requests,
            overflow=end.in_flight_overflow,
            evidence=_evidence(end.facts, finder),
            journal_end=_counters(end),
        )
    )


def _evidence(ended: Facts, finder: Facts) -> str:
    """Return what shows that the process did not end in order, a value of `event.reason`; "" if nothing does."""
    if ended.boot and finder.boot and ended.boot != finder.boot:
        return "host_restarted"
    if not ended.tells_closing:
        return ""  # under this server an orderly end looks like a crash
    if ended.host == finder.host and (ended.supervisor == finder.supervisor or _supervisor_runs(ended)):
        return "supervisor_survived"
    return ""


def _supervisor_runs(facts: Facts) -> bool:
    return facts.supervisor > 1 and is_running(facts.supervisor)
