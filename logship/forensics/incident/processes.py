"""Findings about workers: crashes, blocked event loops, missing and dropped events; and the versions that started."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from logship.event.fields import DROP_REASONS
from logship.forensics.finding import short
from logship.forensics.incident.clock import Clock
from logship.forensics.incident.counted import Counted
from logship.forensics.incident.finding import Interval, Outlier
from logship.forensics.verify import Verdict
from logship.search import kql
from logship.search.kql import equal
from logship.search.query import Page, Record, Source
from logship.search.times import SECOND_NS, from_rfc3339
from logship.search.units import duration, plural
from logship.search.views import BEATS, BY_NAME, NODE

HEARTBEAT_NS = 10 * SECOND_NS
RECORDS = 2_000
CRASHES = "event.action: worker-lost"
LAG = "logship.loop_lag.max_ns"
# Shorter stalls, and a single one below the second number, delay few requests.
LEAST_STALL_NS, LONG_STALL_NS = 400_000_000, 5 * SECOND_NS
LEAST_STALLS, TOGETHER_NS = 3, 150 * SECOND_NS
# With more stalls before than this part of those in the window, nothing has changed.
USUAL_PART = 0.34


def deaths(source: Source, clock: Clock) -> list[Outlier]:
    """Return one finding for each worker that crashed, with its first crash and the number of further ones."""
    records = source.search(clock.window.narrowed(kql.parse(CRASHES)), Page(RECORDS, newest_first=False)).records
    by_node: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_node[str(record.get(NODE, ""))].append(record)
    return [_death(source, clock, node, crashes) for node, crashes in by_node.items()]


def _death(source: Source, clock: Clock, node: str, crashes: Sequence[Record]) -> Outlier:
    first, last = _ns(crashes[0]), _ns(crashes[-1])
    started = replace(clock.window, since_ns=last + 1).narrowed(
        kql.every(kql.parse("event.action: worker-started"), equal(NODE, node))
    )
    replacement = source.search(started, Page(1, newest_first=False)).records
    running = sum(int(record.get("logship.in_flight.count") or 0) for record in crashes)
    times = f" {len(crashes)} times" if len(crashes) > 1 else ""
    cut = f", interrupting {plural(running, 'request')}" if running else ""
    oldest = next((request for request in crashes[0].get("logship.in_flight.requests") or []), "")
    suspect = f" (longest: {oldest})" if oldest else ""
    after = f"; replacement after {duration(_ns(replacement[0]) - last)}" if replacement else "; no replacement started"
    oom = _out_of_memory(source, clock, crashes[0])
    code = crashes[0].get("process.exit_code")
    status = f" (exit status {code})" if code is not None else ""
    return Outlier(
        "death", f"{short(node)} crashed{times}{status}{oom}{cut}{suspect}{after}.",
        kql.text_of(kql.every(kql.parse(CRASHES), equal(NODE, node))), (first, first), (last, last),
        str(crashes[0].get("service.name", "")), node, {NODE: node},
        {"crashes": len(crashes), "requests_interrupted": running}, float(len(crashes)),
    )  # fmt: skip


def _out_of_memory(source: Source, clock: Clock, crash: Record) -> str:
    """A clause if the supervisor reported an out-of-memory kill of this process."""
    pid, at_ns = crash.get("process.pid"), _ns(crash)
    near = replace(clock.window, since_ns=at_ns - 5 * SECOND_NS, until_ns=at_ns + 30 * SECOND_NS)
    reports = source.search(near.narrowed(kql.parse('log.logger: "logship.supervisor"')), Page(20)).records
    texts = [str(record.get("message", "")) for record in reports if f"process {pid} " in str(record.get("message", ""))]
    return ", killed because memory ran out" if any("out-of-memory" in text for text in texts) else ""


def gaps(clock: Clock, verdicts: Sequence[Verdict]) -> list[Outlier]:
    """Return one finding for each run with events that were emitted in the window and are not stored."""
    found = []
    for verdict in verdicts:
        if verdict.finding != "missing" or not verdict.missing:
            continue
        low = from_rfc3339(verdict.gap_after) if verdict.gap_after else clock.since_ns
        high = from_rfc3339(verdict.gap_before) if verdict.gap_before else low
        if high < clock.since_ns or low >= clock.until_ns:
            continue
        name = short(verdict.node) or "a process"
        sentence = f"{plural(verdict.missing, 'event')} of {name} missing: emitted, and not stored."
        query = kql.text_of(equal("service.ephemeral_id", verdict.incarnation))
        found.append(
            Outlier(
                "gap", sentence, query, (low, min(high, low + 10 * SECOND_NS)), (low, high),
                verdict.service, verdict.node, {NODE: verdict.node} if verdict.node else {}, {"missing": verdict.missing},
                verdict.missing,
            )
        )  # fmt: skip
    return found


def drops(source: Source, clock: Clock) -> list[Outlier]:
    """Return one finding for each worker that dropped events in the window: its counters are higher than before it."""
    names = ("service.ephemeral_id", NODE, "service.name", *(f"logship.dropped.{reason}" for reason in DROP_REASONS))
    where, by_run = kql.parse(BY_NAME["drops"].where), defaultdict[tuple[str, ...], list[ProcessCounters]](list)
    for query in clock.queries():
        for group in source.groups(query.narrowed(where), names, clock.every_ns):
            by_run[group.keys[:3]] += [ProcessCounters(start_ns, group.keys[3:]) for start_ns in group.starts_ns]
    found = [_drop(clock, run, sorted(states, key=lambda state: (state.start_ns, state.total))) for run, states in by_run.items()]
    return [finding for finding in found if finding is not None]


@dataclass(frozen=True, slots=True)
class ProcessCounters:
    """How many events a run had dropped since its start, as one of its heartbeats in a bucket of time says."""

    start_ns: int
    texts: tuple[str, ...]

    @property
    def by_reason(self) -> dict[str, int]:
        numbers = {reason: int(text or 0) for reason, text in zip(DROP_REASONS, self.texts, strict=True)}
        return {reason: number for reason, number in numbers.items() if number}

    @property
    def total(self) -> int:
        return sum(self.by_reason.values())


def _drop(clock: Clock, run: tuple[str, ...], states: Sequence[ProcessCounters]) -> Outlier | None:
    inside = [state for state in states if state.start_ns + clock.every_ns > clock.since_ns]
    usual = max((state.total for state in states if state.start_ns + clock.every_ns <= clock.since_ns), default=0)
    first = next((state for state in inside if state.total > usual), None)
    if first is None:
        return None
    counts, (id_, node, service) = inside[-1].by_reason, run
    events = inside[-1].total - usual
    # The heartbeat before it is up to 10 s older.
    began = first.start_ns - HEARTBEAT_NS, first.start_ns + clock.every_ns
    # The counter stays high when nothing is dropped any more.
    last_ns = next(state.start_ns for state in inside if state.total == inside[-1].total)
    ended = None if last_ns == inside[-1].start_ns else (last_ns - HEARTBEAT_NS, last_ns + clock.every_ns)
    reasons = ", ".join(f"{number} {reason}" for reason, number in counts.items())
    return Outlier(
        "drops", f"{short(node) or 'A process'} dropped {plural(events, 'event')} (since its start: {reasons}).",
        kql.text_of(kql.every(kql.parse(BY_NAME["drops"].where), equal("service.ephemeral_id", id_))), began, ended,
        service, node, {NODE: node} if node else {}, {"dropped": events}, float(events),
    )  # fmt: skip


def stalls(source: Source, clock: Clock) -> list[Outlier]:
    """Return the workers whose event loop was blocked repeatedly, or once for a long time, by their heartbeats."""
    where = kql.every(kql.parse(BEATS), kql.parse(f"{LAG} >= {LEAST_STALL_NS}"))
    by_node: defaultdict[str, list[Record]] = defaultdict(list)
    for query in clock.queries():
        for beat in source.search(query.narrowed(where), Page(RECORDS, columns=(NODE, "service.name", LAG))).records[::-1]:
            by_node[str(beat.get(NODE, ""))].append(beat)
    return [finding for node, beats in by_node.items() for finding in _stall(source, clock, node, beats)]


def _stall(source: Source, clock: Clock, node: str, beats: Sequence[Record]) -> list[Outlier]:
    before = [beat for beat in beats if _ns(beat) < clock.since_ns]
    inside = [beat for beat in beats if _ns(beat) >= clock.since_ns]
    groups: list[list[Record]] = []
    for beat in inside:
        if groups and _ns(beat) - _ns(groups[-1][-1]) <= TOGETHER_NS:
            groups[-1].append(beat)
        else:
            groups.append([beat])
    largest = max(groups, key=_lag, default=[])
    lasting = len(largest) >= LEAST_STALLS or _lag(largest) >= LONG_STALL_NS
    if not lasting or len(before) > USUAL_PART * len(inside):
        return []
    first, worst = largest[0], max(int(beat[LAG]) for beat in largest)
    function, began = _blocking(source, clock, node, (_ns(first) - HEARTBEAT_NS - int(first[LAG]), _ns(first)))
    reason = f" in {function}" if function else ""
    sentence = f"The event loop of {short(node)} was blocked for up to {duration(worst)}{reason}, delaying all its requests."
    return [
        Outlier(
            "stall", sentence, kql.text_of(kql.every(kql.parse("event.action: loop-stalled"), equal(NODE, node))), began,
            (_ns(largest[-1]) - HEARTBEAT_NS, _ns(largest[-1])), str(first.get("service.name", "")), node, {NODE: node},
            {"loop_lag_max_ns": worst, "heartbeats": len(largest)}, _lag(largest) / 1e9,
        )
    ]  # fmt: skip


def _blocking(source: Source, clock: Clock, node: str, began: Interval) -> tuple[str, Interval]:
    """The function that blocked the loop first, and when, if the worker reported it."""
    low, high = began
    near = replace(clock.window, since_ns=low, until_ns=high + 1)
    where = kql.every(kql.parse(f"event.action: loop-stalled and event.duration >= {LEAST_STALL_NS}"), equal(NODE, node))
    reports = source.search(near.narrowed(where), Page(1, newest_first=False)).records
    if not reports:
        return "", began
    start_ns = _ns(reports[0]) - int(reports[0].get("event.duration") or 0)
    return str(reports[0].get("log.origin.function", "")), (start_ns, start_ns)


def _lag(beats: Sequence[Record]) -> int:
    return sum(int(beat[LAG]) for beat in beats)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version that serves requests in the window and did not before it: its first and last bucket and its workers."""

    version: str
    service: str
    first_ns: int
    last_ns: int
    workers: tuple[str, ...]
    before: str


def versions(counted: Counted) -> list[NewVersion]:
    """Return the versions that began to serve in the window, while another one was there before."""
    names = counted.requests.names
    service, version, node = (names.index(name) for name in ("service.name", "service.version", NODE))
    rows: defaultdict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    for row in counted.requests.rows:
        if row.keys[version]:
            rows[row.keys[service], row.keys[version]].append((row.starts_ns[0], row.starts_ns[-1], row.keys[node]))
    begins = {key: min(first for first, _, _ in times) for key, times in rows.items()}
    found = []
    for (name, text), times in rows.items():
        older = [(begin, other) for (of, other), begin in begins.items() if of == name and begin < begins[name, text]]
        if begins[name, text] >= counted.clock.since_ns and older:
            workers = tuple(sorted({worker for _, _, worker in times}))
            last_ns = max(last for _, last, _ in times)
            found.append(NewVersion(text, name, begins[name, text], last_ns, workers, max(older)[1]))
    return found


def _ns(record: Record) -> int:
    return from_rfc3339(record["@timestamp"])



