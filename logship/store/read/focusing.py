"""Reading the events of a window into a table that many questions use.

Planning a statement on Parquet files takes 4 to 8 ms and reading them 5 to 20, for each of the twenty questions of an overview.
A table of the few columns that they use takes as long as two of them, and each question then takes half of the time, or a third
where there are unsealed logs. Questions about these columns see the same events, so that their numbers agree."""
# ruff: noqa: S608 - only names of our columns and tables are ever written into SQL

import itertools

import duckdb

from logship.store.read.focus import Focus, listed
from logship.store.read.snapshot import Snapshot

# Twenty columns of so many events take some 40 MB.
ROWS_LIMIT = 150_000

_numbers = itertools.count(1)


def new_table() -> str:
    """Return a name that no other table of the process has."""
    return f"focus_{next(_numbers)}"


def fill(snapshot: Snapshot, focus: Focus) -> bool:
    """Create the table of a window; False, and no table, if it has too many events, or other queries need the memory."""
    condition, times = snapshot.condition(focus.window), snapshot.matching(focus.window, ("@timestamp",))
    if snapshot.all(f"SELECT count(*) FROM ({times}) WHERE {condition.text}", *condition.params)[0][0] > ROWS_LIMIT:
        return False
    rows = f"SELECT _n, {listed(focus.columns)} FROM ({snapshot.matching(focus.window, focus.columns)}) WHERE {condition.text}"
    try:
        # After an error the runner calls this again.
        snapshot.cursor.execute(f"CREATE OR REPLACE TABLE {focus.table} AS {rows}", [*condition.params])
    except duckdb.OutOfMemoryException:
        return False
    return True
