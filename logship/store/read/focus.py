"""The events of one time window in memory, for as long as many questions about it take."""
# ruff: noqa: S608 - only names of our columns and tables are ever written into SQL

from collections.abc import Collection
from dataclasses import dataclass

from logship.search.query import Query
from logship.store.schema import COLUMNS, POSITION


@dataclass(frozen=True, slots=True)
class Focus:
    """A table with these columns of all events within the times of `window`."""

    table: str
    window: Query
    columns: frozenset[str]

    def covers(self, query: Query, columns: Collection[str]) -> bool:
        """Return whether the table has all that a question needs."""
        since_ns, until_ns = self.window.since_ns, self.window.until_ns
        return (
            self.columns.issuperset(columns)
            and (since_ns is None or (query.since_ns is not None and since_ns <= query.since_ns))
            and (until_ns is None or (query.until_ns is not None and query.until_ns <= until_ns))
        )

    def select(self, columns: Collection[str]) -> str:
        """Return a SELECT of these columns and the position, as `schema.relation` does."""
        return f"SELECT {listed({POSITION, *columns})} FROM {self.table}"


def listed(columns: Collection[str]) -> str:
    """Return columns as SQL, in the order of the store."""
    return ", ".join(f'"{name}"' for name in COLUMNS if name in columns)
