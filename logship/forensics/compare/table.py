"""Counts of events by field values and by time, read once from a source and added up in memory for any division of the time.

Requests are grouped by the fields that have few values. Fields with many values, such as labels, clients and user agents, would
make as many groups as there are requests. Only the hits, which are few, are grouped by them too, and all requests only for those
values that are frequent among the hits."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Protocol, TypeAlias

from logship.search import kql
from logship.search.kql import Node, equal
from logship.search.query import Group, Page, Query, Source, Stat
from logship.search.views import DURATION, NODE, ROUTE, SERVED, STATUS

NARROW_FIELDS = ("service.name", ROUTE, "http.request.method", NODE, "service.version")
WIDE_FIELDS = ("client.ip", "user_agent.original")
# The labels of so many of the newest requests are known.
LABELS_OF = 300
LABELS_LIMIT = 8
# More are joined to one condition; the rest of the routes has few requests.
ROUTES_WITH_LIMIT = 60
LEAST_OF_ROUTE = 20

# Returns for the time of a bucket: 0 if it is before, 1 if it is in the window, None if it is in neither.
SideOf: TypeAlias = Callable[[int], int | None]


@dataclass(frozen=True, slots=True)
class Table:
    """Events by the values of `names` and by time. Each row has the starts of its buckets, or of its windows."""

    names: tuple[str, ...]
    rows: list[Group]

    def chooser(self, names: Sequence[str]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
        """Return the function that gives the values of `names`, which are some of those of the table, from the keys of a row."""
        chosen = [self.names.index(name) for name in names]
        if len(chosen) > 1:
            return itemgetter(*chosen)
        if not chosen:
            return lambda keys: ()
        at = chosen[0]
        return lambda keys: (keys[at],)

    def divided(self, side_of: SideOf) -> "TableSides":
        """Return the table with its events before and after."""
        return TableSides(self, side_of)

    def sides(self, names: Sequence[str], side_of: SideOf) -> dict[tuple[str, ...], list[int]]:
        """Return the events before and after by the values of `names`, which are some of those of the table."""
        values_of = self.chooser(names)
        sums: defaultdict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
        sides = {start: side_of(start) for start in set().union(*(row.starts_ns for row in self.rows))}
        for keys, starts_ns, counts in self.rows:
            sum_of = sums[values_of(keys)]
            for start_ns, events in zip(starts_ns, counts, strict=True):
                side = sides[start_ns]
                if side is not None:
                    sum_of[side] += events
        return sums


class Divided(Protocol):
    """Events before and after by field values."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def sides(self, names: Sequence[str]) -> Mapping[tuple[str, ...], Sequence[int]]:
        """Return the events before and after by the values of `names`, which are some of its names."""
        ...


@dataclass(frozen=True, slots=True)
class TableSides:
    """A table divided by the time of its buckets."""

    table: Table
    side_of: SideOf

    @property
    def names(self) -> tuple[str, ...]:
        return self.table.names

    def sides(self, names: Sequence[str]) -> Mapping[tuple[str, ...], Sequence[int]]:
        return self.table.sides(names, self.side_of)


def read(source: Source, queries: Sequence[Query], where: Node | None, names: Sequence[str], every_ns: int | None) -> Table:
    """Return the events of all `queries` for which `where` holds. Without `every_ns` each window is one bucket."""
    rows: list[Group] = []
    for query in queries:
        groups = source.groups(query.narrowed(where), names, every_ns)
        rows += groups if every_ns else [group._replace(starts_ns=[query.since_ns or 0]) for group in groups]
    return Table(tuple(names), rows)


def wide_fields(source: Source, query: Query) -> tuple[str, ...]:
    """Return the fields with many values: clients, user agents, and the labels of the newest requests, as `labels.tenant`."""
    records = source.search(query.narrowed(kql.parse(SERVED)), Page(LABELS_OF, columns=("labels",))).records
    counts = Counter(key for record in records for key in record.get("labels") or {})
    return (*WIDE_FIELDS, *(f"labels.{key}" for key, _ in counts.most_common(LABELS_LIMIT)))


def requests(source: Source, queries: Sequence[Query], every_ns: int | None = None) -> Table:
    """Return all requests by the fields with few values and by status."""
    return read(source, queries, kql.parse(SERVED), (*NARROW_FIELDS, STATUS), every_ns)


def of_values(
    source: Source, queries: Sequence[Query], name: str, values: Iterable[str], every_ns: int | None = None
) -> Table:
    """Return the requests that have one of these values in the field `name`, which has many."""
    where = kql.every(kql.parse(SERVED), kql.either(*(equal(name, value) for value in values)))
    return read(source, queries, where, (*NARROW_FIELDS, name), every_ns)


def slow(source: Source, before: Sequence[Query]) -> Node | None:
    """Return the condition for slow requests: slower than 95 % of the requests of their route before. None without a baseline."""
    limits: dict[str, Stat] = {}
    for query in before:
        for stat in source.stats(query.narrowed(kql.parse(SERVED)), DURATION, ROUTE):
            known = limits.get(stat.key)
            if stat.count >= LEAST_OF_ROUTE and (known is None or stat.count > known.count):
                limits[stat.key] = stat
    frequent = sorted(limits.values(), key=lambda stat: -stat.count)[:ROUTES_WITH_LIMIT]
    parts = [f"({kql.text_of(equal(ROUTE, stat.key))} and {DURATION} > {round(stat.p95)})" for stat in frequent if stat.key]
    return kql.parse(f"{SERVED} and ({' or '.join(parts)})") if parts else None
