"""The size limit of a result in bytes: rows are fetched until the limit is reached.

Elsewhere results are limited by rows. Most records have 1 KB, but the largest have 1 MB: 10,000 of them would be 10 GB."""

from collections.abc import Callable
from typing import Any, TypeVar

import duckdb

# A page of 10,000 records of the usual size has 10 MB.
ANSWER_BYTES = 32 * 2**20
# An export keeps its window while a slow client takes it.
WINDOW_BYTES = 16 * 2**20
# Rows that are fetched before their size is checked: up to 16 MB.
STEP_ROWS = 16
# Rows of counts are small, unless a group is named by a message of 1 MB.
MOST_STEP_ROWS = 4096
STEP_BYTES = 2**20
# After DuckDB had too little memory, the limit of rows is divided by this.
NARROWER = 8

Row = tuple[Any, ...]
T = TypeVar("T")


class TooMuch(Exception):
    """The rows exceed the budget. `fitting`: how many rows fill it."""

    def __init__(self, fitting: int) -> None:
        super().__init__(fitting)
        self.fitting = fitting


def first_rows(cursor: duckdb.DuckDBPyConnection, budget_bytes: int) -> tuple[list[Row], bool]:
    """Return the first rows of the executed statement, up to one step beyond the budget, and whether these are all."""
    rows: list[Row] = []
    held = 0
    while some := cursor.fetchmany(STEP_ROWS):
        rows += some
        held += sum(map(_bytes, some))
        if held > budget_bytes:
            return rows, False
    return rows, True


class Budget:
    """The bytes that are left for the records of one result, from several files."""

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes, self._records = size_bytes, 0

    def rows(self, cursor: duckdb.DuckDBPyConnection) -> list[Row]:
        """Return all rows of the executed statement. TooMuch if they exceed the budget."""
        rows: list[Row] = []
        while some := cursor.fetchmany(STEP_ROWS):
            rows += some
            self.spend(sum(map(_bytes, some)), len(some))
        return rows

    def spend(self, size_bytes: int, records: int = 1) -> None:
        """Note the size of some records. TooMuch if they exceed the budget."""
        self._left_bytes -= size_bytes
        self._records += records
        if self._left_bytes < 0:
            raise TooMuch(self._records)


def counted_rows(cursor: duckdb.DuckDBPyConnection, budget_bytes: int) -> list[Row]:
    """Return all rows of the executed statement, which are texts and counts of them. TooMuch if the texts exceed the budget."""
    rows: list[Row] = []
    left, step = budget_bytes, STEP_ROWS
    while some := cursor.fetchmany(step):
        rows += some
        held = sum(len(value) for row in some for value in row if type(value) is str)
        left -= held
        if left < 0:
            raise TooMuch(len(rows))
        step = STEP_ROWS if held > STEP_BYTES else min(2 * step, MOST_STEP_ROWS)
    return rows


def narrowed(limit: int, answer: Callable[[int], T]) -> T:
    """Return `answer(limit)`, with a smaller limit if the result or the memory for it is too large."""
    while True:
        try:
            return answer(limit)
        except TooMuch as error:
            if limit <= 1:
                raise
            # Each attempt reads the files again, so the limit is a guess: other rows may be larger.
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
