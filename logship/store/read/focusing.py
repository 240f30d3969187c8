"""Reading the events of a window into a table that many questions use.

Planning a statement on Parquet files takes 4 to 8 ms and reading them 5 to 20, for each of the twenty questions of an overview.
A table of the few columns that they use takes as long as two of them, and each question then takes a fourth of the time. All see
the same events, so that their numbers agree."""
# ruff: noqa: S608 - only names of our columns and tables are ever written into SQL

import itertools
from collections.abc import Collection
from functools import partial

import duckdb

from logship.search.query import Query
from logship.store.read.focus import Focus, listed
from logship.store.read.runner import QueryRunner
from logship.store.read.snapshot import Snapshot

# Twenty columns of so many events take some 40 MB.
ROWS_LIMIT = 150_000

_numbers = itertools.count(1)


def focus_on(runner: QueryRunner, window: Query, columns: Collection[str]) -> Focus | None:
    """Return the events of a window as a table; None if they are too many, or other questions need the memory."""
    plain = Query(None, window.since_ns, window.until_ns)
    return runner.run(None, partial(_table, window=plain, columns=frozenset(columns)))


def _table(snapshot: Snapshot, window: Query, columns: frozenset[str]) -> Focus | None:
    condition, needed = snapshot.condition(window), columns | {"@timestamp"}
    times = snapshot.matching(window, ("@timestamp",))
    if snapshot.all(f"SELECT count(*) FROM ({times}) WHERE {condition.text}", *condition.params)[0][0] > ROWS_LIMIT:
        return None
    focus = Focus(f"focus_{next(_numbers)}", window, needed)
    rows = f"SELECT _n, {listed(needed)} FROM ({snapshot.matching(window, needed)}) WHERE {condition.text}"
    try:
        snapshot.cursor.execute(f"CREATE TABLE {focus.table} AS {rows}", [*condition.params])
    except duckdb.OutOfMemoryException:
        return None
    return focus
