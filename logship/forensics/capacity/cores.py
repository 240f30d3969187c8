"""How many CPU cores the workers of a service can use at once, from the limits in their heartbeats."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from logship.search import kql
from logship.search.query import Query, Source
from logship.search.views import BEATS, NODE

HOST, CPUS, QUOTA = "host.name", "logship.process.cpus", "logship.process.cpu_quota"


@dataclass(slots=True)
class _Host:
    workers: set[str] = field(default_factory=set)
    cpus: set[int] = field(default_factory=set)
    quota: float = 0.0


def cores(source: Source, query: Query) -> float | None:
    """Return how many CPU cores the workers with heartbeats in `query` can use at once; None if heartbeats do not report it.

    A worker uses one core at most, because of the interpreter's lock. The workers of a host share the cores that any of them
    may use, and the quota of their control group. Other programs on these cores are not known."""
    beats = query.narrowed(kql.parse(BEATS))
    hosts: defaultdict[str, _Host] = defaultdict(_Host)
    for group in source.groups(beats.narrowed(kql.parse(f"{CPUS}: *")), (HOST, NODE, CPUS)):
        host = hosts[group.keys[0]]
        host.workers.add(group.keys[1])
        host.cpus.update(cpus_of(group.keys[2]))
    for stat in source.stats(beats, QUOTA, HOST):
        hosts[stat.key].quota = stat.max
    known = [_usable(host) for host in hosts.values() if host.workers]
    return sum(known) if known else None


def cpus_of(text: str) -> Iterator[int]:
    """Return the numbers of a list such as 0-3,6; nothing for what is not such a list."""
    for span in text.split(","):
        first, _, last = span.partition("-")
        if first.isdecimal() and (last or first).isdecimal() and int(last or first) < 100_000:
            yield from range(int(first), int(last or first) + 1)


def _usable(host: _Host) -> float:
    limits: Iterable[float] = (len(host.workers), len(host.cpus) or len(host.workers), host.quota or len(host.workers))
    return min(limits)
