"""Workers of the last 15 minutes: dropped events, crashes, and uvicorn's missing log lines."""

import time
from collections.abc import Iterator, Sequence

from logship.connect.source import local_workers
from logship.doctor.check import Check
from logship.forensics.workers import WorkerRow, workers
from logship.search.kql import parse
from logship.search.query import Query, Source
from logship.search.units import plural
from logship.settings import Settings

WINDOW_NS = 15 * 60 * 10**9
DICT_CONFIG = (
    "a later dictConfig replaced its loggers: call logship.configure() after it, or set disable_existing_loggers to False"
)


def checks(source: Source, settings: Settings) -> Iterator[Check]:
    """Yield a check for each problem, or a good one if there are workers and no problems."""
    now_ns = time.time_ns()
    rows = workers(source, now_ns - WINDOW_NS, now_ns)
    problems = [*_dropped(rows), *_crashed(rows), *_without_server_lines(source, now_ns)]
    yield from problems
    if rows and not problems:
        in_flight = sum(len(worker.requests) for worker in local_workers(settings))
        found = f"{plural(len(rows), 'worker')} in the last 15 minutes, {plural(in_flight, 'request')} in flight here"
        yield Check("good", "workers", found)


def _dropped(rows: Sequence[WorkerRow]) -> Iterator[Check]:
    dropped = sum(row.dropped for row in rows)
    if dropped:
        found = f"{plural(dropped, 'event')} dropped in the last 15 minutes"
        yield Check("wrong", "workers", found, "logship verify shows the reasons")


def _crashed(rows: Sequence[WorkerRow]) -> Iterator[Check]:
    nodes = ", ".join(row.node for row in rows if row.state == "lost")
    if nodes:
        yield Check("look", "workers", f"{nodes} crashed", "logship inflight shows the interrupted requests")


def _without_server_lines(source: Source, now_ns: int) -> Iterator[Check]:
    """Uvicorn logs a line when a worker starts; if it is missing, another logging configuration replaced its loggers."""
    since_ns = now_ns - WINDOW_NS
    served = Query(parse("logship.server: uvicorn"), since_ns, now_ns)
    started = {run.id for run in source.incarnations(served) if run.first_ns > since_ns}
    if not started:
        return
    own = Query(parse("log.logger: uvicorn*"), since_ns, now_ns)
    missing = started - {run.id for run in source.incarnations(own)}
    if missing:
        found = f"the log lines of uvicorn are missing for {len(missing)} of {len(started)} workers"
        yield Check("look", "uvicorn", found, DICT_CONFIG)
