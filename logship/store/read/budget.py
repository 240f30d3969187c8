"""How many bytes of records one answer may hold: rows are fetched until they are too many, and the rest is left.

Records are counted by rows elsewhere, and most have 1 KB. The largest have 1 MB, so that a page of 10,000 would be 10 GB."""

from collections.abc import Callable
from typing import Any, TypeVar

import duckdb

# A page of 10,000 records of the usual size has 10 MB.
ANSWER_BYTES = 32 * 2**20
# An export keeps its window while a slow client takes it.
WINDOW_BYTES = 16 * 2**20
# Rows between two looks at their size: with the largest records 16 MB.
STEP_ROWS = 16
# After a try for which DuckDB had no memory, so many times fewer.
NARROWER = 8

Row = tuple[Any, ...]
T = TypeVar("T")


class TooMuch(Exception):
    """The rows are more than the budget, which so many of them fill."""

    def __init__(self, fitting: int) -> None:
        super().__init__(fitting)
        self.fitting = fitting


def first_rows(cursor: duckdb.DuckDBPyConnection, budget_bytes: int) -> tuple[list[Row], bool]:
    """Return the first rows of what `cursor` executed, up to the budget and one step beyond, and whether that is all."""
    rows: list[Row] = []
    held = 0
    while some := cursor.fetchmany(STEP_ROWS):
        rows += some
        held += sum(map(_bytes, some))
        if held > budget_bytes:
            return rows, False
    return rows, True


def all_rows(cursor: duckdb.DuckDBPyConnection, budget_bytes: int) -> list[Row]:
    """Return all rows of what `cursor` executed. TooMuch if they are beyond the budget."""
    rows, all_of_them = first_rows(cursor, budget_bytes)
    if not all_of_them:
        raise TooMuch(len(rows))
    return rows


def narrowed(limit: int, answer: Callable[[int], T]) -> T:
    """Return `answer(limit)`; with a smaller limit if that is too much, or more than DuckDB has memory for."""
    while True:
        try:
            return answer(limit)
        except TooMuch as error:
            if limit <= 1:
                raise
            # Each try reads the files again, so it is guessed how many fit: others may be larger.
            limit = max(1, min(error.fitting * 3 // 4, limit // 2))
        except duckdb.OutOfMemoryException:
            if limit <= 1:
                raise
            limit = max(1, limit // NARROWER)


def _bytes(value: object) -> int:
    if type(value) is str:
        return len(value)
    if type(value) is tuple or type(value) is list:
        return sum(map(_bytes, value))
    if type(value) is dict:
        return sum(map(_bytes, value)) + sum(map(_bytes, value.values()))
    return 8
