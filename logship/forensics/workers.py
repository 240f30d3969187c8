"""The table of workers: identity, state, load, latency, errors, loop lag and dropped events."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from logship.forensics.beats import dropped, number, state
from logship.search import kql
from logship.search.kql import Node
from logship.search.query import Incarnation, Query, Source, Stat
from logship.search.ranges import Ranges, union
from logship.search.views import BEATS, DURATION, FAILED, NODE, SERVED

# A host has tens of workers; a store that collects from many has thousands of nodes.
NODES_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker, which is one slot of a service; pid, generation and state are those of its newest run.

    Requests, errors, durations and loop lag are those of the window: `loop_lag_max_ns` is the worst of all its
    heartbeats, None without one. `share` is the part of its service's requests, 0 to 1. `present`: the times in which
    the worker was there, in nanoseconds; `requests_per_second` is over these. `in_flight` is as of the newest
    heartbeat, None for a worker that is no more. `dropped` counts over its runs in that time. `busy_ns`: the sum of the
    durations of its requests, which may overlap."""

    node: str
    service: str
    slot: int | None
    generation: int | None
    pid: int | None
    incarnation: str
    state: str
    up_since_ns: int
    last_seen_ns: int
    lives: int
    requests: int
    requests_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    errors: int
    share: float
    in_flight: int | None
    loop_lag_mean_ns: int | None
    loop_lag_max_ns: int | None
    dropped: int
    present: Ranges
    busy_ns: int


@dataclass(frozen=True, slots=True)
class _Measured:
    """Numbers of the window by node."""

    times: Mapping[str, Stat]
    errors: Mapping[str, int]
    lag_mean: Mapping[str, Stat]
    lag_max: Mapping[str, Stat]


def workers(source: Source, since_ns: int, until_ns: int, where: Node | None = None) -> list[WorkerRow]:
    """Return the workers with an event in `where` from `since_ns` to `until_ns`, by service, node and slot.

    The state of a worker is as of `until_ns`. Runs that never claimed a slot serve no requests and are left out:
    supervisors and scripts."""
    span = Query(where, since_ns, until_ns)
    found: defaultdict[tuple[str, str], list[Incarnation]] = defaultdict(list)
    for run in source.incarnations(span):
        if run.node:
            found[run.service, run.node].append(run)
    services = {service for service, _ in found}
    if len({node for _, node in found}) == len(found):
        measured = dict.fromkeys(services, _measure(source, span))
    else:  # nodes of two services have the same name
        measured = {one: _measure(source, span.narrowed(kql.equal("service.name", one))) for one in services}
    rows = [_row(node, runs, measured[service], span) for (service, node), runs in found.items()]
    totals: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        totals[row.service] += row.requests
    shared = [replace(row, share=row.requests / (totals[row.service] or 1)) for row in rows]
    return sorted(
        shared, key=lambda row: (row.service, row.node.rpartition("/")[0], -1 if row.slot is None else row.slot)
    )


def covered_ns(rows: Iterable[WorkerRow]) -> int:
    """Return for how long at least one worker was there, in nanoseconds: the divisor of a rate over all of them."""
    return sum(high - low for low, high in union(*(row.present for row in rows)))


def _measure(source: Source, span: Query) -> _Measured:
    served, beats = span.narrowed(kql.parse(SERVED)), span.narrowed(kql.parse(BEATS))
    failed = source.top(served.narrowed(kql.parse(FAILED)), NODE, NODES_LIMIT)

    def stats(query: Query, number: str) -> dict[str, Stat]:
        return {stat.key: stat for stat in source.stats(query, number, NODE)}

    return _Measured(
        stats(served, DURATION), {one.value: one.events for one in failed},
        stats(beats, "logship.loop_lag.mean_ns"), stats(beats, "logship.loop_lag.max_ns"),
    )  # fmt: skip


def _row(node: str, runs: list[Incarnation], measured: _Measured, span: Query) -> WorkerRow:
    since_ns, until_ns = span.since_ns or 0, span.until_ns or 0
    newest = max(runs, key=lambda run: (run.generation or 0, run.first_ns))
    now = state(newest, until_ns)
    beat = newest.last_beat if now == "alive" else None
    stat, mean, worst = (some.get(node) for some in (measured.times, measured.lag_mean, measured.lag_max))
    requests = stat.count if stat else 0
    ends = {run.id: until_ns if run is newest and now == "alive" else min(run.last_ns, until_ns) for run in runs}
    present = union((max(since_ns, run.first_ns), max(since_ns, run.first_ns, ends[run.id])) for run in runs)
    there_ns = sum(high - low for low, high in present)
    return WorkerRow(
        node=node, service=newest.service, slot=newest.slot, generation=newest.generation, pid=newest.pid,
        incarnation=newest.id, state=now, up_since_ns=newest.first_ns, last_seen_ns=newest.last_ns,
        lives=len(runs), requests=requests, requests_per_second=requests / max(there_ns / 1e9, 1.0),
        p50_ms=stat.p50 / 1e6 if stat else None, p99_ms=stat.p99 / 1e6 if stat else None,
        errors=measured.errors.get(node, 0), share=0.0, in_flight=number(beat, "logship.requests.in_flight"),
        loop_lag_mean_ns=round(mean.sum / mean.count) if mean else None,
        loop_lag_max_ns=round(worst.max) if worst else None,
        dropped=sum(sum(dropped(run.last_beat).values()) for run in runs), present=present,
        busy_ns=round(stat.sum) if stat else 0,
    )  # fmt: skip
