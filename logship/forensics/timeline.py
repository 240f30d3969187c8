"""Requests of each worker over time, and what each worker would have served of them if they were shared evenly."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from logship.forensics.workers import WorkerRow
from logship.search import kql
from logship.search.query import Query, Source
from logship.search.views import DURATION, NODE, SERVED

# Five of them are one rolling window: five minutes, or a fiftieth of a longer time.
LEAST_EVERY_NS = 60 * 10**9
MOST_BUCKETS = 250


@dataclass(frozen=True, slots=True)
class Slice:
    """From `start_ns` on, for as long as the timeline says: requests and handling time in nanoseconds by node."""

    start_ns: int
    requests: Mapping[str, int]
    busy_ns: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Slices of `every_ns`, oldest first, without those that have no request."""

    every_ns: int
    slices: Sequence[Slice]


def timeline(source: Source, query: Query) -> Timeline:
    """Return the requests of `query`, whose times must be set."""
    assert query.since_ns is not None
    assert query.until_ns is not None
    minutes = -(-(query.until_ns - query.since_ns) // MOST_BUCKETS // LEAST_EVERY_NS)
    every_ns = max(1, minutes) * LEAST_EVERY_NS
    requests: defaultdict[int, dict[str, int]] = defaultdict(dict)
    busy_ns: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for stat in source.stats(query.narrowed(kql.parse(SERVED)), DURATION, NODE, every_ns):
        requests[stat.start_ns][stat.key] = stat.count
        busy_ns[stat.start_ns][stat.key] = stat.sum
    return Timeline(every_ns, [Slice(at, requests[at], busy_ns[at]) for at in sorted(requests)])


def even_shares(rows: Sequence[WorkerRow], times: Timeline) -> list[float]:
    """Return how many requests each worker would have served if those who were there had shared them evenly.

    So a worker that was started late, or was restarting, is not expected to have served what came before. Without a
    timeline all are expected to serve the same."""
    shares = [0.0] * len(rows)
    for part in times.slices:
        end_ns = part.start_ns + times.every_ns
        there = [_overlap(row, part.start_ns, end_ns) for row in rows]
        total = sum(part.requests.get(row.node, 0) for row in rows)
        if sum(there):
            shares = [share + total * own / sum(there) for share, own in zip(shares, there, strict=True)]
    return shares if sum(shares) else [1.0] * len(rows)


def _overlap(row: WorkerRow, since_ns: int, until_ns: int) -> int:
    return sum(max(0, min(high, until_ns) - max(low, since_ns)) for low, high in row.present)
