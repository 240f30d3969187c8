"""How evenly the workers of a service share its requests."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from logship.forensics.workers import WorkerRow
from logship.search.units import plural, share

# Fewer requests are spread unevenly by chance.
LEAST_REQUESTS = 100
# A chi-square test finds 2 % more requests significant in a million. The traffic is called unbalanced when fewer workers
# than this share of them would have been enough, which is what users of gunicorn, uWSGI and Granian report as a problem.
BALANCED = 0.9


@dataclass(frozen=True, slots=True)
class Balance:
    """The workers of one service that are alive or served requests. `effective`: how many workers that share requests
    evenly would have the same concentration, (sum n)^2 / sum n^2 over their requests n. `busiest`: a service.node.name."""

    service: str
    workers: int
    requests: int
    effective: float
    busiest: str
    busiest_share: float
    idle: int
    judged: bool
    unbalanced: bool
    sentence: str


def balances(rows: Iterable[WorkerRow]) -> list[Balance]:
    """Return one balance for each service, in the order of the rows."""
    services: defaultdict[str, list[WorkerRow]] = defaultdict(list)
    for row in rows:
        services[row.service].append(row)
    return [_balance(service, workers) for service, workers in services.items()]


def name_of(row: WorkerRow) -> str:
    """Return the short name of a worker: w2, or its node where it has no slot."""
    return f"w{row.slot}" if row.slot is not None else row.node


def _balance(service: str, rows: Sequence[WorkerRow]) -> Balance:
    serving = [row for row in rows if row.state == "alive" or row.requests]
    total = sum(row.requests for row in serving)
    judged = len(serving) > 1 and total >= LEAST_REQUESTS
    effective = total**2 / sum(row.requests**2 for row in serving) if total else float(len(serving))
    busiest = max(serving, key=lambda row: row.requests, default=None)
    idle = sum(not row.requests for row in serving)
    unbalanced = judged and effective < BALANCED * len(serving)
    return Balance(
        service, len(serving), total, effective, busiest.node if busiest else "",
        busiest.requests / total if busiest and total else 0.0, idle, judged, unbalanced,
        _sentence(serving, busiest, total, idle, unbalanced),
    )  # fmt: skip


def _sentence(serving: Sequence[WorkerRow], busiest: WorkerRow | None, total: int, idle: int, unbalanced: bool) -> str:
    if busiest is None:
        return "No worker served requests."
    if len(serving) == 1:
        return f"{name_of(busiest)} is the only worker."
    if total < LEAST_REQUESTS:
        return f"Too few requests to compare workers ({total}; at least {LEAST_REQUESTS} are needed)."
    even = share(1, len(serving))
    if not unbalanced:
        return f"Traffic is balanced: each worker served close to {even} of requests."
    rest = f" {plural(idle, 'worker')} served none." if idle else ""
    return (
        f"Traffic is unbalanced: {name_of(busiest)} served {share(busiest.requests, total)} of requests "
        f"(an even share is {even}).{rest}"
    )
