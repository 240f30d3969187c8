"""Answers from the directory of a store: a `Source`. Any process may read while another writes; nothing is locked."""
# ruff: noqa: S608 - only names of our own columns and files are ever written into SQL

import threading
import time
from collections.abc import Callable
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from logship.errors import QuestionError, StoreError
from logship.search import kql, sql
from logship.search.kql import Node
from logship.search.meaning import KIND_OF, unknown_field, unknown_names
from logship.search.query import Bucket, FieldCount, Incarnation, Page, Query, Record, Rows, Share, Stat
from logship.search.sql import Sql
from logship.store import lives
from logship.store.files import POSITION_BITS, Listing, Segment, log_name, log_of, read_listing
from logship.store.schema import COLUMNS, SELECT_ROW, connect, record, relation

MEMORY_LIMIT_BYTES = 512 * 2**20
THREADS = 2
# One request has tens of events, a trace hundreds; more is somebody's constant id.
SAME_ID_LIMIT = 10_000
# Each step reads the chosen files again; their whole rows must fit in memory.
ROWS_AT_ONCE = 10_000
_TRIES = 8

_T = TypeVar("_T")
_Key = tuple[int, int]  # nanoseconds, position


class Reader:
    """A `Source` over `directory`, which need not exist yet. Any number of threads may ask.

    Every question looks at the directory anew, and so sees whatever was durable when it was asked. StoreMissing when
    there is no store, StoreError when a file cannot be read, KqlError for a field that is none and no label either."""

    def __init__(
        self,
        directory: str | Path,
        *,
        zone: tzinfo = UTC,
        clock_ns: Callable[[], int] = time.time_ns,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        threads: int = THREADS,
    ) -> None:
        self.directory = Path(directory)
        self._zone, self._clock_ns = zone, clock_ns
        self._database = connect(memory_limit_bytes, threads)
        self._opening = threading.Lock()
        self._quiet: tuple[str, object] | None = None

    def close(self) -> None:
        """Give memory and threads back. Running questions end with an error."""
        self._database.close()

    def search(self, query: Query, page: Page) -> Rows:
        after = _key(page.after) if page.after else None
        limit = max(page.limit, 0)

        def answer(cursor: duckdb.DuckDBPyConnection, listing: Listing) -> Rows:
            condition = self._condition(query)
            keys = self._keys(cursor, listing, condition, _Order(page.newest_first, limit, after), query)
            records = self._records(cursor, listing, keys)
            more = len(keys) == limit and limit > 0
            return Rows(
                [records[key] for key in keys if key in records], f"{keys[-1][0]}.{keys[-1][1]}" if more else None
            )

        return self._ask(query.where, answer)

    def tail(self, query: Query, after: str | None, limit: int = 1000) -> Rows:
        def answer(cursor: duckdb.DuckDBPyConnection, listing: Listing) -> Rows:
            sizes = tuple((number, self._path(log_name(number)).stat().st_size) for number in listing.logs)
            state = (sizes, listing.next_log)
            if after is not None and self._quiet == (after, state):
                return Rows([], after)
            position = _position(after) if after is not None else None
            lowest = listing.next_log - 1 if position is None else log_of(position + 1)
            late = [segment for segment in listing.segments if segment.last >= lowest]
            rows = self._relation(late, [number for number in listing.logs if number >= lowest])
            last = self._all(cursor, f"SELECT max(_n) FROM ({rows})")[0][0]
            if position is None or last is None or last <= position:
                before_last_log = ((listing.next_log - 1) << POSITION_BITS) - 1
                after_now = str(position if position is not None else before_last_log if last is None else last)
                self._quiet = (after_now, state)
                return Rows([], after_now)
            condition = self._condition(query)
            found = self._all(
                cursor,
                f"SELECT {SELECT_ROW} FROM ({rows}) WHERE _n > ? AND _n <= ? AND {condition.text} ORDER BY _n LIMIT ?",
                position, last, *condition.params, limit,
            )  # fmt: skip
            return Rows([record(row) for row in found], str(found[-1][0] if len(found) == limit else last))

        return self._ask(query.where, answer)

    def get(self, id: str) -> list[Record]:  # noqa: A002 - the word people know
        same = kql.Or(tuple(kql.equal(name, id) for name in ("event.id", "http.request.id", "trace.id")))
        return self.search(Query(same), Page(SAME_ID_LIMIT, newest_first=False)).records

    def count(self, query: Query) -> int:
        return int(self._rows(query, Sql("SELECT count(*)"))[0][0])

    def tally(self, query: Query, by: str | None, every_ns: int) -> list[Bucket]:
        if every_ns < 1:
            raise QuestionError(f"buckets of {every_ns} ns are impossible; write 1s, 1m or 1h")
        key = self._value(by)
        start = f'(epoch_ns("@timestamp") // {int(every_ns)} * {int(every_ns)})'
        found = self._rows(
            query, Sql(f"SELECT {start}, {key.text}, count(*)", key.params), "GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return [Bucket(*row) for row in found]

    def top(self, query: Query, field: str, limit: int) -> list[Share]:
        value = (
            Sql(f"unnest({sql.column(field)})")
            if KIND_OF.get(field) == "list"
            else self._known(field, sql.value_of(field))
        )
        found = self._rows(
            query,
            Sql(f"SELECT {value.text} AS value", value.params),
            outer=(
                "SELECT value, count(*) FROM (",
                f") WHERE value IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {int(limit)}",
            ),
        )
        return [Share(*row) for row in found]

    def stats(self, query: Query, number_field: str, by: str | None) -> list[Stat]:
        number = sql.number_of(number_field)
        if number is None:
            raise QuestionError(f"{number_field} holds no numbers, so there are no statistics of it")
        number = self._known(number_field, number)
        key = self._value(by)
        found = self._rows(
            query,
            Sql(f"SELECT {key.text} AS key, {number.text}::DOUBLE AS x", key.params + number.params),
            outer=(
                "SELECT key, count(x), sum(x), min(x), max(x), unnest([quantile_cont(x, [0.5, 0.95, 0.99])]) FROM (",
                ") WHERE x IS NOT NULL GROUP BY key ORDER BY key",
            ),
        )
        return [Stat(*row[:5], *row[5]) for row in found]

    def incarnations(self, query: Query) -> list[Incarnation]:
        def answer(cursor: duckdb.DuckDBPyConnection, listing: Listing) -> list[Incarnation]:
            condition = self._condition(query)
            within = self._relation(_in_time(listing.segments, query), listing.logs)
            chosen = self._all(
                cursor, f"SELECT DISTINCT {lives.NAME} FROM ({within}) WHERE {condition.text}", *condition.params
            )
            everything = self._relation(listing.segments, listing.logs)
            tail = self._relation([], listing.logs)
            names = {name for (name,) in chosen if name}
            return lives.incarnations(cursor, self.directory, listing.segments, everything, tail, names)

        return self._ask(query.where, answer)

    def fields(self) -> list[FieldCount]:
        def answer(cursor: duckdb.DuckDBPyConnection, listing: Listing) -> list[FieldCount]:
            rows = self._relation(listing.segments, listing.logs)
            names = [name for name in COLUMNS if name in KIND_OF]
            counts = self._all(cursor, "SELECT " + ", ".join(f'count("{name}")' for name in names) + f" FROM ({rows})")[
                0
            ]
            found = [FieldCount(name, KIND_OF[name], count) for name, count in zip(names, counts, strict=True) if count]
            for name, kind in (("labels", "keyword"), ("numeric_labels", "number")):
                labels = f"SELECT unnest(map_keys({name})) AS key FROM ({rows})"
                for key, count in self._all(cursor, f"SELECT key, count(*) FROM ({labels}) GROUP BY 1"):
                    found.append(FieldCount(f"{name}.{key}", kind, count))
            return sorted(found)

        return self._ask(None, answer)

    def oldest_ns(self) -> int | None:
        def answer(cursor: duckdb.DuckDBPyConnection, listing: Listing) -> int | None:
            times = [segment.oldest_ns for segment in listing.segments if segment.rows]
            tail = self._relation([], listing.logs)
            oldest = self._all(cursor, f'SELECT epoch_ns(min("@timestamp")) FROM ({tail})')[0][0]
            return min(times + ([oldest] if oldest is not None else []), default=None)

        return self._ask(None, answer)

    # -- how a question is asked

    def _ask(self, where: Node | None, answer: Callable[[duckdb.DuckDBPyConnection, Listing], _T]) -> _T:
        """Ask on a cursor of this call. A file that was merged away since the listing means: list again."""
        for attempt in range(_TRIES):
            listing = read_listing(self.directory)
            with self._opening:
                cursor = self._database.cursor()
            try:
                self._check_names(cursor, listing, where)
                return answer(cursor, listing)
            except (duckdb.IOException, FileNotFoundError) as error:
                gone, problem = read_listing(self.directory) != listing, error
                if not gone and attempt > 1:
                    break
                time.sleep(0.01 * attempt)
            except duckdb.InterruptException:
                raise StoreError("the question was interrupted") from None
            except duckdb.OutOfMemoryException as error:
                raise StoreError(f"the answer needs more memory than it may take; ask for less time: {error}") from None
            except duckdb.Error as error:
                raise StoreError(f"the store in {self.directory} cannot answer: {error}") from error
            finally:
                cursor.close()
        raise StoreError(f"a file of the store in {self.directory} cannot be read: {problem}")

    def _rows(
        self, query: Query, select: Sql, rest: str = "", *, outer: tuple[str, str] = ("", "")
    ) -> list[tuple[Any, ...]]:
        def answer(cursor: duckdb.DuckDBPyConnection, listing: Listing) -> list[tuple[Any, ...]]:
            condition = self._condition(query)
            rows = self._relation(_in_time(listing.segments, query), listing.logs)
            text = f"{outer[0]}{select.text} FROM ({rows}) WHERE {condition.text} {rest}{outer[1]}"
            return self._all(cursor, text, *select.params, *condition.params)

        return self._ask(query.where, answer)

    def _condition(self, query: Query) -> Sql:
        where = sql.where(query.where, self._clock_ns(), self._zone)
        text, params = where.text, where.params
        for limit_ns, operator in ((query.since_ns, ">="), (query.until_ns, "<")):
            if limit_ns is not None:
                text += f' AND "@timestamp" {operator} make_timestamp_ns(?)'
                params += (limit_ns,)
        return Sql(f"({text})", params)

    def _keys(
        self, cursor: duckdb.DuckDBPyConnection, listing: Listing, condition: Sql, order: "_Order", query: Query
    ) -> list[_Key]:
        """The page's keys. Unsealed logs first, then segments by time, until no other can hold anything nearer."""
        left = sorted(_in_time(listing.segments, query), key=order.edge_ns)
        keys = self._some_keys(cursor, self._relation([], listing.logs), condition, order) if listing.logs else []
        step = 1
        while left and (len(keys) < order.limit or not order.beyond(left[-1], keys[-1][0])):
            some = [left.pop() for _ in range(min(step, len(left)))]
            step *= 2
            keys += self._some_keys(cursor, self._relation(some, []), condition, order)
            keys.sort(reverse=order.newest_first)
            del keys[order.limit :]
        return keys

    def _some_keys(self, cursor: duckdb.DuckDBPyConnection, rows: str, condition: Sql, order: "_Order") -> list[_Key]:
        way, params, after = ("DESC" if order.newest_first else "ASC"), condition.params, ""
        if order.after is not None:
            after = f' AND (epoch_ns("@timestamp"), _n) {"<" if order.newest_first else ">"} (?, ?)'
            params += order.after
        return self._all(
            cursor,
            f'SELECT epoch_ns("@timestamp") AS t, _n FROM ({rows}) WHERE {condition.text}{after} '
            f"ORDER BY t {way}, _n {way} LIMIT {order.limit}",
            *params,
        )

    def _records(self, cursor: duckdb.DuckDBPyConnection, listing: Listing, keys: list[_Key]) -> dict[_Key, Record]:
        logs = {log_of(position) for _, position in keys}
        segments = [one for one in listing.segments if any(one.first <= log <= one.last for log in logs)]
        rows = self._relation(segments, [log for log in listing.logs if log in logs])
        found: dict[_Key, Record] = {}
        for start in range(0, len(keys), ROWS_AT_ONCE):
            chosen = ", ".join(str(position) for _, position in keys[start : start + ROWS_AT_ONCE])
            for row in self._all(cursor, f"SELECT {SELECT_ROW} FROM ({rows}) WHERE _n IN ({chosen})"):
                found[row[1], row[0]] = record(row)
        return found

    def _check_names(self, cursor: duckdb.DuckDBPyConnection, listing: Listing, where: Node | None) -> None:
        for name in unknown_names(where):
            error = unknown_field(name.text, name.at)
            if "did you mean" in error.expected and not self._is_label(cursor, listing, name.text):
                raise error

    def _is_label(self, cursor: duckdb.DuckDBPyConnection, listing: Listing, name: str) -> bool:
        rows = self._relation(listing.segments, listing.logs)
        held = "map_contains(labels, ?) OR map_contains(numeric_labels, ?)"
        return bool(self._all(cursor, f"SELECT 1 FROM ({rows}) WHERE {held} LIMIT 1", name, name))

    def _known(self, name: str, expression: Sql) -> Sql:
        """`expression`, if `name` is a field or some event has such a label."""
        named = kql.Is(kql.Text(name), kql.Pattern(("", "")))
        if any(unknown_names(named)) and not self._ask(
            None, lambda cursor, listing: self._is_label(cursor, listing, name)
        ):
            raise unknown_field(name)
        return expression

    def _value(self, by: str | None) -> Sql:
        if by is None:
            return Sql("''")
        value = self._known(by, sql.value_of(by))
        return Sql(f"coalesce({value.text}, '')", value.params)

    def _relation(self, segments: "list[Segment] | tuple[Segment, ...]", logs: "list[int] | tuple[int, ...]") -> str:
        written = [path for path in (self._path(log_name(number)) for number in logs) if path.stat().st_size]
        return relation([self._path(segment.name) for segment in segments], written)

    def _path(self, name: str) -> Path:
        return self.directory / name

    @staticmethod
    def _all(cursor: duckdb.DuckDBPyConnection, text: str, *params: Any) -> list[Any]:
        return cursor.execute(text, list(params)).fetchall()


class _Order:
    """Which end of time a page begins at."""

    def __init__(self, newest_first: bool, limit: int, after: _Key | None) -> None:
        self.newest_first, self.limit, self.after = newest_first, limit, after

    def edge_ns(self, segment: Segment) -> int:
        return segment.newest_ns if self.newest_first else -segment.oldest_ns

    def beyond(self, segment: Segment, last_ns: int) -> bool:
        """Whether everything in `segment` comes after a full page that ends at `last_ns`."""
        return segment.newest_ns < last_ns if self.newest_first else segment.oldest_ns > last_ns


def _in_time(segments: tuple[Segment, ...], query: Query) -> list[Segment]:
    return [
        segment
        for segment in segments
        if (query.since_ns is None or segment.newest_ns >= query.since_ns)
        and (query.until_ns is None or segment.oldest_ns < query.until_ns)
    ]


def _key(text: str) -> _Key:
    time_ns, _, position = text.partition(".")
    try:
        return int(time_ns), int(position)
    except ValueError:
        raise QuestionError(f"{text!r} is no key of a page; pass the `next` of the rows before") from None


def _position(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise QuestionError(f"{text!r} is no key of a tail; pass the `next` of the rows before") from None
