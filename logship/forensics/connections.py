"""Connections of clients by worker: requests of one connection always reach the same worker."""

from collections import defaultdict
from dataclasses import dataclass, replace

from logship.search import kql
from logship.search.query import Query, Source
from logship.search.views import NODE, SERVED

# Each connection is a row of the result: the newest part of a window with more requests stands for all of it.
MOST_REQUESTS = 100_000
# A proxy that hides the port of the client makes its connections one. Below this share of requests they are not known.
LEAST_KNOWN = 0.9


@dataclass(frozen=True, slots=True)
class Connections:
    """`by_node`: the number of connections of each worker. `requests_each`: how many requests belong together, as the mean
    over requests of the requests of their connection: the number by which chance is larger than without connections."""

    by_node: dict[str, int]
    requests_each: float

    @property
    def total(self) -> int:
        return sum(self.by_node.values())


def connections(source: Source, query: Query, requests: int) -> Connections | None:
    """Return the connections of the requests of `query`, or of its newest part; None if events do not tell them apart.

    `requests`: how many requests `query` has."""
    assert query.since_ns is not None
    assert query.until_ns is not None
    if requests > MOST_REQUESTS:
        part_ns = (query.until_ns - query.since_ns) * MOST_REQUESTS // requests
        query = replace(query, since_ns=query.until_ns - part_ns)
    groups = source.groups(query.narrowed(kql.parse(SERVED)), (NODE, "client.ip", "client.port"))
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for group in groups:
        if group.keys[2] not in {"", "0"}:
            sizes[group.keys[0]].append(group.events)
    return _summary(sizes, sum(group.events for group in groups))


def _summary(sizes: dict[str, list[int]], requests: int) -> Connections | None:
    known = sum(map(sum, sizes.values()))
    if not known or known < LEAST_KNOWN * requests:
        return None
    together = sum(size**2 for some in sizes.values() for size in some) / known
    return Connections({node: len(some) for node, some in sizes.items()}, max(1.0, together))
