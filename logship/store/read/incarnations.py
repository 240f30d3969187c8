"""The runs of workers in a store: which sequences of each are stored, and its newest heartbeat."""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from logship.search.query import BEAT_ACTIONS, LIFE_NAMES, Incarnation, Query, Record
from logship.search.ranges import size
from logship.store import ids
from logship.store.files import Segment
from logship.store.plausible import plausible
from logship.store.read.paging import records_at
from logship.store.read.snapshot import Snapshot
from logship.store.schema import columns_in

KNOWN_BEATS = 4_000  # of about 2 KB
_TIME = ("@timestamp",)
_RUN = '"service.ephemeral_id"'
# Only events of the run itself count, and of those with the same id only the first.
_OWN = f""""event.id" = format('{{}}-{{:012d}}', {_RUN}, "event.sequence") AND "{ids.CONFLICT}" IS NULL"""


def incarnations(snapshot: Snapshot, query: Query) -> list[Incarnation]:
    """Return the runs with an event in `query`, oldest first, each with everything that the store has of it."""
    # A damaged segment is not stored, whatever its sidecar lists.
    segments = snapshot.sound(snapshot.listing.segments)
    sealed = [snapshot.ids(one) or _ids_of(snapshot, [one], []) for one in segments]
    stored = ids.merge([*sealed, _ids_of(snapshot, [], None)])
    names = {name for name in _runs_in(snapshot, query) if name in stored}
    damage = _Damage.of(snapshot)
    beats = _newest_beats(snapshot, _Places(segments, sealed, names), names)
    workers = {run: values for run, beat in beats.items() if (values := _of_beat(beat))}
    others = names - workers.keys()
    workers |= _of_events(snapshot, _Places(segments, sealed, others), others)
    cut_ns = _cut_ns(snapshot)
    found = []
    for name in names | damage.names(query):
        lost = damage.held.get(name, ids.Held(0, ()))
        held = stored.get(name) or replace(lost, rows=0, ranges=(), conflicts=0)
        found.append(
            replace(
                _incarnation(name, workers.get(name), held, beats.get(name)),
                cut_ns=cut_ns, damaged=lost.ranges, damaged_files=damage.files(held),
            )
        )  # fmt: skip
    return sorted(found, key=lambda run: (run.first_ns, run.id))


def _ids_of(snapshot: Snapshot, segments: list[Segment], logs: list[int] | None) -> ids.Ids:
    return ids.rebuild(snapshot.cursor, snapshot.relation(segments, logs, columns=ids.COLUMNS))


def _incarnation(name: str, worker: Sequence[Any] | None, held: ids.Held, beat: Record | None) -> Incarnation:
    service, node, slot, generation, pid = worker or (None,) * len(LIFE_NAMES)
    action = beat["event.action"] if beat else None
    return Incarnation(
        id=name, service=service or "", node=node or "", slot=slot, generation=generation, pid=pid,
        first_ns=held.first_ns, last_ns=held.last_ns, stored=held.ranges, last_beat=beat,
        ended=None if action == BEAT_ACTIONS[0] else action,
        duplicates=held.rows - size(held.ranges), conflicts=held.conflicts,
    )  # fmt: skip


def _runs_in(snapshot: Snapshot, query: Query) -> list[str]:
    condition = snapshot.condition(query)
    rows = snapshot.matching(query, columns_in(_RUN + condition.text))
    text = f"SELECT DISTINCT {_RUN} FROM ({rows}) WHERE {condition.text}"
    return [name for (name,) in snapshot.all(text, *condition.params)]


def _of_beat(beat: Record) -> Sequence[Any] | None:
    """The values of LIFE_NAMES in a beat; None if its process had not claimed a slot by then."""
    return [beat.get(field) for field in LIFE_NAMES] if LIFE_NAMES[1] in beat else None


def _of_events(snapshot: Snapshot, places: "_Places", names: set[str]) -> dict[str, Sequence[Any]]:
    """The values of LIFE_NAMES in the newest events of each run."""
    if not names:
        return {}
    newest = ", ".join(f'arg_max("{field}", "event.sequence")' for field in LIFE_NAMES)
    rows = snapshot.relation(places.next({}), columns=columns_in(f"{_RUN}, {newest}"))
    text = f"SELECT {_RUN}, {newest} FROM ({rows}) WHERE list_contains(?, {_RUN}) GROUP BY 1"
    return {name: values for name, *values in snapshot.all(text, sorted(names))}


def _cut_ns(snapshot: Snapshot) -> int:
    """A time before which retention may have removed events; 0 if nothing was removed.

    Files are removed in order of arrival. The result is the median time of the first remaining file, which a few events with a
    wrong clock do not change. A file that has only such events is the rest of a removed one."""
    segments, logs = snapshot.listing.segments, snapshot.listing.logs
    low_ns, high_ns = plausible(time.time_ns())
    emptied = max((at for at, one in enumerate(segments) if not one.rows), default=-1)
    removed = emptied >= 0 or min([*(one.first for one in segments), *logs], default=0) > 0
    for segment in segments[emptied + 1 :]:
        if not removed and low_ns <= segment.oldest_ns and segment.newest_ns <= high_ns:
            return 0
        if (median := _median_ns(snapshot, snapshot.relation([segment], [], columns=_TIME), low_ns, high_ns)) is not None:
            return median if removed else 0
        removed = True
    return (_median_ns(snapshot, snapshot.relation([], columns=_TIME), low_ns, high_ns) or 0) if removed else 0


def _median_ns(snapshot: Snapshot, rows: str, low_ns: int, high_ns: int) -> int | None:
    when = f'"@timestamp" BETWEEN make_timestamp_ns({low_ns}) AND make_timestamp_ns({high_ns})'
    found: int | None = snapshot.all(f'SELECT quantile_disc(epoch_ns("@timestamp"), 0.5) FROM ({rows}) WHERE {when}')[0][0]
    return found


@dataclass(slots=True)
class _Damage:
    """What is in segments that were set aside. `held`: by run; `unlisted`: segments whose runs are not known."""

    held: ids.Ids
    unlisted: list[Segment]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "_Damage":
        known = [(one, ids.read(snapshot.directory, one)) for one in snapshot.listing.damaged]
        return cls(
            ids.merge(held for _, held in known if held is not None), [one for one, held in known if held is None]
        )

    def names(self, query: Query) -> set[str]:
        """Return the runs with events in the time of the query. Its condition cannot be checked."""
        return {
            run
            for run, held in self.held.items()
            if (query.since_ns is None or held.last_ns >= query.since_ns)
            and (query.until_ns is None or held.first_ns < query.until_ns)
        }

    def files(self, run: ids.Held) -> int:
        """Return how many other files may hold events of a run."""
        return sum(one.oldest_ns <= run.last_ns and run.first_ns <= one.newest_ns for one in self.unlisted)


class _Places:
    """Where the events of runs are: their segments, those with the highest sequences first."""

    def __init__(self, segments: Iterable[Segment], sealed: Iterable[ids.Ids], names: set[str]) -> None:
        self._left: defaultdict[str, list[tuple[int, Segment]]] = defaultdict(list)
        self._step = 1
        for segment, held in zip(segments, sealed, strict=True):
            for run in names & held.keys():
                known = held[run].ranges or held[run].conflict_ranges
                self._left[run].append((known[-1][1], segment))
        for some in self._left.values():
            some.sort(key=lambda one: one[0])

    def next(self, known: dict[str, int]) -> list[Segment]:
        """Return the next segments of each run that may have a higher sequence than `known`, twice as many each time."""
        chosen = set()
        for run, some in self._left.items():
            for _ in range(min(self._step, len(some))):
                if some[-1][0] > known.get(run, -1):
                    chosen.add(some.pop()[1])
        self._step *= 2
        return sorted(chosen, key=lambda one: one.first)


def _newest_beats(snapshot: Snapshot, places: _Places, names: set[str]) -> dict[str, Record]:
    """The newest heartbeat or end report of each run, by sequence."""
    newest: dict[str, tuple[int, int]] = {}
    columns = columns_in(f'{_OWN}, {_RUN}, "event.action"')
    rows: str | None = snapshot.relation([], columns=columns)
    while rows is not None:
        # First its position, then only that row: five times quicker than all columns of all beats.
        text = (
            f'SELECT {_RUN}, max("event.sequence"), arg_max(_n, "event.sequence") FROM ({rows})'
            f' WHERE list_contains(?, "event.action") AND list_contains(?, {_RUN}) AND {_OWN} GROUP BY 1'
        )
        for run, sequence, position in snapshot.all(text, list(BEAT_ACTIONS), sorted(names)):
            newest[run] = max(newest.get(run, (-1, 0)), (sequence, position))
        segments = places.next({run: sequence for run, (sequence, _) in newest.items()})
        rows = snapshot.relation(segments, [], columns=columns) if segments else None
    # Events never change, and most runs have ended: their last beats are read once.
    known = snapshot.beats
    beats = {run: beat for run, (at, _) in newest.items() if (beat := known.get((run, at)))}
    unread = {position: run for run, (_, position) in newest.items() if run not in beats}
    read = records_at(snapshot, [(0, position) for position in unread], ())
    beats |= {unread[position]: beat for position, beat in read.items()}
    if len(known) > KNOWN_BEATS:
        known.clear()
    known |= {(run, newest[run][0]): beat for run, beat in beats.items()}
    return {run: dict(beat) for run, beat in beats.items()}
