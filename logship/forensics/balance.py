"""How evenly the workers of a service share its requests, and whether it matters."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from logship.forensics.connections import Connections
from logship.forensics.evenness import Evenness, evenness
from logship.forensics.hot_workers import Hot, hot_worker
from logship.forensics.timeline import Timeline, even_shares
from logship.forensics.workers import WorkerRow
from logship.search.units import duration, plural, share

# Fewer requests are spread unevenly by chance.
LEAST_REQUESTS = 100
# A chi-square test finds 2 % more requests significant in a million, and nothing in the first hundred. So the difference
# must not be chance, and have a size that users of gunicorn, uWSGI and Granian report as a problem: Cramer's V by number of
# requests, or fewer workers that would have been enough for the handling time than this share of them.
SIGNIFICANT = 0.01
LEAST_V = 0.1
BALANCED = 0.9
# A worker that was there for less than this part of the others' time is not compared.
LEAST_THERE = 0.1
# With fewer requests at a time on average, requests of the busiest worker rarely meet another one.
LEAST_RUNNING = 0.2
NO_TIMES = Timeline(1, ())


@dataclass(frozen=True, slots=True)
class Balance:
    """The workers of one service that are alive or served requests. `effective`: how many workers that share requests
    evenly would have the same concentration, (sum n)^2 / sum n^2 over their requests n. `busiest`: a service.node.name.

    `p` and `cramers_v`: see `Evenness`; `p` is over connections where they are known. `busy_effective`: the same as
    `effective` over handling time, `busy_share` that of the busiest worker. `connections`: None if events do not distinguish
    them, or if the shares are even. `unserved`: workers that are alive and served none. `hot_since_ns` to `hot_until_ns`:
    when the busiest worker was so for a part of the window only; None otherwise."""

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
    p: float
    cramers_v: float
    busy_effective: float
    busy_share: float
    connections: int | None
    unserved: list[str]
    hot_since_ns: int | None
    hot_until_ns: int | None


@dataclass(frozen=True, slots=True)
class _Shares:
    """What is judged of one service. `rows` are its workers that serve; `expected`: their even shares."""

    rows: Sequence[WorkerRow]
    requests: Evenness
    busy: Evenness
    clients: Connections | None

    @property
    def total(self) -> int:
        return sum(row.requests for row in self.rows)

    @property
    def uneven(self) -> bool:
        return self.requests.cramers_v >= LEAST_V or self.busy.effective < BALANCED * len(self.rows)

    @property
    def busiest(self) -> WorkerRow:
        return max(self.rows, key=lambda row: (row.requests, row.busy_ns))


def balances(
    rows: Iterable[WorkerRow],
    times: Timeline = NO_TIMES,
    clients: Callable[[str, int], Connections | None] = lambda service, requests: None,
) -> list[Balance]:
    """Return one balance for each service, in the order of the rows.

    `times`: their requests over time. `clients` returns the connections of a service by its name and its number of
    requests; it is only called if the shares are uneven."""
    services: defaultdict[str, list[WorkerRow]] = defaultdict(list)
    for row in rows:
        services[row.service].append(row)
    return [_balance(service, workers, times, clients) for service, workers in services.items()]


def name_of(row: WorkerRow) -> str:
    """Return the short name of a worker: w2, or its node where it has no slot."""
    return f"w{row.slot}" if row.slot is not None else row.node


def _balance(
    service: str, rows: Sequence[WorkerRow], times: Timeline, clients: Callable[[str, int], Connections | None]
) -> Balance:
    serving = [row for row in rows if row.state == "alive" or row.requests]
    total = sum(row.requests for row in serving)
    judged = len(serving) > 1 and total >= LEAST_REQUESTS
    shares = _compared(service, serving, times, clients if judged else None)
    unbalanced = judged and shares.uneven and shares.requests.p < SIGNIFICANT
    hot = hot_worker(shares.rows, times, _units(shares)) if judged and not unbalanced else None
    busiest = hot.worker if hot else max(serving, key=lambda row: row.requests, default=None)
    handling = sum(row.busy_ns for row in serving)
    effective = total**2 / sum(row.requests**2 for row in serving) if total else float(len(serving))
    return Balance(
        service, len(serving), total, effective, busiest.node if busiest else "",
        busiest.requests / total if busiest and total else 0.0, sum(not row.requests for row in serving), judged,
        unbalanced or hot is not None, _sentence(serving, shares, unbalanced, hot),
        shares.requests.p, shares.requests.cramers_v, shares.busy.effective,
        max(row.busy_ns for row in serving) / handling if handling else 0.0,
        shares.clients.total if shares.clients else None,
        [row.node for row in _unserved(shares)] if judged else [],
        hot.since_ns if hot else None, hot.until_ns if hot else None,
    )  # fmt: skip


def _compared(
    service: str,
    serving: Sequence[WorkerRow],
    times: Timeline,
    clients: Callable[[str, int], Connections | None] | None,
) -> _Shares:
    """Judge the workers that were there for long enough to have a share."""
    expected = even_shares(serving, times)
    least = LEAST_THERE * sum(expected) / (len(serving) or 1)
    kept = [(row, share_) for row, share_ in zip(serving, expected, strict=True) if share_ >= least]
    rows, even = [row for row, _ in kept], [share_ for _, share_ in kept]
    counts = [row.requests for row in rows]
    busy = evenness([row.busy_ns for row in rows], even)
    shares = _Shares(rows, evenness(counts, even), busy, None)
    if clients is None or not shares.uneven:
        return shares
    known = clients(service, shares.total)
    return _Shares(rows, evenness(counts, even, known.requests_each), busy, known) if known else shares


def _units(shares: _Shares) -> float:
    return shares.clients.requests_each if shares.clients else 1.0


def _unserved(shares: _Shares) -> list[WorkerRow]:
    """Workers that are alive and served nothing, though that many requests or connections would have reached all of them."""
    tries = shares.total / _units(shares)
    workers = len(shares.rows)
    by_chance = workers * (1 - 1 / workers) ** tries if workers else 1.0
    idle = [row for row in shares.rows if row.state == "alive" and not row.requests]
    return idle if by_chance < SIGNIFICANT else []


def _sentence(serving: Sequence[WorkerRow], shares: _Shares, unbalanced: bool, hot: Hot | None) -> str:
    if not serving:
        return "No worker served requests."
    total = sum(row.requests for row in serving)
    if len(serving) == 1:
        return f"{name_of(serving[0])} is the only worker."
    if total < LEAST_REQUESTS:
        return f"Too few requests to compare workers ({total}; at least {LEAST_REQUESTS} are needed)."
    even = share(1, len(shares.rows))
    if unbalanced:
        return _unbalanced(shares, even)
    if hot:
        return (
            f"Traffic was unbalanced for {duration(hot.until_ns - hot.since_ns)}: {name_of(hot.worker)} served "
            f"{share(hot.share, 1)} of requests (an even share is {even}; {share(hot.usual_share, 1)} in the rest of the time)."
        )
    if shares.uneven:
        return _by_chance(shares, even)
    return f"Traffic is balanced: each worker served close to {even} of requests."


def _unbalanced(shares: _Shares, even: str) -> str:
    busiest = shares.busiest
    return (
        f"Traffic is unbalanced: {name_of(busiest)} served {share(busiest.requests, shares.total)} of requests (an even "
        f"share is {even}); the traffic of {len(shares.rows)} workers lands on {shares.requests.effective:.1f}."
        f"{_none_served(shares)}{_weight(shares)}"
    )


def _by_chance(shares: _Shares, even: str) -> str:
    busiest = shares.busiest
    clients = f"{plural(shares.clients.total, 'connection')} is" if shares.clients else "this number of requests is"
    clients = clients.replace("connections is", "connections are")
    return (
        f"Shares differ, but not by more than chance: {name_of(busiest)} served {share(busiest.requests, shares.total)} of "
        f"requests (an even share is {even}), and {clients} too few to spread evenly."
    )


def _none_served(shares: _Shares) -> str:
    idle = [row for row in shares.rows if row.state == "alive" and not row.requests]
    if not idle:
        return ""
    verb = "is" if len(idle) == 1 else "are"
    return f" {', '.join(map(name_of, idle))} {verb} alive and served none."


def _weight(shares: _Shares) -> str:
    """Whether it matters: by handling time, and by how many requests the busiest worker had at a time."""
    handling = sum(row.busy_ns for row in shares.rows)
    if not handling:
        return ""
    top = max(shares.rows, key=lambda row: row.busy_ns)
    there_ns = sum(high - low for low, high in top.present)
    running = top.busy_ns / there_ns if there_ns else None
    if running is not None and running < LEAST_RUNNING:
        return f" It costs little at this rate: {name_of(top)} had {running:.2g} requests at a time on average."
    if shares.busy.effective >= BALANCED * len(shares.rows):
        return " It costs little: the handling time is shared evenly."
    return f" It matters: {name_of(top)} had {share(top.busy_ns, handling)} of the handling time."
