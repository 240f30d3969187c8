"""Which events with an id of ours a store has, in memory: quick for the usual case of new events in order."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal

from logship.search.ranges import union
from logship.store.ids import Ids, contains, identity

# A run takes some hundred bytes of memory, and so does each gap in its sequence. A hostile sender can make up any number of
# both. Our own runs have gaps where events were dropped.
RUNS_LIMIT = 200_000
RANGES_LIMIT = 500_000
RUN_RANGES_LIMIT = 50_000


@dataclass(slots=True)
class NewEvents:
    """The new events of one run in a batch.

    `newest`: the highest known sequence, in the store or the batch; `spans`: ranges in ascending order, beyond what the store
    had; `late`: sequences below `newest`."""

    newest: int
    spans: list[list[int]] = field(default_factory=list)
    late: set[int] = field(default_factory=set)

    def ranges(self) -> list[tuple[int, int]]:
        """Return all of them as ranges, unsorted."""
        return [(low, high) for low, high in self.spans] + [(sequence, sequence) for sequence in self.late]


class KnownEvents:
    """The sequences of each run that the store has. Belongs to one thread.

    An event that is new here is not in the store, unless its run was forgotten to bound memory. An event that is not new here
    may still be missing: the oldest gaps of a run with very many gaps are forgotten. So the store looks at the stored events
    before it drops a duplicate."""

    def __init__(self, ids: Ids | None = None) -> None:
        self._runs = {name: _bounded(list(held.ranges)) for name, held in (ids or {}).items()}
        self._ranges = sum(map(len, self._runs.values()))
        self._make_room()

    def has(self, incarnation: str, sequence: int) -> bool:
        """Return whether the store may have this event."""
        ranges = self._runs.get(incarnation)
        if not ranges or sequence > ranges[-1][1]:
            return False
        return contains(ranges, sequence)

    def take(self, event: object, batch: dict[str, NewEvents]) -> tuple[NewEvents, int] | Literal[False] | None:
        """Return the run's new events and the sequence if the event is new; False if not, None without an id of ours.

        `batch`: the new events of the batch so far, by run. `keep` adds to it, once the event has a line."""
        if type(event) is not str:
            return None
        run, digits = event[:24], event[25:]
        new = batch.get(run)
        if new is None or len(digits) != 12 or event[24] != "-" or not digits.isdecimal() or not digits.isascii():
            parsed = identity({"event.id": event})
            if parsed is None:
                return None
            run, sequence = parsed
            if run not in batch:
                ranges = self._runs.get(run)
                batch[run] = NewEvents(ranges[-1][1] if ranges else -1)
            new = batch[run]
        else:
            sequence = int(digits)
        if sequence > new.newest:
            return new, sequence
        held = sequence in new.late or contains(new.spans, sequence) or self.has(run, sequence)
        return False if held else (new, sequence)

    @staticmethod
    def keep(new: NewEvents, sequence: int) -> None:
        """Add an event to its batch, with the values that `take` returned."""
        if sequence <= new.newest:
            new.late.add(sequence)
            return
        if new.spans and new.spans[-1][1] == sequence - 1:
            new.spans[-1][1] = sequence
        else:
            new.spans.append([sequence, sequence])
        new.newest = sequence

    def add(self, batch: Mapping[str, NewEvents]) -> None:
        """Note that the events of a batch are stored."""
        for run, new in batch.items():
            added = new.ranges()
            ranges = self._runs.pop(run, [])
            self._ranges -= len(ranges)
            if len(added) * _FEW < len(ranges):
                for low, high in added:
                    _insert(ranges, low, high)
            elif added:
                ranges[:] = union(ranges, added)
            self._runs[run] = _bounded(ranges)
            self._ranges += len(ranges)
        self._make_room()

    def _make_room(self) -> None:
        """Forget the run that had no event for the longest time. Its events would be compared with the store again."""
        while len(self._runs) > RUNS_LIMIT or self._ranges > RANGES_LIMIT:
            self._ranges -= len(self._runs.pop(next(iter(self._runs))))


# Fewer new ranges than this fraction of the known ones are inserted one by one: a union visits all of them.
_FEW = 16


def _insert(ranges: list[tuple[int, int]], low: int, high: int) -> None:
    """Insert one range in place, joined with those that it touches."""
    begin = bisect.bisect_left(ranges, low - 1, key=itemgetter(1))
    end = bisect.bisect_right(ranges, high + 1, key=itemgetter(0))
    if begin < end:
        low, high = min(low, ranges[begin][0]), max(high, ranges[end - 1][1])
    ranges[begin:end] = [(low, high)]


def _bounded(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same list with at most RUN_RANGES_LIMIT ranges: beyond that the older half becomes one range."""
    if len(ranges) > RUN_RANGES_LIMIT:
        many = len(ranges) - RUN_RANGES_LIMIT // 2
        ranges[:many] = [(ranges[0][0], ranges[many - 1][1])]
    return ranges
