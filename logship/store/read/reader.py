"""Answers from the directory of a store: a `Source`. Any process may read while another writes; nothing is locked."""
# ruff: noqa: S608 - only names of our own columns and files are ever written into SQL

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from logship.errors import QuestionError
from logship.search import kql, sql
from logship.search.names import check_known, is_column
from logship.search.query import (
    BEAT_ACTIONS,
    LIFE_NAMES,
    Bucket,
    Excerpt,
    FieldCount,
    Incarnation,
    Page,
    Query,
    Record,
    Rows,
    Share,
    Stat,
    around,
)
from logship.search.ranges import size
from logship.search.shorthand import field_of
from logship.search.sql import Sql, Value
from logship.search.targets import KIND_OF, columns_of
from logship.store import ids
from logship.store.files import POSITION_BITS, Segment, log_of
from logship.store.read.budget import ANSWER_BYTES, all_rows, first_rows, narrowed
from logship.store.read.runner import QueryRunner, Snapshot
from logship.store.schema import COLUMNS, LINE_LIMIT_BYTES, record, select_row
from logship.store.write.retention import plausible

MEMORY_LIMIT_BYTES = 192 * 2**20
THREADS = 2
# One request has tens of events, a trace hundreds; more is somebody's constant id.
SAME_ID_LIMIT = 10_000
# Each step reads the chosen files again; their whole rows must fit in memory.
ROWS_AT_ONCE = 10_000
KNOWN_BEATS = 4_000  # of about 2 KB
# Each file that is open needs some 2 MB; a page by greatest number may lie in a hundred of them.
FILES_AT_ONCE = 16
_LIFE = '"service.ephemeral_id"'
# What counts the events of a life is one of them, and the first under its id.
_OWN = f""""event.id" = format('{{}}-{{:012d}}', {_LIFE}, "event.sequence") AND "{ids.CONFLICT}" IS NULL"""

_Key = tuple[int | float, int]  # nanoseconds or the number that is ordered by, position


class Reader:
    """A `Source` over `directory`, which need not exist yet. Any number of threads may ask.

    Every question looks at the directory anew, and so sees whatever was durable when it was asked. StoreMissing when
    there is no store, StoreError when a file cannot be read, KqlError for a field that is none and no label either.
    A question that takes longer than `limit_seconds` (0: no limit) is cancelled with a StoreError."""

    def __init__(
        self,
        directory: str | Path,
        *,
        zone: tzinfo = UTC,
        clock_ns: Callable[[], int] = time.time_ns,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        threads: int = THREADS,
        limit_seconds: float = 0,
    ) -> None:
        self.directory = Path(directory)
        self._runner = QueryRunner(self.directory, zone, clock_ns, memory_limit_bytes, threads, limit_seconds)
        self.every = self._runner.every
        self.set_aside = self._runner.set_aside
        self._quiet: tuple[str, object] | None = None

    def close(self) -> None:
        """Give memory and threads back. Running questions end with an error."""
        self._runner.close()

    def search(self, query: Query, page: Page) -> Rows:
        order, names = _Order.of(page), columns_of(page.columns) if page.columns else ()

        def answer(look: Snapshot) -> Rows:
            keys = _keys(look, look.condition(query), order, query)
            more = len(keys) == order.limit and order.limit > 0
            keys, records, cut = _within_budget(look, keys, names)
            more = more or cut
            found = [records[position] for _, position in keys if position in records]
            return Rows(found, f"{keys[-1][0]!r}:{keys[-1][1]}" if more else None)

        return self._runner.ask(query.where, answer)

    def tail(self, query: Query, after: str | None, limit: int = 1000) -> Rows:
        def answer(look: Snapshot) -> Rows:
            listing = look.listing
            state = (tuple((number, look.log(number).stat().st_size) for number in listing.logs), listing.next_log)
            if after is not None and self._quiet == (after, state):
                return Rows([], after)
            position = _position(after) if after is not None else None
            lowest = listing.next_log - 1 if position is None else log_of(position + 1)
            late = [segment for segment in listing.segments if segment.last >= lowest]
            rows = look.relation(late, [number for number in listing.logs if number >= lowest])
            last = look.all(f"SELECT max(_n) FROM ({rows})")[0][0]
            if position is None or last is None or last <= position:
                before_last_log = ((listing.next_log - 1) << POSITION_BITS) - 1
                after_now = str(position if position is not None else before_last_log if last is None else last)
                self._quiet = (after_now, state)
                return Rows([], after_now)
            condition = look.condition(query)
            text = f"SELECT {select_row()} FROM ({rows}) WHERE _n > ? AND _n <= ? AND {condition.text} ORDER BY _n LIMIT ?"

            def some(limit: int) -> Rows:
                look.cursor.execute(text, [position, last, *condition.params, limit])
                found, whole = first_rows(look.cursor, ANSWER_BYTES)
                stops = not whole or len(found) == limit
                return Rows([record(row) for row in found], str(found[-1][0] if stops else last))

            return narrowed(limit, some)

        # Its names were checked when the tail began; it may be asked several times a second.
        return self._runner.ask(query.where if after is None else None, answer)

    def get(self, id: str) -> Excerpt:  # noqa: A002 - the word people know
        page = Page(SAME_ID_LIMIT, newest_first=False)
        if ids.parse(id):  # quick, because the sidecars know where it is
            rows = self.search(Query(kql.equal("event.id", id)), page)
            if rows.records:
                return Excerpt(rows.records, rows.next is not None)
        same = kql.Or(tuple(kql.equal(name, id) for name in ("event.id", "http.request.id", "trace.id")))
        rows = self.search(Query(same), page)
        return Excerpt(rows.records, rows.next is not None)

    def context(self, id: str, before: int, after: int, everybody: bool = False) -> Excerpt:  # noqa: A002
        return around(self, id, before, after, everybody)

    def count(self, query: Query) -> int:
        return int(self._rows(query, Sql("SELECT count(*)"))[0][0])

    def tally(self, query: Query, by: str | None, every_ns: int | None, and_by: str | None = None) -> list[Bucket]:
        key, and_key = self._value(by), self._value(and_by)
        columns = f"{_start(every_ns)} AS s, {key.key.text} AS k, {and_key.key.text} AS j"
        texts = f"s, coalesce({key.text.format('k')}, ''), n, coalesce({and_key.text.format('j')}, '')"
        found = self._rows(
            query,
            Sql(f"SELECT {columns}", key.key.params + and_key.key.params),
            f"SELECT {texts} FROM (SELECT s, k, j, count(*) AS n FROM ({{}}) GROUP BY ALL) ORDER BY 1, 2, 4",
        )
        return [Bucket(*row) for row in found]

    def top(self, query: Query, field: str, limit: int) -> list[Share]:
        field = field_of(field)
        value, events = self._value(field), "sum(n) OVER ()"
        if KIND_OF.get(field) == "list":
            value = Value(Sql(f"unnest({sql.column(field)})"))
            # An event with two values counts for both, and once as an event.
            events = str(self.count(Query(kql.every(query.where, kql.existing(field)), query.since_ns, query.until_ns)))
        found = self._rows(
            query,
            Sql(f"SELECT {value.key.text} AS k", value.key.params),
            f"SELECT {value.text.format('k')}, n, {events} FROM (SELECT k, count(*) AS n FROM ({{}})"
            f" WHERE k IS NOT NULL GROUP BY 1) ORDER BY 2 DESC, 1 LIMIT {int(limit)}",
        )
        return [Share(text, n, n / max(float(total), 1.0)) for text, n, total in found]

    def stats(self, query: Query, number_field: str, by: str | None, every_ns: int | None = None) -> list[Stat]:
        number = sql.number_of(number_field)
        if number is None:
            raise QuestionError(f"{number_field} holds no numbers, so there are no statistics of it")
        self._check_known(number_field)
        key = self._value(by)
        columns = f"{_start(every_ns)} AS s, {key.key.text} AS k, {number.text}::DOUBLE AS x"
        found = self._rows(
            query,
            Sql(f"SELECT {columns}", key.key.params + number.params),
            f"SELECT coalesce({key.text.format('k')}, ''), n, total, low, high, q[1], q[2], q[3], s FROM (SELECT s, k,"
            " count(x) AS n, sum(x) AS total, min(x) AS low, max(x) AS high, quantile_cont(x, [0.5, 0.95, 0.99]) AS q"
            " FROM ({}) WHERE x IS NOT NULL GROUP BY ALL) ORDER BY s, 1",
        )
        return [Stat(*row) for row in found]

    def incarnations(self, query: Query) -> list[Incarnation]:
        return self._runner.ask(query.where, lambda look: _incarnations(look, query))

    def fields(self, query: Query | None = None) -> list[FieldCount]:
        def answer(look: Snapshot) -> list[FieldCount]:
            rows, params = look.relation(), ()
            if query is not None:
                condition = look.condition(query)
                rows, params = f"SELECT * FROM ({look.relation(look.segments(query))}) WHERE {condition.text}", condition.params
            names = [name for name in COLUMNS if name in KIND_OF]
            columns = ", ".join(f'count("{name}")' for name in names)
            counts = look.all(f"SELECT {columns} FROM ({rows})", *params)[0]
            found = [FieldCount(name, KIND_OF[name], count) for name, count in zip(names, counts, strict=True) if count]
            for name, kind in (("labels", "keyword"), ("numeric_labels", "number")):
                labels = f"SELECT unnest(map_keys({name})) AS key FROM ({rows})"
                for key, count in look.all(f"SELECT key, count(*) FROM ({labels}) GROUP BY 1", *params):
                    found.append(FieldCount(f"{name}.{key}", kind, count))
            return sorted(found)

        return self._runner.ask(query.where if query else None, answer)

    def oldest_ns(self) -> int | None:
        def answer(look: Snapshot) -> int | None:
            times = [segment.oldest_ns for segment in look.listing.segments if segment.rows]
            oldest = look.all(f'SELECT epoch_ns(min("@timestamp")) FROM ({look.relation([])})')[0][0]
            return min(times + ([oldest] if oldest is not None else []), default=None)

        return self._runner.ask(None, answer)

    def _rows(self, query: Query, select: Sql, outer: str = "{}") -> list[tuple[Any, ...]]:
        """Select from what fits the query, within `outer` in place of its {}."""

        def answer(look: Snapshot) -> list[tuple[Any, ...]]:
            condition = look.condition(query)
            rows = look.relation(look.segments(query))
            inner = f"{select.text} FROM ({rows}) WHERE {condition.text}"
            # Not format(): conditions have brackets of their own.
            return look.all(outer.replace("{}", inner), *select.params, *condition.params)

        return self._runner.ask(query.where, answer)

    def _check_known(self, name: str) -> None:
        if not is_column(name):
            self._runner.ask(None, partial(check_known, name))

    def _value(self, by: str | None) -> Value:
        if by is None:
            return Value(Sql("NULL::VARCHAR"))
        self._check_known(by)
        return sql.value_of(by)


class _Order:
    """How a page is ordered, and where it begins: `number` is what comes first in a key, `way` is > or <."""

    def __init__(self, page: Page, number: str, after: _Key | None) -> None:
        self.newest_first = page.newest_first or bool(page.greatest)
        self.limit, self.number, self.after = max(page.limit, 0), number, after
        self.by_time = not page.greatest

    @classmethod
    def of(cls, page: Page) -> "_Order":
        number = 'epoch_ns("@timestamp")'
        if page.greatest:
            if KIND_OF.get(field_of(page.greatest)) not in ("integer", "number"):
                raise QuestionError(f"{page.greatest} is no field that holds numbers, so none is the greatest")
            number = sql.column(field_of(page.greatest))
        return cls(page, number, _key(page.after) if page.after else None)

    def edge_ns(self, segment: Segment) -> int:
        return segment.newest_ns if self.newest_first else -segment.oldest_ns

    def beyond(self, segment: Segment, last_ns: float) -> bool:
        """Whether everything in `segment` comes after a full page that ends at `last_ns`."""
        return segment.newest_ns < last_ns if self.newest_first else segment.oldest_ns > last_ns

    def without(self, segment: Segment) -> bool:
        """Whether nothing in `segment` comes after the page before."""
        if self.after is None or not self.by_time:
            return False
        return segment.oldest_ns > self.after[0] if self.newest_first else segment.newest_ns < self.after[0]


def _keys(look: Snapshot, condition: Sql, order: _Order, query: Query) -> list[_Key]:
    """The page's keys. Unsealed logs first, then segments by time, until no other can hold anything nearer."""
    left = sorted((one for one in look.segments(query) if not order.without(one)), key=order.edge_ns)
    keys = _some_keys(look, look.relation([]), condition, order) if look.listing.logs else []
    step = 1 if order.by_time else len(left)
    while left and (len(keys) < order.limit or not order.by_time or not order.beyond(left[-1], keys[-1][0])):
        some = [left.pop() for _ in range(min(step, len(left)))]
        step *= 2
        keys += _some_keys(look, look.relation(some, []), condition, order)
        keys.sort(reverse=order.newest_first)
        del keys[order.limit :]
    return keys


def _some_keys(look: Snapshot, rows: str, condition: Sql, order: _Order) -> list[_Key]:
    way, params, after = ("DESC" if order.newest_first else "ASC"), condition.params, ""
    if order.after is not None:
        after = f" AND ({order.number}, _n) {'<' if order.newest_first else '>'} (?, ?)"
        params += order.after
    text = (
        f"SELECT {order.number} AS t, _n FROM ({rows}) WHERE {condition.text}{after} AND t IS NOT NULL "
        f"ORDER BY t {way}, _n {way} LIMIT {order.limit}"
    )
    return look.all(text, *params)


def _within_budget(
    look: Snapshot, keys: list[_Key], names: tuple[str, ...]
) -> tuple[list[_Key], dict[int, Record], bool]:
    """The first keys whose records are not too many bytes, at least one; their records; and whether others are left."""

    def some(limit: int) -> tuple[list[_Key], dict[int, Record], bool]:
        chosen = keys[:limit]
        budget_bytes = ANSWER_BYTES if limit > 1 else LINE_LIMIT_BYTES * 8
        return chosen, _records(look, chosen, names, budget_bytes), len(chosen) < len(keys)

    return narrowed(len(keys), some)


def _records(
    look: Snapshot, keys: list[_Key], names: tuple[str, ...], budget_bytes: int = 2**62
) -> dict[int, Record]:
    """The records of a page by their positions. TooMuch if they are more bytes than the budget."""
    logs = {log_of(position) for _, position in keys}
    segments = [one for one in look.listing.segments if any(one.first <= log <= one.last for log in logs)]
    unsealed = [log for log in look.listing.logs if log in logs]
    found: dict[int, Record] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        chosen = ", ".join(str(position) for _, position in keys[start : start + ROWS_AT_ONCE])
        # By its number a row is found without a look at the other columns of those around it.
        rows = [(look.path(segment), look.row_numbers(segment, chosen)) for segment in segments]
        rows = [(file, numbers) for file, numbers in rows if numbers]
        relations = [look.relation([], unsealed)] if unsealed else []
        relations += [
            look.relation([], [], dict(rows[at : at + FILES_AT_ONCE])) for at in range(0, len(rows), FILES_AT_ONCE)
        ]
        for relation in relations:
            look.cursor.execute(f"SELECT {select_row(names)} FROM ({relation}) WHERE _n IN ({chosen})")
            for row in all_rows(look.cursor, budget_bytes):
                found[row[0]] = record(row, names)
    return found


def _incarnations(look: Snapshot, query: Query) -> list[Incarnation]:
    # What a damaged segment held is not stored, whatever its sidecar says.
    segments = look.sound(look.listing.segments)
    sealed = [look.ids(one) or ids.rebuild(look.cursor, look.relation([one], [])) for one in segments]
    unsealed = ids.rebuild(look.cursor, look.relation([]))
    held = ids.merge([*sealed, unsealed])
    condition = look.condition(query)
    chosen = look.all(
        f"SELECT DISTINCT {_LIFE} FROM ({look.relation(look.segments(query))}) WHERE {condition.text}",
        *condition.params,
    )
    names = {name for (name,) in chosen if name in held}
    damage = _Damage.of(look)
    beats = _newest_beats(look, _Places(segments, sealed, names), names)
    # A beat says whose it is, unless its process never claimed a slot.
    who = {life: [beat.get(name) for name in LIFE_NAMES] for life, beat in beats.items() if LIFE_NAMES[1] in beat}
    if others := names - who.keys():
        near = look.relation(_Places(segments, sealed, others).next({}))
        newest = ", ".join(f'arg_max("{name}", "event.sequence")' for name in LIFE_NAMES)
        text = f"SELECT {_LIFE}, {newest} FROM ({near}) WHERE list_contains(?, {_LIFE}) GROUP BY 1"
        who |= {life: rest for life, *rest in look.all(text, sorted(others))}
    cut_ns = _cut_ns(look)
    found = []
    for life in names | damage.names(query):
        service, node, slot, generation, pid = who.get(life, (None,) * len(LIFE_NAMES))
        beat, lost = beats.get(life), damage.held.get(life, ids.Held(0, ()))
        stored = held.get(life) or replace(lost, rows=0, ranges=(), conflicts=0)
        action = beat["event.action"] if beat else None
        found.append(
            Incarnation(
                id=life, service=service or "", node=node or "", slot=slot, generation=generation, pid=pid,
                first_ns=stored.first_ns, last_ns=stored.last_ns, stored=stored.ranges, last_beat=beat,
                ended=None if action == BEAT_ACTIONS[0] else action, duplicates=stored.rows - size(stored.ranges),
                conflicts=stored.conflicts, cut_ns=cut_ns, damaged=lost.ranges, damaged_files=damage.files(stored),
            )
        )  # fmt: skip
    return sorted(found, key=lambda life: (life.first_ns, life.id))


def _cut_ns(look: Snapshot) -> int:
    """A time before which retention may have removed events; 0 while nothing was removed.

    Files go in the order in which they arrived. Of the first one that is left the median, which some events with a wrong
    clock do not move; one that has only such events is what was left of others."""
    segments, logs = look.listing.segments, look.listing.logs
    low_ns, high_ns = plausible(time.time_ns())
    emptied = max((at for at, one in enumerate(segments) if not one.rows), default=-1)
    removed = emptied >= 0 or min([*(one.first for one in segments), *logs], default=0) > 0
    for segment in segments[emptied + 1 :]:
        if not removed and low_ns <= segment.oldest_ns and segment.newest_ns <= high_ns:
            return 0
        if (median := _median_ns(look, look.relation([segment], []), low_ns, high_ns)) is not None:
            return median if removed else 0
        removed = True
    return (_median_ns(look, look.relation([]), low_ns, high_ns) or 0) if removed else 0


def _median_ns(look: Snapshot, rows: str, low_ns: int, high_ns: int) -> int | None:
    when = f'"@timestamp" BETWEEN make_timestamp_ns({low_ns}) AND make_timestamp_ns({high_ns})'
    found: int | None = look.all(f'SELECT quantile_disc(epoch_ns("@timestamp"), 0.5) FROM ({rows}) WHERE {when}')[0][0]
    return found


@dataclass(slots=True)
class _Damage:
    """What of the lives is in segments that were set aside: sequences by life, and files whose lives are not known."""

    held: ids.Ids
    unlisted: list[Segment]

    @classmethod
    def of(cls, look: Snapshot) -> "_Damage":
        known = [(one, ids.read(look.directory, one)) for one in look.listing.damaged]
        return cls(
            ids.merge(held for _, held in known if held is not None), [one for one, held in known if held is None]
        )

    def names(self, query: Query) -> set[str]:
        """Lives with events in the time of the query; what else is asked of them cannot be known."""
        return {
            life
            for life, held in self.held.items()
            if (query.since_ns is None or held.last_ns >= query.since_ns)
            and (query.until_ns is None or held.first_ns < query.until_ns)
        }

    def files(self, life: ids.Held) -> int:
        """How many files may hold events of a life, besides those that are known."""
        return sum(one.oldest_ns <= life.last_ns and life.first_ns <= one.newest_ns for one in self.unlisted)


class _Places:
    """Where the events of lives are: their segments, those with the highest sequences first."""

    def __init__(self, segments: Iterable[Segment], sealed: Iterable[ids.Ids], names: set[str]) -> None:
        self._left: defaultdict[str, list[tuple[int, Segment]]] = defaultdict(list)
        self._step = 1
        for segment, held in zip(segments, sealed, strict=True):
            for life in names & held.keys():
                known = held[life].ranges or held[life].conflict_ranges
                self._left[life].append((known[-1][1], segment))
        for some in self._left.values():
            some.sort(key=lambda one: one[0])

    def next(self, known: dict[str, int]) -> list[Segment]:
        """The next segments of each life that may hold a higher sequence than is known; twice as many each time."""
        chosen = set()
        for life, some in self._left.items():
            for _ in range(min(self._step, len(some))):
                if some[-1][0] > known.get(life, -1):
                    chosen.add(some.pop()[1])
        self._step *= 2
        return sorted(chosen, key=lambda one: one.first)


def _newest_beats(look: Snapshot, places: _Places, names: set[str]) -> dict[str, Record]:
    """The last event of each life, by sequence, that counts what was before."""
    newest: dict[str, tuple[int, int]] = {}
    rows: str | None = look.relation([])
    while rows is not None:
        # Where it is first, then that row alone: five times quicker than all columns of all of them.
        text = (
            f'SELECT {_LIFE}, max("event.sequence"), arg_max(_n, "event.sequence") FROM ({rows})'
            f' WHERE list_contains(?, "event.action") AND list_contains(?, {_LIFE}) AND {_OWN} GROUP BY 1'
        )
        for life, sequence, position in look.all(text, list(BEAT_ACTIONS), sorted(names)):
            newest[life] = max(newest.get(life, (-1, 0)), (sequence, position))
        segments = places.next({life: sequence for life, (sequence, _) in newest.items()})
        rows = look.relation(segments, []) if segments else None
    # An event never changes, and most lives have ended: their last beats are read once.
    known = look.beats
    beats = {life: beat for life, (at, _) in newest.items() if (beat := known.get((life, at)))}
    unread = {position: life for life, (_, position) in newest.items() if life not in beats}
    read = _records(look, [(0, position) for position in unread], ())
    beats |= {unread[position]: beat for position, beat in read.items()}
    if len(known) > KNOWN_BEATS:
        known.clear()
    known |= {(life, newest[life][0]): beat for life, beat in beats.items()}
    return {life: dict(beat) for life, beat in beats.items()}


def _start(every_ns: int | None) -> str:
    if every_ns is None:
        return "0"
    if every_ns < 1:
        raise QuestionError(f"buckets of {every_ns} ns are impossible; write 1s, 1m or 1h")
    return f'(epoch_ns("@timestamp") // {int(every_ns)} * {int(every_ns)})'


def _key(text: str) -> _Key:
    number, _, position = text.partition(":")
    try:
        return (int(number) if number.lstrip("-").isdecimal() else float(number)), int(position)
    except ValueError:
        raise QuestionError(f"{text!r} is no key of a page; pass the `next` of the rows before") from None


def _position(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise QuestionError(f"{text!r} is no key of a tail; pass the `next` of the rows before") from None
