"""Pages of a search: first the keys of the page, then the records of these keys."""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

from collections import defaultdict
from collections.abc import Collection
from typing import TypeAlias

from logship.errors import QuestionError
from logship.search import sql
from logship.search.query import Page, Query, Record
from logship.search.shorthand import field_of
from logship.search.sql import Sql
from logship.search.targets import KIND_OF
from logship.store.files import Segment, log_of
from logship.store.lines import numbered_lines, parsed_line
from logship.store.read import budget
from logship.store.read.budget import Budget, narrowed
from logship.store.read.snapshot import Snapshot
from logship.store.schema import (
    LINE_LIMIT_BYTES,
    POSITION,
    columns_in,
    line_record,
    numbered_rows,
    stored_record,
)

# Each step reads the chosen file again, and its whole rows must fit in memory.
ROWS_AT_ONCE = 10_000

Key: TypeAlias = tuple[int | float, int]
"""Nanoseconds, or the number that orders the page; position."""


class Order:
    """The order of a page and where it begins. `number`: SQL of the first part of a key; `after`: the key before it."""

    def __init__(self, page: Page, number: str, after: Key | None) -> None:
        self.newest_first = page.newest_first or bool(page.greatest)
        self.limit, self.number, self.after = max(page.limit, 0), number, after
        self.by_time = not page.greatest

    @classmethod
    def of(cls, page: Page) -> "Order":
        number = 'epoch_ns("@timestamp")'
        if page.greatest:
            if KIND_OF.get(field_of(page.greatest)) not in ("integer", "number"):
                raise QuestionError(f"greatest needs a number field, and {page.greatest} is not one")
            number = sql.column(field_of(page.greatest))
        return cls(page, number, parsed_key(page.after) if page.after else None)

    def edge_ns(self, segment: Segment) -> int:
        """Return a number by which segments are sorted so that the first to read is last."""
        return segment.newest_ns if self.newest_first else -segment.oldest_ns

    def beyond(self, segment: Segment, last_ns: float) -> bool:
        """Return whether everything in `segment` comes after a full page that ends at `last_ns`."""
        return segment.newest_ns < last_ns if self.newest_first else segment.oldest_ns > last_ns

    def without(self, segment: Segment) -> bool:
        """Return whether nothing in `segment` comes after the previous page."""
        if self.after is None or not self.by_time:
            return False
        return segment.oldest_ns > self.after[0] if self.newest_first else segment.newest_ns < self.after[0]


def page_keys(snapshot: Snapshot, condition: Sql, order: Order, query: Query) -> list[Key]:
    """Return the keys of a page: from the unsealed logs, then from segments by time until no other can have nearer ones."""
    names = columns_in(order.number + condition.text)
    if snapshot.focus is not None and snapshot.focus.covers(query, names):
        return _some_keys(snapshot, snapshot.focus.select(names), condition, order)
    there = snapshot.candidates(query)
    left = sorted((segment for segment in there.segments if not order.without(segment)), key=order.edge_ns)
    logs = snapshot.relation([], there.logs, columns=names)
    keys = _some_keys(snapshot, logs, condition, order) if there.logs else []
    step = 1 if order.by_time else len(left)
    while left and (len(keys) < order.limit or not order.by_time or not order.beyond(left[-1], keys[-1][0])):
        some = [left.pop() for _ in range(min(step, len(left)))]
        step *= 2
        rows = snapshot.relation(some, [], spans=there.spans, columns=names)
        keys += _some_keys(snapshot, rows, condition, order)
        keys.sort(reverse=order.newest_first)
        del keys[order.limit :]
    return keys


def _some_keys(snapshot: Snapshot, rows: str, condition: Sql, order: Order) -> list[Key]:
    way, params, after = ("DESC" if order.newest_first else "ASC"), condition.params, ""
    if order.after is not None:
        after = f" AND ({order.number}, _n) {'<' if order.newest_first else '>'} (?, ?)"
        params += order.after
    text = (
        f"SELECT {order.number} AS t, _n FROM ({rows}) WHERE {condition.text}{after} AND t IS NOT NULL "
        f"ORDER BY t {way}, _n {way} LIMIT {order.limit}"
    )
    return snapshot.all(text, *params)


def within_budget(
    snapshot: Snapshot, keys: list[Key], names: tuple[str, ...]
) -> tuple[list[Key], dict[int, Record], bool]:
    """Return the first keys whose records fit the byte limit, at least one; their records; whether keys are left."""

    def some(limit: int) -> tuple[list[Key], dict[int, Record], bool]:
        chosen = keys[:limit]
        budget_bytes = budget.ANSWER_BYTES if limit > 1 else LINE_LIMIT_BYTES * 8
        return chosen, records_at(snapshot, chosen, names, budget_bytes), len(chosen) < len(keys)

    return narrowed(len(keys), some)


def records_at(
    snapshot: Snapshot, keys: list[Key], names: tuple[str, ...], budget_bytes: int = 2**62
) -> dict[int, Record]:
    """Return the records of these keys by position. TooMuch if they have more bytes than the budget."""
    left, found = Budget(budget_bytes), dict[int, Record]()
    by_log: defaultdict[int, list[int]] = defaultdict(list)
    for _, position in keys:
        by_log[log_of(position)].append(position)
    for segment in snapshot.listing.segments:
        positions = [position for log in by_log if segment.first <= log <= segment.last for position in by_log[log]]
        for start in range(0, len(positions), ROWS_AT_ONCE):
            found |= _sealed_records(snapshot, segment, positions[start : start + ROWS_AT_ONCE], names, left)
    for log in snapshot.listing.logs:
        if log in by_log:
            found |= _unsealed_records(snapshot, log, by_log[log], names, left)
    return found


def _sealed_records(
    snapshot: Snapshot, segment: Segment, positions: list[int], names: tuple[str, ...], left: Budget
) -> dict[int, Record]:
    # Row numbers first: rows are then read without the columns of the rows around them.
    if not (numbers := snapshot.row_numbers(segment, positions)):
        return {}
    cursor = snapshot.cursor.execute(numbered_rows(snapshot.path(segment), numbers, names))
    columns = [name for name, *_ in cursor.description]
    stored = (dict(zip(columns, row, strict=True)) for row in left.rows(cursor))
    return {row[POSITION]: stored_record(row, names) for row in stored}


def _unsealed_records(
    snapshot: Snapshot, log: int, positions: Collection[int], names: tuple[str, ...], left: Budget
) -> dict[int, Record]:
    # DuckDB would parse all lines of a log, with all columns: 60 ms for 5,000 lines. Most pages have few of them.
    wanted, found = set(positions), dict[int, Record]()
    for position, line in numbered_lines(snapshot.log(log).read_bytes()):
        if position in wanted and (fields := parsed_line(line)) is not None:
            left.spend(len(line))
            found[position] = line_record(fields, names)
    return found


def parsed_key(text: str) -> Key:
    """Return a key from the `next` of a page. QuestionError for any other text."""
    number, _, position = text.partition(":")
    try:
        return (int(number) if number.lstrip("-").isdecimal() else float(number)), int(position)
    except ValueError:
        raise QuestionError(f"invalid page key {text!r}: pass `next` of the previous page") from None
