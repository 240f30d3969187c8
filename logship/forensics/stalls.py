"""Event loops that stood still and thread pools that were exhausted, grouped by the line of code that caused it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logship.event.stall import LOOP_STALLED, LOOP_STALLING, POOL_EXHAUSTED, POOL_EXHAUSTING, REASONS
from logship.forensics.finding import Finding, Kind, short
from logship.search import kql
from logship.search.kql import equal
from logship.search.query import Page, Query, Record, Source, Stat
from logship.search.units import duration, plural
from logship.search.views import DURATION, LIFE, NODE, ROUTE

LINE = "error.id"
PAUSED = "not_scheduled"
STALLS = f"event.action: {LOOP_STALLED} and not event.reason: {PAUSED}"
PAUSES = f"event.action: {LOOP_STALLED} and event.reason: {PAUSED}"
POOLS = f"event.action: {POOL_EXHAUSTED}"
UNENDED = {LOOP_STALLING: LOOP_STALLED, POOL_EXHAUSTING: POOL_EXHAUSTED}
# One short stall is not worth a finding; the third is.
LEAST_NS, LEAST_STALLS = 500_000_000, 3
# Beyond so many, one finding counts the rest.
LINES_NAMED = 3
WORKERS_NAMED, ROUTES_NAMED = 3, 2
UNENDED_READ = 200

NameOf = Callable[[Record], str]


@dataclass(frozen=True, slots=True)
class StallGroup:
    """Events of one line. `nodes`, `routes`: the most frequent first; `worst`: the longest event, `workers`: their names."""

    stat: Stat
    worst: Record
    nodes: Sequence[str]
    routes: Sequence[str]
    workers: str


def stalls(source: Source, query: Query, name_of: NameOf) -> list[Finding]:
    """Return a finding for each line that blocked event loops or filled a thread pool, the longest in total first."""
    actions = kql.either(*(equal("event.action", action) for action in (LOOP_STALLED, POOL_EXHAUSTED, *UNENDED)))
    counts = {bucket.key: bucket.events for bucket in source.tally(query.narrowed(actions), "event.action", None)}
    findings: list[Finding] = []
    if counts.get(LOOP_STALLED):
        findings += _lines(source, query, name_of)
        findings += _pauses(source, query, name_of)
    if counts.get(POOL_EXHAUSTED):
        findings += _pools(source, query, name_of)
    for action, end in UNENDED.items():
        if counts.get(action):
            findings += _unended(source, query, name_of, action, end)
    return findings


def _lines(source: Source, query: Query, name_of: NameOf) -> list[Finding]:
    where = kql.parse(STALLS)
    worth = [stat for stat in _stats(source, query, STALLS) if stat.count >= LEAST_STALLS or stat.max >= LEAST_NS]
    findings = [
        _line(_group(source, query.narrowed(_of_line(where, stat.key)), stat, name_of)) for stat in worth[:LINES_NAMED]
    ]
    rest = worth[LINES_NAMED:]
    if rest:
        total_ns, count = sum(stat.sum for stat in rest), sum(stat.count for stat in rest)
        sentence = f"{plural(len(rest), 'more line')} caused {plural(count, 'stall')}, {duration(total_ns)} in total."
        evidence = {"stalls": count, "total_ns": total_ns}
        findings.append(Finding("loop-stalled", "warning", sentence, STALLS, evidence=evidence))
    return findings


def _line(group: StallGroup) -> Finding:
    stat, worst = group.stat, group.worst
    lasted = f"for {duration(stat.sum)}" if stat.count == 1 else (
        f"{stat.count:,} times, for {duration(stat.sum)} in total and up to {duration(stat.max)}"
    )  # fmt: skip
    where = _place(worst)
    by = REASONS.get(str(worst.get("event.reason")), "")
    cause = f"{f', {by}' if by else ''}{f' in {where}' if where else '; the line is not known'}"
    routes = f", in {' and '.join(group.routes[:ROUTES_NAMED])}" if group.routes else ""
    sentence = f"The event loop of {group.workers} was blocked {lasted}{cause}{routes}."
    return _finding("loop-stalled", sentence, kql.text_of(_of_line(kql.parse(STALLS), stat.key)), group)


def _pauses(source: Source, query: Query, name_of: NameOf) -> list[Finding]:
    """The process did not run: one finding, without a line."""

    def sentence(group: StallGroup, often: str) -> str:
        lasted = f"for up to {duration(group.stat.max)}"
        return f"{group.workers} did not run{often} {lasted}: suspended, or the machine was overloaded."

    return _together(source, query, name_of, ("worker-paused", PAUSES), sentence)


def _pools(source: Source, query: Query, name_of: NameOf) -> list[Finding]:
    def sentence(group: StallGroup, often: str) -> str:
        lasted = f"for up to {duration(group.stat.max)}"
        return f"The thread pool of {group.workers} was exhausted{often} {lasted}{_pool(group.worst)}."

    return _together(source, query, name_of, ("thread-pool-exhausted", POOLS), sentence)


def _together(
    source: Source, query: Query, name_of: NameOf, of: tuple[Kind, str], sentence: Callable[[StallGroup, str], str]
) -> list[Finding]:
    """One finding for all events of a kind. `of`: the kind and its KQL; `sentence`: of the group, and how often it happened."""
    kind, where = of
    found = query.narrowed(kql.parse(where))
    stats = source.stats(found, DURATION, None)
    if not stats or not stats[0].count:
        return []
    group = _group(source, found, stats[0], name_of)
    often = "" if stats[0].count == 1 else f" {stats[0].count:,} times"
    return [_finding(kind, sentence(group, often), where, group)]


def _pool(record: Record) -> str:
    waiting, size = record.get("logship.thread_pool.waiting", "?"), record.get("logship.thread_pool.size", "?")
    where = _place(record)
    return f"; up to {waiting} calls waited for one of {size} threads" + (f", most of them in {where}" if where else "")


def _unended(source: Source, query: Query, name_of: NameOf, action: str, end: str) -> list[Finding]:
    """Stalls whose end was not recorded, by line: the worker crashed in them, or they still last."""
    begun = source.search(query.narrowed(equal("event.action", action)), Page(UNENDED_READ)).records
    ended = source.search(
        query.narrowed(kql.every(equal("event.action", end), kql.parse(f"{DURATION} >= 1000000000"))),
        Page(UNENDED_READ * 5, columns=(LIFE, "event.start")),
    ).records
    known = {(record.get(LIFE), record.get("event.start")) for record in ended}
    open_ = [record for record in begun if (record.get(LIFE), record.get("event.start")) not in known]
    if not open_:
        return []
    newest = open_[0]
    more = f" ({len(open_) - 1} more like it)" if len(open_) > 1 else ""
    what = "event loop was blocked" if end == LOOP_STALLED else "thread pool was exhausted"
    where = _place(newest)
    sentence = (
        f"The end of a stall was not recorded: the {what} in {name_of(newest)}{f', in {where}' if where else ''}{more}."
    )
    kind: Kind = "loop-stalled" if end == LOOP_STALLED else "thread-pool-exhausted"
    return [
        Finding(
            kind, "critical", sentence, kql.text_of(equal("event.action", action)), str(newest.get("service.name", "")),
            str(newest.get(NODE, "")), evidence={"stalls": len(open_)},
        )
    ]  # fmt: skip


def _stats(source: Source, query: Query, where: str) -> list[Stat]:
    stats = source.stats(query.narrowed(kql.parse(where)), DURATION, LINE)
    return sorted((stat for stat in stats if stat.count), key=lambda stat: -stat.sum)


def _of_line(where: kql.Node | None, line: str) -> kql.Node:
    node = kql.every(where, equal(LINE, line) if line else kql.Not(kql.existing(LINE)))
    assert node is not None
    return node


def _group(source: Source, query: Query, stat: Stat, name_of: NameOf) -> StallGroup:
    worst = source.search(query, Page(1, greatest=DURATION)).records[0]
    by = source.tally(query, NODE, None, ROUTE)
    nodes, routes = (
        _ordered([(bucket.key, bucket.events) for bucket in by]),
        _ordered([(b.and_key, b.events) for b in by]),
    )
    names = [name_of(worst)] if len(nodes) == 1 else [short(node) for node in nodes]
    more = f" and {len(names) - WORKERS_NAMED} more" if len(names) > WORKERS_NAMED else ""
    return StallGroup(stat, worst, nodes, routes, ", ".join(names[:WORKERS_NAMED]) + more)


def _ordered(counts: Sequence[tuple[str, int]]) -> list[str]:
    """The keys that are not empty, the most frequent first."""
    sums: dict[str, int] = {}
    for key, events in counts:
        if key:
            sums[key] = sums.get(key, 0) + events
    return sorted(sums, key=lambda key: -sums[key])


def _place(record: Record) -> str:
    function, file, line = (record.get(f"log.origin.{name}") for name in ("function", "file.name", "file.line"))
    return f"{function} ({file}:{line})" if function else ""


def _finding(kind: Kind, sentence: str, where: str, group: StallGroup) -> Finding:
    worst, stat = group.worst, group.stat
    fields: dict[str, str | list[str]] = {ROUTE: list(group.routes)} if group.routes else {}
    for name in ("log.origin.function", "log.origin.file.name", "log.origin.file.line", "event.reason"):
        if name in worst:
            fields[name] = str(worst[name])
    return Finding(
        kind, "warning", sentence, where, str(worst.get("service.name", "")),
        group.nodes[0] if len(group.nodes) == 1 else "", fields=fields,
        evidence={"stalls": stat.count, "total_ns": stat.sum, "max_ns": stat.max},
    )  # fmt: skip
