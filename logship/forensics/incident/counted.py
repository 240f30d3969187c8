"""Requests of an incident's window and baseline, counted once by field values and time, and the series of any part of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import add, sub

from logship.forensics.compare.table import NARROW_FIELDS, Table, of_values, read, requests, slow, wide_fields
from logship.forensics.incident.clock import Clock
from logship.forensics.incident.segment import RequestSegment, segment
from logship.search import kql
from logship.search.kql import Node, equal
from logship.search.query import Group, Share, Source
from logship.search.views import FAILURES, SERVED, STATUS

Series = list[float]
VALUES_OF_A_FIELD = 30
CLIENT = "client.ip"
# Of the values in one condition, which a collector receives in the address of a request.
MOST_CHARACTERS = 8_000


@dataclass(frozen=True)
class Counted:
    """`requests`: all of them, by the fields with few values and by status."""

    source: Source
    clock: Clock
    requests: Table

    @cached_property
    def starts(self) -> list[int]:
        return self.clock.starts()

    @cached_property
    def index(self) -> dict[int, int]:
        return {start: at for at, start in enumerate(self.starts)}

    @cached_property
    def first(self) -> int:
        """The first bucket of the window."""
        return self.index[self.clock.since_ns // self.clock.every_ns * self.clock.every_ns]

    @cached_property
    def wide(self) -> tuple[str, ...]:
        return wide_fields(self.source, self.clock.window)

    @cached_property
    def _added_up(self) -> dict[tuple[int, tuple[str, ...]], tuple[Table, dict[tuple[str, ...], Series]]]:
        return {}

    def series(self, table: Table, names: Sequence[str]) -> dict[tuple[str, ...], Series]:
        """Return the events per bucket by the values of `names`. Each is added up once; nobody may change it."""
        key = id(table), tuple(names)
        if key not in self._added_up:  # the table is kept with it: its id is not used again
            self._added_up[key] = table, self._series(table, names)
        return self._added_up[key][1]

    def _series(self, table: Table, names: Sequence[str]) -> dict[tuple[str, ...], Series]:
        if isinstance(table, Rest):
            return _less(self.series(table.whole, names), self.series(table.removed, names))
        if len(names) < len(NARROW_FIELDS) and set(names) <= set(NARROW_FIELDS):
            return _added(self.series(table, NARROW_FIELDS), names)
        return self._counted(table.rows, table.chooser(names))

    def series_of(self, table: Table, fields: Mapping[str, str]) -> Series | None:
        """Return the events per bucket that have these values, None without any."""
        chosen = [(table.names.index(name), value) for name, value in fields.items()]
        rows = [row for row in table.rows if all(row.keys[at] == value for at, value in chosen)]
        return self._counted(rows, lambda keys: ()).get(())

    def _counted(
        self, rows: Iterable[Group], values_of: Callable[[tuple[str, ...]], tuple[str, ...]]
    ) -> dict[tuple[str, ...], Series]:
        index, none = self.index, self.zeros()
        found: dict[tuple[str, ...], Series] = {}
        for keys, starts_ns, counts in rows:
            values = values_of(keys)
            series = found.get(values)
            if series is None:
                series = found[values] = none.copy()
            if len(counts) == 1:  # most rows of hits, of which there are tens of thousands
                series[index[starts_ns[0]]] += counts[0]
                continue
            for start_ns, events in zip(starts_ns, counts, strict=True):
                series[index[start_ns]] += events
        return found

    def zeros(self) -> Series:
        """Return the series of something that does not occur."""
        return [0.0] * len(self.starts)

    def segment(self, hits: Series, events: Series) -> RequestSegment | None:
        """Return the segment of the window in which the ratio of two series is raised. Each pair of series is searched once."""
        key = id(hits), id(events)
        if key not in self._segments:
            self._segments[key] = hits, events, segment(hits, events, self.first)
        return self._segments[key][2]

    @cached_property
    def _segments(self) -> dict[tuple[int, int], tuple[Series, Series, RequestSegment | None]]:
        return {}

    def hits(self, where: Node | None, *more: str) -> Table:
        """Return the requests for which `where` holds, also by the fields with many values."""
        return read(self.source, self.clock.queries(), where, (*NARROW_FIELDS, *more, *self.wide), self.clock.every_ns)

    @cached_property
    def failed(self) -> Table:
        """The failed requests, also by status and exception type."""
        return self.hits(kql.parse(FAILURES), STATUS, "error.type")

    @cached_property
    def slow(self) -> Table | None:
        """The slow requests; None if no route has enough requests to say what is slow."""
        where = slow(self.source, self.clock.queries()[:1])
        return None if where is None else self.hits(where)

    @cached_property
    def clients(self) -> list[Share]:
        """The clients with the most requests in the window."""
        return self.source.top(self.clock.window.narrowed(kql.parse(SERVED)), CLIENT, VALUES_OF_A_FIELD)

    def frequent(self, hits: Table, name: str, least: int) -> list[str]:
        """Return the values of a field with many that have at least `least` hits in the window, the most frequent first."""
        events = {key[0]: sum(series[self.first :]) for key, series in self.series(hits, (name,)).items() if key[0]}
        return sorted((value for value in events if events[value] >= least), key=lambda value: -events[value])

    def of_values(self, name: str, values: Sequence[str]) -> Table:
        """Return all requests with these values of a field with many, and perhaps those with others."""
        for known, table in self._of_values[name]:
            if known >= set(values):
                return table
        table = of_values(self.source, self.clock.queries(), name, values, self.clock.every_ns)
        self._of_values[name].append((set(values), table))
        return table

    @cached_property
    def _of_values(self) -> defaultdict[str, list[tuple[set[str], Table]]]:
        return defaultdict(list)

    def wide_series(self, name: str, values: Sequence[str]) -> Mapping[tuple[str, ...], Series]:
        """Return the requests per bucket for the given values of a field with many. Each value is read once."""
        for unread in _portions([value for value in values if (name, value) not in self._known]):
            where = kql.every(kql.parse(SERVED), kql.either(*(equal(name, value) for value in unread)))
            found = self.series(read(self.source, self.clock.queries(), where, (name,), self.clock.every_ns), (name,))
            self._known.update({(name, value): found.get((value,)) or self.zeros() for value in unread})
        return {(value,): self._known[name, value] for value in values}

    @cached_property
    def _known(self) -> dict[tuple[str, str], Series]:
        """What `wide_series` has read: failing, slow and frequent requests share values."""
        return {}

    def side_of(self, part: RequestSegment) -> "InSegment":
        """Return the function that says of a bucket whether it is in a segment."""
        return InSegment(self.starts[part.low], self.starts[part.high - 1])


@dataclass(frozen=True, slots=True)
class Rest(Table):
    """The rows of `whole` without those of `removed`: its series are those of `whole` with few differences."""

    whole: Table
    removed: Table


@dataclass(frozen=True, slots=True)
class InAndOut:
    """A table divided into the events outside and inside of a segment, as `Divided`."""

    counted: Counted
    table: Table
    part: RequestSegment

    @property
    def names(self) -> tuple[str, ...]:
        return self.table.names

    def sides(self, names: Sequence[str]) -> Mapping[tuple[str, ...], Sequence[int]]:
        if len(names) > 1 and not set(names) <= set(NARROW_FIELDS):  # as many series as hits
            return self.table.sides(names, self.counted.side_of(self.part))
        low, high, found = self.part.low, self.part.high, {}
        for values, series in self.counted.series(self.table, names).items():
            inside = int(sum(series[low:high]))
            found[values] = int(sum(series)) - inside, inside
        return found


def _less(whole: Mapping[tuple[str, ...], Series], removed: Mapping[tuple[str, ...], Series]) -> dict[tuple[str, ...], Series]:
    return {**whole, **{values: list(map(sub, whole[values], series)) for values, series in removed.items()}}


def _added(series: Mapping[tuple[str, ...], Series], names: Sequence[str]) -> dict[tuple[str, ...], Series]:
    """Series by NARROW_FIELDS, added up by some of them."""
    values_of = Table(NARROW_FIELDS, []).chooser(names)
    found: dict[tuple[str, ...], Series] = {}
    for keys, own in series.items():
        values = values_of(keys)
        found[values] = list(map(add, found[values], own)) if values in found else own
    return found


def _portions(values: Sequence[str]) -> Iterator[list[str]]:
    """Parts of the values that fit into one condition."""
    part: list[str] = []
    for value in values:
        if part and sum(map(len, part)) + len(value) > MOST_CHARACTERS:
            yield part
            part = []
        part.append(value)
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class InSegment:
    """Says 1 for buckets from `first_ns` to `last_ns`, 0 for all others: the usual state."""

    first_ns: int
    last_ns: int

    def __call__(self, start_ns: int) -> int:
        return int(self.first_ns <= start_ns <= self.last_ns)


def counted(source: Source, clock: Clock) -> Counted:
    """Count the requests of window and baseline."""
    return Counted(source, clock, requests(source, clock.queries(), clock.every_ns))
