"""What a demo reports at its end: were all events of all workers stored?"""

import time
from dataclasses import dataclass, field

from logship.demo.processes import STOP_SECONDS, Layout
from logship.forensics.standout import standout
from logship.forensics.verify import Verdict, verify
from logship.forensics.workers import WorkerRow, workers
from logship.page.client import HttpSource
from logship.search.query import Query


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counts of a demo: requests sent (`asked`), events, and the pid of the worker that was killed last.

    `lost`: events that are neither stored nor counted as dropped. `verdicts`: the delivery check of each run; `findings`:
    what stood out, as sentences."""

    seconds: float
    asked: int
    emitted: int
    stored: int
    dropped: int
    lost: int
    killed: int | None
    workers: list[WorkerRow] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def measure(layout: Layout, seconds: float, asked: int, killed: int | None) -> Outcome:
    """Return the outcome of a demo whose shop has ended after `seconds`, as the collector's API reports it.

    Waits until the last journal is adopted, 15 seconds at most."""
    source = HttpSource(f"http://{layout.http}")
    verdicts = _final_verdicts(source, layout)
    stored = sum(verdict.stored for verdict in verdicts)
    dropped = sum(sum(verdict.dropped.values()) for verdict in verdicts)
    lost = sum(verdict.missing for verdict in verdicts)
    now_ns = time.time_ns()
    since_ns = now_ns - int((seconds + STOP_SECONDS) * 1e9)
    stands_out = standout(source, Query(None, since_ns, now_ns), now_ns)
    return Outcome(
        seconds=round(seconds, 1),
        asked=asked,
        emitted=stored + dropped + lost,
        stored=stored,
        dropped=dropped,
        lost=lost,
        killed=killed,
        workers=workers(source, since_ns, now_ns),
        verdicts=verdicts,
        findings=[finding.sentence for finding in stands_out.findings],
    )


def _final_verdicts(source: HttpSource, layout: Layout) -> list[Verdict]:
    until = time.monotonic() + STOP_SECONDS
    while True:
        verdicts = verify(source, Query(), time.time_ns())
        complete = all(verdict.finding == "complete" for verdict in verdicts)
        if time.monotonic() > until or (complete and not layout.state.incarnations()):
            return verdicts
        time.sleep(0.5)
