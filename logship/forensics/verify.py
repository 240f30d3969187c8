"""The delivery check: for each run of a worker, which emitted events are neither stored nor counted as dropped.

Every event has a sequence from 1 without gaps, dropped ones too. A heartbeat or end record with sequence n says how
many of 1..n were dropped, so what is neither stored nor dropped is missing. What lies before the store's oldest event, or
before what retention has removed, is not judged.

Without a shared key anyone who reaches the port can send events in the name of a worker. Events and counters that
contradict each other are a conflict: which of them is the worker's is not known, so nothing about it is complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from logship.event.entry import event_id
from logship.forensics.beats import AHEAD_NS, ALIVE_NS, dropped, number, state
from logship.search import kql
from logship.search.query import Damageable, Incarnation, Page, Query, SetAside, Source
from logship.search.ranges import Ranges, holes, size, union, within
from logship.search.times import SECOND_NS, from_rfc3339, rfc3339

VerdictKind: TypeAlias = Literal["complete", "missing", "conflict", "duplicated", "unknown"]
# Most severe first: where events contradict each other, missing numbers may be forged.
BY_SEVERITY: tuple[VerdictKind, ...] = ("conflict", "missing", "duplicated", "unknown")
# No worker of ours is older. Earlier times come from clocks that were not set; they say nothing about the age of the store.
PLAUSIBLE_NS = from_rfc3339("2020-01-01T00:00:00Z")
# An event may get its number shortly before or after its time.
JITTER_NS = SECOND_NS
QUIET = "; supervisors send no heartbeats"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one run. `missing`: emitted, and neither stored nor counted as dropped; `dropped`: by reason.

    `finding` is "missing" for either; "unknown" when no event is known to be missing, but the end of the run is unknown or a part
    of its journal was unreadable; "conflict" when `conflicts` events arrived under a number that had other content, or the
    counters contradict the events (`contradiction` says how): `where` is the KQL that finds them.
    `gaps`: sequences not stored; with the time of the event before the first gap and of the one after the last, None
    when those are not stored either. `judged_to`: the last sequence that could be judged; `not_judged`: how many may be
    older than the store. `after_acknowledgement`: so many of the missing ones, at least, the agent had acknowledged: they
    were lost by the agent or in the store. Whether the others were delivered is unknown."""

    finding: VerdictKind
    sentence: str
    incarnation: str
    service: str
    node: str
    slot: int | None
    generation: int | None
    pid: int | None
    state: str
    judged_to: int
    stored: int
    missing: int
    dropped: dict[str, int]
    duplicates: int
    gaps: Ranges
    gap_after: str | None
    gap_before: str | None
    not_judged: int
    after_acknowledgement: int = 0
    conflicts: int = 0
    contradiction: str = ""
    where: str = ""
    unreadable_events: int = 0
    unreadable_bytes: int = 0
    damaged: int = 0


def verify(source: Source, query: Query, now_ns: int) -> list[Verdict]:
    """Return a verdict on each run with an event in `query`, oldest first. Each run is judged as a whole."""
    oldest_ns = _oldest_ns(source)
    return [_judge(source, run, oldest_ns, now_ns) for run in source.incarnations(query)]


def set_aside(source: Source, query: Query) -> list[SetAside]:
    """Return the damaged files of the source that may have held events of `query`; their runs cannot be fully judged."""
    return [one for one in source.set_aside() if one.overlaps(query)] if isinstance(source, Damageable) else []


def overall(verdicts: list[Verdict], damaged: Sequence[SetAside] = ()) -> VerdictKind:
    """Return the most severe kind of all verdicts; "unknown" without verdicts, because nothing was checked."""
    found = {verdict.finding for verdict in verdicts} | ({"unknown"} if damaged or not verdicts else set())
    return next((kind for kind in BY_SEVERITY if kind in found), "complete")


def _oldest_ns(source: Source) -> int:
    """The time of the oldest event, without events whose clock was not set."""
    oldest_ns = source.oldest_ns() or 0
    if oldest_ns >= PLAUSIBLE_NS:
        return oldest_ns
    records = source.search(Query(None, PLAUSIBLE_NS), Page(1, newest_first=False)).records
    return from_rfc3339(records[0]["@timestamp"]) if records else 0


def _judge(source: Source, run: Incarnation, oldest_ns: int, now_ns: int) -> Verdict:
    known = union(run.stored, run.damaged)
    first, last = (known[0][0], known[-1][1]) if known else (1, 0)
    # Workers send a heartbeat every ten seconds. Without an event in the first moments of the store, the run began after
    # the store did, and its first numbers must be there; otherwise they may be older than the oldest event.
    begins = 1 if run.first_ns - max(oldest_ns, run.cut_ns) > ALIVE_NS else first
    counted_to = number(run.last_beat, "event.sequence") or 0
    how = state(run, now_ns)
    if how == "silent" and not run.node and _supervises(source, run):
        how = "quiet"
    lost = dropped(run.last_beat)
    unreadable = number(run.last_beat, "logship.journal.unreadable_bytes") or 0
    # Numbers above the newest counters may be dropped events, which the next heartbeat of an alive worker will count.
    judged_to = max(counted_to, begins - 1) if how == "alive" else max(counted_to, last)
    gaps = holes(run.stored, begins, judged_to)
    counted_gaps = size(within(gaps, 1, counted_to))
    missing = size(gaps) - min(counted_gaps, sum(lost.values()))
    open_gaps = bool(holes(run.stored, judged_to + 1, last))
    contradiction = _contradiction(source, run, bool(gaps), now_ns)
    finding: VerdictKind = (
        "conflict" if run.conflicts or contradiction
        else "missing" if missing or (lost and gaps)
        else "duplicated" if run.duplicates > 0
        else "unknown" if how == "silent" or open_gaps or unreadable or run.duplicates < 0 or run.damaged_files
        else "complete"
    )  # fmt: skip
    after, before = _around(source, run, gaps)
    blamed = begins == 1 and finding != "conflict"
    verdict = Verdict(
        finding=finding, sentence="", incarnation=run.id, service=run.service, node=run.node, slot=run.slot,
        generation=run.generation, pid=run.pid, state=how, judged_to=judged_to, stored=size(run.stored),
        missing=missing, dropped=lost, duplicates=run.duplicates, gaps=gaps, gap_after=after, gap_before=before,
        not_judged=size(holes(run.stored, 1, begins - 1)),
        after_acknowledgement=min(missing, _taken(run, lost, counted_to, gaps)) if blamed else 0,
        conflicts=run.conflicts, contradiction=contradiction, where=_where(run, contradiction),
        unreadable_events=number(run.last_beat, "logship.journal.unreadable_events") or 0, unreadable_bytes=unreadable,
        damaged=size(run.damaged) - size(_common(run.damaged, run.stored)),
    )  # fmt: skip
    return replace(verdict, sentence=_sentence(verdict, run, open_gaps, now_ns))


def _common(some: Ranges, others: Ranges) -> Ranges:
    return tuple(part for low, high in others for part in within(some, low, high))


def _contradiction(source: Source, run: Incarnation, gaps: bool, now_ns: int) -> str:
    """Why the newest counters cannot come from the worker, as a clause; "" when they can.

    Counters are written with their own number, so they count exactly as many events. Other events are
    read only when events are missing."""
    beat = run.last_beat
    counted_to = number(beat, "event.sequence")
    if beat is None or counted_to is None:
        return ""
    if beat.get("event.id") != event_id(run.id, counted_to):
        return f"the event {beat.get('event.id')} counts events of this worker and is not one of them"
    emitted, taken = number(beat, "logship.emitted"), number(beat, "logship.acknowledged") or 0
    if emitted is not None and emitted != counted_to:
        return f"event {counted_to} reports its number as {emitted}"
    if not 0 <= taken < counted_to:
        return f"event {counted_to} reports {taken} acknowledged events; {counted_to - 1} were emitted before it"
    beat_ns = from_rfc3339(beat["@timestamp"])
    if not gaps:
        return ""
    if beat_ns - now_ns > AHEAD_NS:
        return f"the counters of event {counted_to} are of {rfc3339(beat_ns)}, which is in the future"
    own = kql.equal("service.ephemeral_id", run.id)
    before = kql.parse(f"event.sequence < {counted_to}")
    ends = kql.parse("event.action: (worker-lost or worker-ended)")
    if source.count(Query(kql.every(own, before, ends))):
        return f"event {counted_to} counts events after the report of its end"
    if later := source.count(Query(kql.every(own, before), beat_ns + JITTER_NS)):
        return f"{later} events with lower numbers are newer than the counters of event {counted_to}"
    return ""


def _where(run: Incarnation, contradiction: str) -> str:
    if run.conflicts:
        return f"event.id: {run.id}-* and logship.conflict: *"
    return f"service.ephemeral_id: {run.id} and event.action: worker-*" if contradiction else ""


def _supervises(source: Source, run: Incarnation) -> bool:
    own = (kql.equal("service.ephemeral_id", run.id), kql.equal("logship.worker.role", "supervisor"))
    return source.count(Query(kql.every(*own))) > 0


def _taken(run: Incarnation, lost: dict[str, int], counted_to: int, gaps: Ranges) -> int:
    """The least number of events that the agent had acknowledged by the newest counters and that are not stored."""
    taken = number(run.last_beat, "logship.acknowledged") or 0
    # A refused event counts as acknowledged. The record with the counters was not acknowledged yet.
    in_all = taken - lost.get("refused", 0) - size(within(run.stored, 1, counted_to - 1))
    # Events are acknowledged in order: the first `taken` numbers were, unless they were dropped.
    among_the_first = size(within(gaps, 1, taken)) - sum(lost.values())
    return max(0, in_all, among_the_first)


def _around(source: Source, run: Incarnation, gaps: Ranges) -> tuple[str | None, str | None]:
    """The times of the event before the first gap and of the event after the last."""
    if not gaps:
        return None, None
    return _time(source, run.id, gaps[0][0] - 1), _time(source, run.id, gaps[-1][1] + 1)


def _time(source: Source, incarnation: str, sequence: int) -> str | None:
    # The width is that of event.id. A query by field: a request id may look the same.
    where = kql.equal("event.id", f"{incarnation}-{sequence:012d}")
    records = source.search(Query(where), Page(1)).records
    return rfc3339(from_rfc3339(records[0]["@timestamp"])) if records else None


def _blame(verdict: Verdict) -> str:
    taken = verdict.after_acknowledgement
    if not taken:
        return ""
    whole = "all" if taken == verdict.missing else f"at least {taken}"
    return f", {whole} of them lost after the agent had acknowledged them"


def _conflict(verdict: Verdict) -> list[str]:
    parts = []
    if verdict.conflicts:
        parts.append(f"{verdict.conflicts} events arrived twice with different content (conflict), both are kept")
    if verdict.contradiction:
        parts.append(f"counters contradict the events (conflict): {verdict.contradiction}")
    return [*parts, f"find them with: {verdict.where}"] if parts else []


def _sentence(verdict: Verdict, run: Incarnation, open_gaps: bool, now_ns: int) -> str:
    parts = _conflict(verdict)
    if verdict.missing:
        span = f"between {verdict.gap_after or 'the beginning'} and {verdict.gap_before or 'the end'}"
        parts.append(f"{verdict.missing} missing {span}" + _blame(verdict))
    if verdict.damaged:
        parts.append(f"{verdict.damaged} are in damaged files that the store has set aside")
    if run.damaged_files:
        parts.append(f"{run.damaged_files} files of its time are damaged, and their content is unknown")
    if verdict.dropped:
        reasons = ", ".join(f"{events} {reason}" for reason, events in verdict.dropped.items())
        parts.append(f"dropped by the worker: {reasons}")
    if verdict.duplicates > 0:
        parts.append(f"{verdict.duplicates} stored more than once")
    if verdict.duplicates < 0:
        parts.append(f"the store lists {-verdict.duplicates} events that it does not count; its index may be damaged")
    if verdict.unreadable_bytes:
        events = f", {verdict.unreadable_events} events," * bool(verdict.unreadable_events)
        parts.append(f"{verdict.unreadable_bytes} bytes{events} of its journal could not be read")
    if open_gaps:
        parts.append("the newest numbers have gaps that the next heartbeat will explain")
    if verdict.state == "silent":
        ahead = " (in the future)" * (run.last_ns - now_ns > AHEAD_NS)
        parts.append(f"events after {rfc3339(run.last_ns)}{ahead} are unknown: no end was recorded")
    if not parts:
        parts.append(f"all {verdict.stored} events are stored" + QUIET * (verdict.state == "quiet"))
    if verdict.not_judged:
        parts.append(f"{verdict.not_judged} may be older than this store and are not judged")
    return "; ".join(parts)
