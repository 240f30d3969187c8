"""Did everything arrive? Subtraction, per life of a worker: numbered, minus dropped, minus stored.

Every event has a sequence from 1 without gaps, dropped ones too. A heartbeat or end record with sequence n says how
many of 1..n were dropped, so what is neither stored nor dropped is missing. What lies before the store's oldest event
may have been let go, and is not judged.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from logship.forensics.beats import ALIVE_NS, dropped, number, state
from logship.search import kql
from logship.search.query import Incarnation, Page, Query, Source
from logship.search.ranges import Ranges, holes, size, within
from logship.search.times import from_rfc3339, rfc3339

Finding: TypeAlias = Literal["complete", "missing", "duplicated", "unknown"]
QUIET = "; a supervisor has no heartbeat, and is heard of when it has something to say"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One life. `missing`: numbered, and neither stored nor known as dropped; `dropped`: by reason, as the worker said.

    `finding` is "missing" for either; "unknown" when nothing is missing that we know of, but the end is not known.
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


def verify(source: Source, query: Query, now_ns: int) -> list[Verdict]:
    """Return a verdict on each life with an event in `query`, oldest first; each is judged as a whole."""
    oldest_ns = source.oldest_ns() or 0
    return [_judge(source, life, oldest_ns, now_ns) for life in source.incarnations(query)]


def overall(verdicts: list[Verdict]) -> Finding:
    """Return the gravest finding; "complete" for no lives at all."""
    grave: tuple[Finding, ...] = ("missing", "duplicated", "unknown")
    found = {verdict.finding for verdict in verdicts}
    return next((finding for finding in grave if finding in found), "complete")


def _judge(source: Source, life: Incarnation, oldest_ns: int, now_ns: int) -> Verdict:
    first, last = (life.stored[0][0], life.stored[-1][1]) if life.stored else (1, 0)
    # A worker is heard of every ten seconds. If it had no event in the store's first moments, its first numbers are
    # newer than the store and must be there; otherwise they may be older than the store's oldest event.
    begins = 1 if life.first_ns - oldest_ns > ALIVE_NS else first
    counted_to = number(life.last_beat, "event.sequence") or 0
    how = state(life, now_ns)
    if how == "silent" and not life.node and _supervises(source, life):
        how = "quiet"
    lost = dropped(life.last_beat)
    # Numbers after the newest counters may be dropped ones that the next heartbeat of a living worker tells of.
    judged_to = max(counted_to, begins - 1) if how == "alive" else max(counted_to, last)
    gaps = holes(life.stored, begins, judged_to)
    counted_gaps = size(within(gaps, 1, counted_to))
    missing = size(gaps) - min(counted_gaps, sum(lost.values()))
    open_gaps = bool(holes(life.stored, judged_to + 1, last))
    finding: Finding = (
        "missing" if missing or (lost and gaps)
        else "duplicated" if life.duplicates
        else "unknown" if how == "silent" or open_gaps
        else "complete"
    )  # fmt: skip
    after, before = _around(source, life, gaps)
    verdict = Verdict(
        finding=finding, sentence="", incarnation=life.id, service=life.service, node=life.node, slot=life.slot,
        generation=life.generation, pid=life.pid, state=how, judged_to=judged_to, stored=size(life.stored),
        missing=missing, dropped=lost, duplicates=life.duplicates, gaps=gaps, gap_after=after, gap_before=before,
        not_judged=begins - 1, after_acknowledgement=min(missing, _taken(life, lost, counted_to, gaps)) if begins == 1 else 0,
    )  # fmt: skip
    return replace(verdict, sentence=_sentence(verdict, life, open_gaps))


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


def _sentence(verdict: Verdict, life: Incarnation, open_gaps: bool) -> str:
    parts = []
    if verdict.missing:
        span = f"between {verdict.gap_after or 'the beginning'} and {verdict.gap_before or 'the end'}"
        parts.append(f"{verdict.missing} missing {span}" + _blame(verdict))
    if verdict.dropped:
        reasons = ", ".join(f"{events} {reason}" for reason, events in verdict.dropped.items())
        parts.append(f"dropped by the worker: {reasons}")
    if verdict.duplicates:
        parts.append(f"{verdict.duplicates} stored more than once")
    if open_gaps:
        parts.append("the newest numbers have gaps, which the next heartbeat will explain")
    if verdict.state == "silent":
        parts.append(f"what came after {rfc3339(life.last_ns)} is not known, no end was recorded")
    if not parts:
        parts.append(f"all {verdict.stored} events are stored" + QUIET * (verdict.state == "quiet"))
    if verdict.not_judged:
        parts.append(f"{verdict.not_judged} may be older than this store and are not judged")
    return "; ".join(parts)
