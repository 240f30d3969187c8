"""The table of workers: who they are, how they do, and what they have lost."""

from collections import defaultdict
from dataclasses import dataclass

from logship.forensics.beats import dropped, number, state
from logship.search import kql
from logship.search.query import Incarnation, Query, Source
from logship.search.views import FAILED, SERVED

# A host has tens of workers; a store that collects from many has thousands of nodes.
NODES_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker, which is one slot; pid, generation and state are those of its newest life.

    Requests, errors and durations are those of the time asked for; `share` is the part of all requests, 0 to 1;
    `requests_per_second` is over the part of that time in which the worker was there. `in_flight` and loop lag are as
    of the newest heartbeat, None for one that is no more. `dropped` counts over its lives in that time."""

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


def workers(source: Source, since_ns: int, until_ns: int) -> list[WorkerRow]:
    """Return the workers with an event from `since_ns` to `until_ns`, by node and slot.

    `until_ns` is taken for now when it is said who is alive. Lives that never claimed a slot serve nothing and are left
    out: supervisors and scripts."""
    span = Query(None, since_ns, until_ns)
    nodes: defaultdict[str, list[Incarnation]] = defaultdict(list)
    for life in source.incarnations(span):
        if life.node:
            nodes[life.node].append(life)
    times = {stat.key: stat for stat in source.stats(_within(span, SERVED), "event.duration", "service.node.name")}
    failed = source.top(_within(span, f"{SERVED} and {FAILED}"), "service.node.name", NODES_LIMIT)
    wrong = {node.value: node.events for node in failed}
    total = sum(stat.count for stat in times.values())
    rows = []
    for node, lives in nodes.items():
        newest = max(lives, key=lambda life: (life.generation or 0, life.first_ns))
        now = state(newest, until_ns)
        beat = newest.last_beat if now == "alive" else None
        stat = times.get(node)
        requests = stat.count if stat else 0
        there_ns = (until_ns if now == "alive" else newest.last_ns) - max(
            since_ns, min(life.first_ns for life in lives)
        )
        rows.append(
            WorkerRow(
                node=node, service=newest.service, slot=newest.slot, generation=newest.generation, pid=newest.pid,
                incarnation=newest.id, state=now, up_since_ns=newest.first_ns, last_seen_ns=newest.last_ns,
                lives=len(lives), requests=requests, requests_per_second=requests / max(there_ns / 1e9, 1.0),
                p50_ms=stat.p50 / 1e6 if stat else None, p99_ms=stat.p99 / 1e6 if stat else None,
                errors=wrong.get(node, 0), share=requests / total if total else 0.0,
                in_flight=number(beat, "logship.requests.in_flight"),
                loop_lag_mean_ns=number(beat, "logship.loop_lag.mean_ns"),
                loop_lag_max_ns=number(beat, "logship.loop_lag.max_ns"),
                dropped=sum(sum(dropped(life.last_beat).values()) for life in lives),
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row.node.rpartition("/")[0], row.slot if row.slot is not None else -1))


def _within(span: Query, text: str) -> Query:
    return Query(kql.parse(text), span.since_ns, span.until_ns)
