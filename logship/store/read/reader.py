"""The embedded store as a `Source`. Any process may read while another writes; nothing is locked."""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from logship.errors import QuestionError
from logship.search import kql, sql
from logship.search.kql import Node
from logship.search.names import check_known, is_column
from logship.search.query import (
    Bucket,
    Excerpt,
    FieldCount,
    Group,
    Hour,
    Incarnation,
    Page,
    Query,
    Record,
    Rows,
    Share,
    Stat,
    around,
)
from logship.search.shorthand import field_of
from logship.search.sql import Sql, Value
from logship.search.targets import KIND_OF, columns_of
from logship.store import hours, ids
from logship.store.chain.check import ChainCheck
from logship.store.files import POSITION_BITS, log_of
from logship.store.read import budget
from logship.store.read.budget import TooMuch, counted_rows, first_rows, narrowed
from logship.store.read.export import export
from logship.store.read.focus import Focus
from logship.store.read.focusing import fill, new_table
from logship.store.read.incarnations import incarnations
from logship.store.read.paging import Order, page_keys, within_budget
from logship.store.read.runner import QueryRunner
from logship.store.read.snapshot import Snapshot
from logship.store.schema import COLUMNS, columns_in, record, select_row

MEMORY_LIMIT_BYTES = 192 * 2**20
THREADS = 2
# Read by one integrity check where queries have a time limit: about a second.
INTEGRITY_CHECK_BYTES = 512 * 2**20
# A request has tens of events, a trace hundreds. More than this is a constant used as an id.
SAME_ID_LIMIT = 10_000

_T = TypeVar("_T")


class Reader:
    """A `Source` over `directory`, which need not exist yet. Any number of threads may use it.

    Each query lists the directory again, so it sees everything that was durable when it began. StoreMissing if there is no
    store, StoreError if a file cannot be read, KqlError for an unknown field or label. A query that takes longer than
    `limit_seconds` (0: no limit) is cancelled with a StoreError. `integrity_key_file`: keys that have signed its chain."""

    def __init__(
        self,
        directory: str | Path,
        *,
        zone: tzinfo = UTC,
        clock_ns: Callable[[], int] = time.time_ns,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        threads: int = THREADS,
        limit_seconds: float = 0,
        integrity_key_file: str = "",
    ) -> None:
        self.directory = Path(directory)
        self._runner = QueryRunner(self.directory, zone, clock_ns, memory_limit_bytes, threads, limit_seconds)
        self.set_aside = self._runner.set_aside
        chain = ChainCheck(self.directory, integrity_key_file, INTEGRITY_CHECK_BYTES if limit_seconds else 0)
        self.integrity, self.anchor = chain.integrity, chain.anchor
        self._quiet: tuple[str, object] | None = None
        self._focus: Focus | None = None

    def close(self) -> None:
        """Release memory and threads. Running queries end with an error."""
        self._runner.close()

    @contextmanager
    def focused(self, window: Query, columns: Collection[str]) -> Iterator["Reader"]:
        """Yield a reader for many questions within the times of `window` about these columns: it reads their events once.

        They see the events that were stored when it began. It is this reader itself if there are too many of them."""
        focus = Focus(new_table(), Query(None, window.since_ns, window.until_ns), frozenset((*columns, "@timestamp")))
        near = copy(self)
        near._focus = focus  # noqa: SLF001 - of the same class
        try:
            yield near if self._runner.run(None, partial(fill, focus=focus)) else self
        finally:
            self._runner.drop(focus.table)

    def search(self, query: Query, page: Page) -> Rows:
        order, names = Order.of(page), columns_of(page.columns) if page.columns else ()

        def answer(snapshot: Snapshot) -> Rows:
            keys = page_keys(snapshot, snapshot.condition(query), order, query)
            more = len(keys) == order.limit and order.limit > 0
            keys, records, cut = within_budget(snapshot, keys, names)
            more = more or cut
            found = [records[position] for _, position in keys if position in records]
            return Rows(found, f"{keys[-1][0]!r}:{keys[-1][1]}" if more else None)

        return self._run(query.where, answer)

    def every(self, query: Query) -> Iterator[list[Record]]:
        return export(self._runner, query)

    def tail(self, query: Query, after: str | None, limit: int = 1000) -> Rows:
        def answer(snapshot: Snapshot) -> Rows:
            listing = snapshot.listing
            state = (tuple((number, snapshot.log(number).stat().st_size) for number in listing.logs), listing.next_log)
            if after is not None and self._quiet == (after, state):
                return Rows([], after)
            position = _position(after) if after is not None else None
            lowest = listing.next_log - 1 if position is None else log_of(position + 1)
            late = [segment for segment in listing.segments if segment.last >= lowest]
            numbers = [number for number in listing.logs if number >= lowest]
            last = snapshot.all(f"SELECT max(_n) FROM ({snapshot.relation(late, numbers, columns=())})")[0][0]
            if position is None or last is None or last <= position:
                before_last_log = ((listing.next_log - 1) << POSITION_BITS) - 1
                after_now = str(position if position is not None else before_last_log if last is None else last)
                self._quiet = (after_now, state)
                return Rows([], after_now)
            condition, rows = snapshot.condition(query), snapshot.relation(late, numbers)
            text = (
                f"SELECT {select_row()} FROM ({rows}) WHERE _n > ? AND _n <= ? AND {condition.text} ORDER BY _n LIMIT ?"
            )

            def some(limit: int) -> Rows:
                snapshot.cursor.execute(text, [position, last, *condition.params, limit])
                found, whole = first_rows(snapshot.cursor, budget.ANSWER_BYTES)
                stops = not whole or len(found) == limit
                return Rows([record(row) for row in found], str(found[-1][0] if stops else last))

            return narrowed(limit, some)

        # The names were checked when the tail began; a tail may be read several times a second.
        return self._run(query.where if after is None else None, answer)

    def get(self, id: str) -> Excerpt:  # noqa: A002 - the word people know
        page = Page(SAME_ID_LIMIT, newest_first=False)
        if ids.parse(id):  # quick, because the sidecars know where it is
            rows = self.search(Query(kql.equal("event.id", id)), page)
            if rows.records:
                return Excerpt(rows.records, rows.next is not None)
        same = kql.either(*(kql.equal(name, id) for name in ("event.id", "http.request.id", "trace.id")))
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

    def groups(self, query: Query, by: Sequence[str], every_ns: int | None = None) -> list[Group]:
        values = [self._value(name) for name in by]
        keys = [f"k{number}" for number in range(len(values))]
        columns = [
            _start(every_ns) + " AS s",
            *(f"{one.key.text} AS {key}" for one, key in zip(values, keys, strict=True)),
        ]
        texts = [f"coalesce({one.text.format(key)}, '')" for one, key in zip(values, keys, strict=True)]
        found = self._rows(
            query,
            Sql("SELECT " + ", ".join(columns), tuple(param for one in values for param in one.key.params)),
            # As lists, because Python takes one row per bucket three times as long as DuckDB takes for the query. Both lists of a
            # row are in the same order; DuckDB takes 4 us for each that it sorts, and most of 60,000 slow requests are alone.
            f"SELECT {', '.join([*texts, 'list(s)', 'list(n)'])} FROM (SELECT"
            f" {', '.join(['s', *keys])}, count(*) AS n FROM ({{}}) GROUP BY ALL)"
            f" GROUP BY {', '.join(keys) or 'ALL'} HAVING count(*) > 0" + f" ORDER BY {', '.join(keys)}" * bool(keys),
        )
        # DuckDB has sorted most of it, which Python takes four times as long for: numbers are not in the order of their texts.
        return sorted(Group(row[:-2], *_by_time(*row[-2:])) for row in found)

    def top(self, query: Query, field: str, limit: int) -> list[Share]:
        field = field_of(field)
        value, events = self._value(field), "sum(n) OVER ()"
        if KIND_OF.get(field) == "list":
            value = Value(Sql(f"unnest({sql.column(field)})"))
            # An event with two values counts for both of them, but once in the total.
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
            raise QuestionError(f"statistics need a number field, and {number_field} is not one")
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
        return self._run(query.where, lambda snapshot: incarnations(snapshot, query))

    def fields(self, query: Query | None = None) -> list[FieldCount]:
        def answer(snapshot: Snapshot) -> list[FieldCount]:
            rows, params = snapshot.relation(), ()
            if query is not None:
                condition = snapshot.condition(query)
                matching = snapshot.matching(query)
                rows, params = f"SELECT * FROM ({matching}) WHERE {condition.text}", condition.params
            names = [name for name in COLUMNS if name in KIND_OF]
            columns = ", ".join(f'count("{name}")' for name in names)
            counts = snapshot.all(f"SELECT {columns} FROM ({rows})", *params)[0]
            found = [FieldCount(name, KIND_OF[name], count) for name, count in zip(names, counts, strict=True) if count]
            for name, kind in (("labels", "keyword"), ("numeric_labels", "number")):
                labels = f"SELECT unnest(map_keys({name})) AS key FROM ({rows})"
                for key, count in snapshot.all(f"SELECT key, count(*) FROM ({labels}) GROUP BY 1", *params):
                    found.append(FieldCount(f"{name}.{key}", kind, count))
            return sorted(found)

        return self._run(query.where if query else None, answer)

    def oldest_ns(self) -> int | None:
        def answer(snapshot: Snapshot) -> int | None:
            times = [segment.oldest_ns for segment in snapshot.listing.segments if segment.rows]
            rows = snapshot.relation([], columns=("@timestamp",))
            oldest = snapshot.all(f'SELECT epoch_ns(min("@timestamp")) FROM ({rows})')[0][0]
            return min(times + ([oldest] if oldest is not None else []), default=None)

        return self._run(None, answer)

    def hours(self, since_ns: int, until_ns: int) -> list[Hour]:
        return [hour for hour in hours.read(self.directory)[0] if since_ns <= hour.start_ns < until_ns]

    def _rows(self, query: Query, select: Sql, outer: str = "{}") -> list[tuple[Any, ...]]:
        """Select from the events of the query. `outer`: a statement around it, in which {} stands for the SELECT."""

        def answer(snapshot: Snapshot) -> list[tuple[Any, ...]]:
            condition = snapshot.condition(query)
            rows = snapshot.matching(query, columns_in(select.text + condition.text))
            inner = f"{select.text} FROM ({rows}) WHERE {condition.text}"
            # Not format(): conditions contain brackets.
            snapshot.cursor.execute(outer.replace("{}", inner), [*select.params, *condition.params])
            try:
                return counted_rows(snapshot.cursor, budget.ANSWER_BYTES)
            except TooMuch:
                raise QuestionError(
                    f"the values of this result have more than {budget.ANSWER_BYTES // 2**20} MiB: use a shorter time window,"
                    " or a field with fewer or shorter values"
                ) from None

        return self._run(query.where, answer)

    def _run(self, where: Node | None, query: Callable[[Snapshot], _T]) -> _T:
        def answer(snapshot: Snapshot) -> _T:
            snapshot.focus = self._focus
            return query(snapshot)

        return self._runner.run(where, answer)

    def _check_known(self, name: str) -> None:
        if not is_column(name):
            self._run(None, partial(check_known, name))

    def _value(self, by: str | None) -> Value:
        if by is None:
            return Value(Sql("NULL::VARCHAR"))
        self._check_known(by)
        return sql.value_of(by)


def _by_time(starts_ns: list[int], counts: list[int]) -> tuple[list[int], list[int]]:
    if len(starts_ns) == 1:
        return starts_ns, counts
    pairs = sorted(zip(starts_ns, counts, strict=True))
    return [start_ns for start_ns, _ in pairs], [events for _, events in pairs]


def _start(every_ns: int | None) -> str:
    if every_ns is None:
        return "0"
    if every_ns < 1:
        raise QuestionError(f"invalid bucket width {every_ns} ns: use e.g. 1s, 1m, 1h")
    return f'(epoch_ns("@timestamp") // {int(every_ns)} * {int(every_ns)})'


def _position(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise QuestionError(f"invalid tail key {text!r}: pass `next` of the previous rows") from None
