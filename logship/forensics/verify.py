"""Did everything arrive? Subtraction, per life of a worker: numbered, minus dropped, minus stored.

Every event has a sequence from 1 without gaps, dropped ones too. A heartbeat or end record with sequence n says how
many of 1..n were dropped, so what is neither stored nor dropped is missing. What lies before the store's oldest event, or
before what retention has removed, is not judged.

Without a shared key anybody who reaches the port can send events in the name of a worker. Events and counters that
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

Finding: TypeAlias = Literal["complete", "missing", "conflict", "duplicated", "unknown"]
# The gravest first: where events contradict each other, numbers that are missing may be made up.
GRAVE: tuple[Finding, ...] = ("conflict", "missing", "duplicated", "unknown")
# No worker of ours is older. Events of before come from clocks that were not set, and say nothing about the store's age.
PLAUSIBLE_NS = from_rfc3339("2020-01-01T00:00:00Z")
# An event may get its number a moment before or after its time.
JITTER_NS = SECOND_NS
QUIET = "; a supervisor has no heartbeat, and is heard of when it has something to say"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One life. `missing`: numbered, and neither stored nor known as dropped; `dropped`: by reason, as the worker said.

    `finding` is "missing" for either; "unknown" when nothing is missing that we know of, but the end is not known, or part of
    the journal could not be read. "conflict": `conflicts` events came under a number that had another content, or the
    counters contradict the events (`contradiction` says how); `where` is the KQL that finds them.
    `gaps`: sequences not stored; with the time of the event before the first gap and of the one after the last, None
    when those are not stored either. `judged_to`: the last sequence that could be judged; `not_judged`: how many may be
    older than the store. `after_acknowledgement`: so many of the missing ones, at least, the agent had acknowledged: they
    were lost by the agent or in the store. Of the others it is not known whether they were delivered."""

    finding: Finding
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
    """Return a verdict on each life with an event in `query`, oldest first; each is judged as a whole."""
    oldest_ns = _oldest_ns(source)
    return [_judge(source, life, oldest_ns, now_ns) for life in source.incarnations(query)]


def set_aside(source: Source, query: Query) -> list[SetAside]:
    """Return the damaged files of the source that may have held events of `query`: lives in them may not be judged."""
    return [one for one in source.set_aside() if one.overlaps(query)] if isinstance(source, Damageable) else []


def overall(verdicts: list[Verdict], damaged: Sequence[SetAside] = ()) -> Finding:
    """Return the gravest finding; "complete" for no lives at all, unless files are damaged."""
    found = {verdict.finding for verdict in verdicts} | ({"unknown"} if damaged else set())
    return next((finding for finding in GRAVE if finding in found), "complete")


def _oldest_ns(source: Source) -> int:
    """Since when the store has events, those left out whose clock was not set."""
    oldest_ns = source.oldest_ns() or 0
    if oldest_ns >= PLAUSIBLE_NS:
        return oldest_ns
    records = source.search(Query(None, PLAUSIBLE_NS), Page(1, newest_first=False)).records
    return from_rfc3339(records[0]["@timestamp"]) if records else 0


def _judge(source: Source, life: Incarnation, oldest_ns: int, now_ns: int) -> Verdict:
    known = union(life.stored, life.damaged)
    first, last = (known[0][0], known[-1][1]) if known else (1, 0)
    # A worker is heard of every ten seconds. If it had no event in the store's first moments, its first numbers are
    # newer than the store and must be there; otherwise they may be older than the store's oldest event.
    begins = 1 if life.first_ns - max(oldest_ns, life.cut_ns) > ALIVE_NS else first
    counted_to = number(life.last_beat, "event.sequence") or 0
    how = state(life, now_ns)
    if how == "silent" and not life.node and _supervises(source, life):
        how = "quiet"
    lost = dropped(life.last_beat)
    unreadable = number(life.last_beat, "logship.journal.unreadable_bytes") or 0
    # Numbers after the newest counters may be dropped ones that the next heartbeat of a living worker tells of.
    judged_to = max(counted_to, begins - 1) if how == "alive" else max(counted_to, last)
    gaps = holes(life.stored, begins, judged_to)
    counted_gaps = size(within(gaps, 1, counted_to))
    missing = size(gaps) - min(counted_gaps, sum(lost.values()))
    open_gaps = bool(holes(life.stored, judged_to + 1, last))
    contradiction = _contradiction(source, life, bool(gaps), now_ns)
    finding: Finding = (
        "conflict" if life.conflicts or contradiction
        else "missing" if missing or (lost and gaps)
        else "duplicated" if life.duplicates > 0
        else "unknown" if how == "silent" or open_gaps or unreadable or life.duplicates < 0 or life.damaged_files
        else "complete"
    )  # fmt: skip
    after, before = _around(source, life, gaps)
    blamed = begins == 1 and finding != "conflict"
    verdict = Verdict(
        finding=finding, sentence="", incarnation=life.id, service=life.service, node=life.node, slot=life.slot,
        generation=life.generation, pid=life.pid, state=how, judged_to=judged_to, stored=size(life.stored),
        missing=missing, dropped=lost, duplicates=life.duplicates, gaps=gaps, gap_after=after, gap_before=before,
        not_judged=size(holes(life.stored, 1, begins - 1)),
        after_acknowledgement=min(missing, _taken(life, lost, counted_to, gaps)) if blamed else 0,
        conflicts=life.conflicts, contradiction=contradiction, where=_where(life, contradiction),
        unreadable_events=number(life.last_beat, "logship.journal.unreadable_events") or 0, unreadable_bytes=unreadable,
        damaged=size(life.damaged) - size(_common(life.damaged, life.stored)),
    )  # fmt: skip
    return replace(verdict, sentence=_sentence(verdict, life, open_gaps, now_ns))


def _common(some: Ranges, others: Ranges) -> Ranges:
    return tuple(part for low, high in others for part in within(some, low, high))


def _contradiction(source: Source, life: Incarnation, gaps: bool, now_ns: int) -> str:
    """Why the newest counters cannot be what the worker said, as a clause; "" when they can be.

    Counters are written with their own number, so they count exactly as many events. Looking at other events is for those
    that say that something is missing."""
    beat = life.last_beat
    counted_to = number(beat, "event.sequence")
    if beat is None or counted_to is None:
        return ""
    if beat.get("event.id") != event_id(life.id, counted_to):
        return f"the event {beat.get('event.id')} counts events of this worker and is not one of them"
    emitted, taken = number(beat, "logship.emitted"), number(beat, "logship.acknowledged") or 0
    if emitted is not None and emitted != counted_to:
        return f"event {counted_to} says that it is number {emitted}"
    if not 0 <= taken < counted_to:
        return f"event {counted_to} says that the agent had acknowledged {taken} events before it"
    beat_ns = from_rfc3339(beat["@timestamp"])
    if not gaps:
        return ""
    if beat_ns - now_ns > AHEAD_NS:
        return f"the counters of event {counted_to} are of {rfc3339(beat_ns)}, which is still to come"
    own = kql.equal("service.ephemeral_id", life.id)
    before = kql.parse(f"event.sequence < {counted_to}")
    ends = kql.parse("event.action: (worker-lost or worker-ended)")
    if source.count(Query(kql.every(own, before, ends))):
        return f"event {counted_to} counts events after the report of its end"
    if later := source.count(Query(kql.every(own, before), beat_ns + JITTER_NS)):
        return f"{later} events with lower numbers are younger than the counters of event {counted_to}"
    return ""


def _where(life: Incarnation, contradiction: str) -> str:
    if life.conflicts:
        return f"event.id: {life.id}-* and logship.conflict: *"
    return f"service.ephemeral_id: {life.id} and event.action: worker-*" if contradiction else ""


def _supervises(source: Source, life: Incarnation) -> bool:
    own = (kql.equal("service.ephemeral_id", life.id), kql.equal("logship.worker.role", "supervisor"))
    return source.count(Query(kql.every(*own))) > 0


def _taken(life: Incarnation, lost: dict[str, int], counted_to: int, gaps: Ranges) -> int:
    """How many events, at least, the agent had acknowledged by the newest counters, and are not stored now."""
    taken = number(life.last_beat, "logship.acknowledged") or 0
    # A refused event counts as acknowledged: the agent has had its say. The record of the counters itself was not yet.
    in_all = taken - lost.get("refused", 0) - size(within(life.stored, 1, counted_to - 1))
    # Events are acknowledged in order, so whatever is among the first `taken` numbers was, unless it was dropped.
    among_the_first = size(within(gaps, 1, taken)) - sum(lost.values())
    return max(0, in_all, among_the_first)


def _around(source: Source, life: Incarnation, gaps: Ranges) -> tuple[str | None, str | None]:
    """When the event before the first gap and the one after the last happened."""
    if not gaps:
        return None, None
    return _time(source, life.id, gaps[0][0] - 1), _time(source, life.id, gaps[-1][1] + 1)


def _time(source: Source, incarnation: str, sequence: int) -> str | None:
    # The width is that of event.id; asked by field, so that no request id that looks alike is found.
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


def _sentence(verdict: Verdict, life: Incarnation, open_gaps: bool, now_ns: int) -> str:
    parts = _conflict(verdict)
    if verdict.missing:
        span = f"between {verdict.gap_after or 'the beginning'} and {verdict.gap_before or 'the end'}"
        parts.append(f"{verdict.missing} missing {span}" + _blame(verdict))
    if verdict.damaged:
        parts.append(f"{verdict.damaged} are in damaged files that the store has set aside")
    if life.damaged_files:
        parts.append(f"{life.damaged_files} files of its time are damaged, and what they held is not known")
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
        parts.append("the newest numbers have gaps, which the next heartbeat will explain")
    if verdict.state == "silent":
        ahead = ", which is still to come" * (life.last_ns - now_ns > AHEAD_NS)
        parts.append(f"what came after {rfc3339(life.last_ns)}{ahead} is not known, no end was recorded")
    if not parts:
        parts.append(f"all {verdict.stored} events are stored" + QUIET * (verdict.state == "quiet"))
    if verdict.not_judged:
        parts.append(f"{verdict.not_judged} may be older than this store and are not judged")
    return "; ".join(parts)
