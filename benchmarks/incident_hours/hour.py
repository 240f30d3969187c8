"""An hour of a service with the time before it: its events as a store gets them, and what was planted."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.incident_hours import lines, records, runs
from benchmarks.incident_hours.plan import SECOND, Loss, Plan, Stage, Truth
from benchmarks.incident_hours.records import Record
from benchmarks.incident_hours.runs import Entry, Run
from benchmarks.incident_hours.stalls import usual_stalls
from benchmarks.incident_hours.traffic import calls
from logship.event import build

OOM = "; its control group counts a new out-of-memory kill"


@dataclass(frozen=True, slots=True)
class Hour:
    """`entries`: (nanoseconds, record), oldest first, from `before_ns` to `until_ns`; the window begins at `since_ns`."""

    entries: list[Entry]
    before_ns: int
    since_ns: int
    until_ns: int
    truth: Truth


def build_hour(stage: Stage, plan: Plan, size: str) -> Hour:
    """Return the events of the plan."""
    supervisor = stage.pick.randint(300, 999)
    every = runs.runs(stage, plan, supervisor)
    plan.lines += lines.rare(stage)
    plan.stalls += usual_stalls(stage)
    made = calls(stage, plan)
    runs.assign(stage, plan, every, made)
    for run in (run for of_slot in every for run in of_slot):
        runs.events(stage, plan, run)
    lost = [time for loss in plan.losses for time in _lose(every[loss.slot], loss)]
    entries = [entry for of_slot in every for run in of_slot for entry in run.entries]
    entries += _supervisor(stage, every, supervisor)
    entries.sort(key=lambda entry: entry[0])
    touched = [call.at_ns for call in made if call.touched]
    return Hour(entries, stage.before_ns, stage.since_ns, stage.until_ns, _truth(plan, size, sorted([*touched, *lost])))


def _truth(plan: Plan, size: str, touched: Sequence[int]) -> Truth:
    """The moment is that of the first change that happened, not the planned one."""
    if not plan.accepted:
        return Truth(plan.kind, size, [], None, None, len(touched))
    began, ended = plan.began_ns, plan.ended_ns
    if touched:
        began, ended = touched[0], touched[-1]
    return Truth(plan.kind, size, plan.accepted, began, ended, len(touched))


def _lose(of_slot: Sequence[Run], loss: Loss) -> list[int]:
    """Remove events from the run that was alive then; return the times of the removed ones."""
    run = next(run for run in reversed(of_slot) if run.from_ns <= loss.at_ns)
    # Not to the end: a worker of which nothing more arrives is silent, which is another kind.
    most = min(loss.events, sum(at_ns >= loss.at_ns for at_ns, _ in run.entries) // 2)
    gone: list[int] = []
    kept: list[Entry] = []
    for at_ns, record in run.entries:
        worker = record["event.dataset"] == build.WORKER
        if at_ns >= loss.at_ns and len(gone) < most and not (worker and loss.dropped):
            gone.append(at_ns)
            continue
        if gone and loss.dropped and "logship.emitted" in record:
            _count_dropped(record, run.dropped + len(gone))
        kept.append((at_ns, record))
    run.entries = kept
    return gone


def _count_dropped(record: Record, dropped: int) -> None:
    record["logship.dropped.journal_full"] = dropped
    record["message"] = f"{record['message']}, {dropped} dropped"


def _supervisor(stage: Stage, every: Sequence[Sequence[Run]], pid: int) -> list[Entry]:
    """Return what the supervisor says about the ends of its workers, numbered from 1."""
    who = records.identity(stage.pick, stage.shop, None, 1, pid, stage.shop.version)
    ends = sorted(
        (run.entries[-1][0], run.pid(), run.exit.how)
        for of_slot in every
        for run in of_slot
        if run.exit is not None and run.exit.at_ns < stage.until_ns and run.entries
    )
    entries: list[Entry] = []
    for at_ns, worker, how in ends:
        entries.append((at_ns + SECOND // 5, who.fields | _exit(worker, how)))
    for sequence, (_, record) in enumerate(entries, 1):
        record["event.sequence"], record["event.id"] = sequence, f"{who.incarnation}-{sequence:012d}"
    return entries


def _exit(pid: int, how: str) -> Record:
    """As logship/worker/servers/supervisor.py records it."""
    closed = how == "closed"
    text = f"worker process {pid} {'was stopped by SIGTERM' if closed else 'was killed by SIGKILL'}{OOM * (how == 'oom')}"
    record: Record = build.supervisor(text, "info" if closed else "error", "logship.supervisor")
    record["process.exit_code"] = -15 if closed else -9
    record["numeric_labels"] = {"worker.pid": float(pid)}
    return record
