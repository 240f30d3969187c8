"""Requests of an incident's window and baseline, counted once by field values and time, and the series of any part of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from logship.forensics.compare.table import NARROW_FIELDS, Table, of_values, read, requests, wide_fields
from logship.forensics.incident.clock import Clock
from logship.forensics.incident.segment import Segment
from logship.search import kql
from logship.search.kql import Node, equal
from logship.search.query import Source
from logship.search.views import FAILURES, SERVED, STATUS

Series = list[float]
VALUES_OF_A_FIELD = 30


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
        """Return the events per bucket by the values of `names`. Each is added up once."""
        key = id(table), tuple(names)
        if key not in self._added_up:  # the table is kept with it: its id is not used again
            self._added_up[key] = table, self._series(table, names)
        return self._added_up[key][1]

    @cached_property
    def _narrow(self) -> dict[int, Table]:
        return {}

    def _rows_for(self, table: Table, names: Sequence[str]) -> Table:
        """The table, without its fields with many values if none of them is asked for: it then has far fewer rows."""
        if table is self.requests or not set(names) <= set(NARROW_FIELDS):
            return table
        if id(table) not in self._narrow:
            self._narrow[id(table)] = table.narrowed(NARROW_FIELDS)
        return self._narrow[id(table)]

    def _series(self, whole: Table, names: Sequence[str]) -> dict[tuple[str, ...], Series]:
        table = self._rows_for(whole, names)
        index, values_of = self.index, table.chooser(names)
        found: defaultdict[tuple[str, ...], Series] = defaultdict(lambda: [0.0] * len(self.starts))
        for keys, starts_ns, counts in table.rows:
            series = found[values_of(keys)]
            for start_ns, events in zip(starts_ns, counts, strict=True):
                series[index[start_ns]] += events
        return found

    def hits(self, where: Node | None, *more: str) -> Table:
        """Return the requests for which `where` holds, also by the fields with many values."""
        return read(self.source, self.clock.queries(), where, (*NARROW_FIELDS, *more, *self.wide), self.clock.every_ns)

    @cached_property
    def failed(self) -> Table:
        """The failed requests, also by status and exception type."""
        return self.hits(kql.parse(FAILURES), STATUS, "error.type")

    def of_values(self, name: str, values: Sequence[str]) -> Table:
        """Return all requests with these values of a field with many."""
        return of_values(self.source, self.clock.queries(), name, values, self.clock.every_ns)

    def wide_series(self, name: str, values: Sequence[str]) -> Mapping[tuple[str, ...], Series]:
        """Return the requests per bucket for the given values of a field with many."""
        unread = [value for value in values if (name, value) not in self._known]
        if unread:
            where = kql.every(kql.parse(SERVED), kql.either(*(equal(name, value) for value in unread)))
            found = self.series(read(self.source, self.clock.queries(), where, (name,), self.clock.every_ns), (name,))
            self._known.update({(name, value): found[(value,)] for value in unread})
        return {(value,): self._known[name, value] for value in values}

    @cached_property
    def _known(self) -> dict[tuple[str, str], Series]:
        """What `wide_series` has read: failing, slow and frequent requests share values."""
        return {}

    def side_of(self, part: Segment) -> "InSegment":
        """Return the function that says of a bucket whether it is in a segment."""
        return InSegment(self.starts[part.low], self.starts[part.high - 1])


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
