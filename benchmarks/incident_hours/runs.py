"""Runs of workers: which run handles a request, what a blocked loop or a crash does to it, and the events in their sequence."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.incident_hours import lines, records, stalls
from benchmarks.incident_hours.plan import SECOND, Call, Exit, LoopStall, Plan, Stage
from benchmarks.incident_hours.records import Identity, Record
from logship.event import build

BEAT_NS = 10 * SECOND
Entry = tuple[int, Record]


@dataclass(slots=True)
class Run:
    """One run of a worker. `began_ns` None: before the hour; `exit` None: it is alive at the end."""

    slot: int
    identity: Identity
    began_ns: int | None
    exit: Exit | None
    first_sequence: int
    dropped: int = 0
    calls: list[Call] = field(default_factory=list)
    interrupted: list[Call] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def from_ns(self) -> int:
        return self.began_ns or 0

    def pid(self) -> int:
        return int(self.identity.fields["process.pid"])


def runs(stage: Stage, plan: Plan, supervisor: int) -> list[list[Run]]:
    """Return the runs of each worker, oldest first."""
    return [_of_slot(stage, plan, supervisor, slot) for slot in range(len(stage.shop.shares))]


def _of_slot(stage: Stage, plan: Plan, supervisor: int, slot: int) -> list[Run]:
    pick, shop = stage.pick, stage.shop
    exits = sorted((end for end in plan.exits if end.slot == slot), key=lambda end: end.at_ns)
    generation, version, began = pick.randint(1, 3), shop.version, None
    made: list[Run] = []
    for end in (*exits, None):
        who = records.identity(pick, shop, slot, generation, supervisor, version)
        first = 1 if made else pick.randint(50, 200_000)
        made.append(Run(slot, who, began, end, first, 0 if made else shop.dropped_before.get(slot, 0)))
        if end is not None:
            generation, version, began = generation + 1, end.version or version, end.at_ns + end.down_ns
    return made


def assign(stage: Stage, plan: Plan, every: Sequence[Sequence[Run]], calls: Sequence[Call]) -> None:
    """Give each request to a run; a worker that is down gets none."""
    blocked = {
        slot: sorted((stall for stall in plan.stalls if stall.slot == slot), key=lambda stall: stall.at_ns)
        for slot in range(len(every))
    }
    begins = [[run.from_ns for run in of_slot] for of_slot in every]
    for call in calls:
        run = _serving(every[call.slot], begins[call.slot], call.at_ns)
        tries = 0
        while run is None and tries < 50:
            call.slot, tries = stage.pick.randrange(len(every)), tries + 1
            run = _serving(every[call.slot], begins[call.slot], call.at_ns)
        if run is None:
            continue
        _wait(call, blocked[call.slot])
        killed = run.exit is not None and run.exit.how != "closed" and call.at_ns + call.took_ns >= run.exit.at_ns
        (run.interrupted if killed else run.calls).append(call)


def _serving(of_slot: Sequence[Run], begins: Sequence[int], at_ns: int) -> Run | None:
    run = of_slot[bisect_right(begins, at_ns) - 1]
    return None if run.exit is not None and at_ns >= run.exit.at_ns else run


def _wait(call: Call, blocked: Sequence[LoopStall]) -> None:
    """A request that runs while the loop is blocked takes as much longer."""
    for stall in blocked:
        end_ns = stall.at_ns + stall.length_ns
        if stall.at_ns >= call.at_ns + call.took_ns:
            return
        if end_ns > call.at_ns:
            call.took_ns += end_ns - max(stall.at_ns, call.at_ns)


def events(stage: Stage, plan: Plan, run: Run) -> None:
    """Fill the entries of the run: requests, log lines, its beginning, heartbeats and its end, numbered in their order."""
    entries = _requests(stage, run)
    entries += [
        (said.at_ns, lines.outside(said) | run.identity.fields)
        for said in plan.lines
        if said.slot == run.slot and _alive(run, said.at_ns)
    ]
    entries += [
        (at_ns, run.identity.fields | report)
        for stall in plan.stalls
        if stall.slot == run.slot
        for at_ns, report in stalls.reports(stall)
        if _alive(run, at_ns)
    ]
    entries += _beginning(run)
    closed_ns = _closed_ns(run, entries)
    entries = [entry for entry in entries if entry[0] < stage.until_ns]
    beats = _beats(stage, plan, run, min(stage.until_ns, closed_ns))
    run.entries = sorted((*entries, *beats), key=lambda entry: entry[0])
    if run.exit is not None and closed_ns < stage.until_ns:
        run.entries.append(_end(stage, plan, run, closed_ns))
    _number(stage.pick, run)


def _alive(run: Run, at_ns: int) -> bool:
    return run.from_ns <= at_ns and (run.exit is None or at_ns < run.exit.at_ns)


def _requests(stage: Stage, run: Run) -> list[Entry]:
    pick, common, made = stage.pick, run.identity.fields, []
    bits = f"{pick.getrandbits(192 * (len(run.calls) + 1)):0{48 * (len(run.calls) + 1)}x}"
    for number, call in enumerate(run.calls):
        ids = bits[48 * number : 48 * number + 48]
        for at_ns, said in lines.of_call(pick, call, ids):
            said["http.route"] = stage.shop.routes[call.route].path
            made.append((at_ns, common | said))
        made.append((call.at_ns + call.took_ns, common | records.request(pick, stage.shop, call, ids)))
    return made


def _beginning(run: Run) -> list[Entry]:
    if run.began_ns is None:
        return []
    text = f"Started server process [{run.pid()}]"
    process = run.identity.unclaimed | records.line(text, "info", "uvicorn.error", ("server.py", 103, "_serve"))
    started = run.identity.fields | build.started("uvicorn", True)
    return [(run.began_ns, process), (run.began_ns + 10_000_000, started | {"server.address": "0.0.0.0", "server.port": 8000})]


def _closed_ns(run: Run, entries: Sequence[Entry]) -> int:
    """When the run ends: a worker that is shut down finishes its requests first."""
    if run.exit is None:
        return 2**63
    if run.exit.how != "closed":
        return run.exit.at_ns
    return max(run.exit.at_ns, max((at_ns for at_ns, _ in entries), default=0)) + 40_000_000


def _beats(stage: Stage, plan: Plan, run: Run, until_ns: int) -> list[Entry]:
    pick = stage.pick
    begins = sorted(call.at_ns for call in (*run.calls, *run.interrupted))
    ends = sorted(call.at_ns + call.took_ns for call in run.calls)
    blocked = [stall for stall in plan.stalls if stall.slot == run.slot]
    made: list[Entry] = []
    at_ns = (run.began_ns or stage.before_ns) + pick.randint(0, BEAT_NS - 1)
    while at_ns < until_ns:
        lag_ns = int(pick.lognormvariate(0, 0.6) * 4e6)
        late = [s.length_ns for s in blocked if at_ns - BEAT_NS < s.at_ns + s.length_ns <= at_ns]
        counters = build.Counters(
            emitted=0, acknowledged=0, dropped={"journal_full": 0}, journal_bytes=pick.randint(800, 9000),
            in_flight=max(0, bisect_right(begins, at_ns) - bisect_right(ends, at_ns)),
            lag_mean_ns=lag_ns // 12 + sum(length * length // 2 // BEAT_NS for length in late),
            lag_max_ns=max([lag_ns, *late]),
        )  # fmt: skip
        made.append((at_ns, run.identity.fields | build.heartbeat(counters)))
        at_ns += BEAT_NS + pick.randint(0, 3_000_000)
    return made


def _end(stage: Stage, plan: Plan, run: Run, at_ns: int) -> Entry:
    """Return the last event of a run that ended: what it says itself, or what is found out about a crash."""
    assert run.exit is not None
    if run.exit.how == "closed":
        return at_ns, run.identity.fields | build.closed(build.Counters(0, 0, {}))
    hanging = [(slot_ms, route) for slot, slot_ms, route in plan.hanging if slot == run.slot]
    requests = [
        (f"{stage.pick.getrandbits(128):032x}", _method(stage, route), records.path_of(stage.pick, stage.shop.routes[route]), ms)
        for ms, route in [*hanging, *(((at_ns - call.at_ns) // 10**6, call.route) for call in run.interrupted)]
    ]
    requests.sort(key=lambda request: -request[3])
    death = build.Death(
        found=build.time_text(at_ns + 600_000_000), in_flight=tuple(requests), evidence="supervisor_survived",
        journal_end=build.Counters(0, 0, {}, in_flight=len(requests)),
    )  # fmt: skip
    return at_ns, run.identity.fields | build.ended(death)


def _method(stage: Stage, route: int) -> str:
    return stage.shop.routes[route].method


def _number(pick: random.Random, run: Run) -> None:
    """Number the events; counters count up to their own event."""
    for sequence, (_, record) in enumerate(run.entries, run.first_sequence):
        if "logship.emitted" in record:
            record["logship.emitted"] = sequence
            record["logship.acknowledged"] = max(0, sequence - 1 - int(pick.random() * 12))
            record["logship.dropped.journal_full"] = run.dropped
            if record["event.action"] == "worker-heartbeat":
                record["message"] = f"{sequence} events, {record['logship.requests.in_flight']} requests in flight"
        record["event.sequence"] = sequence
        record["event.id"] = f"{run.identity.incarnation}-{sequence:012d}"
