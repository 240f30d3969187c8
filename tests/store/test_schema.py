"""Databases of the store: what they keep in memory."""

from pathlib import Path

import duckdb

from logship.store.schema import connect, relation
from logship.store.write.store import Store
from tests.store.events import events

MIB = 2**20


def cached_bytes(database: duckdb.DuckDBPyConnection) -> int:
    """What is kept of files that were read."""
    return int(database.execute("SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'OBJECT_CACHE'").fetchall()[0][0])


def test_a_database_of_the_writer_keeps_nothing_of_the_files_it_has_read(store: Store, directory: Path) -> None:
    store.append(events(1, 3))
    store.seal()
    database, files = connect(256 * MIB, 1), list(directory.glob("*.parquet"))
    before = cached_bytes(database)
    assert database.execute(f"SELECT count(*) FROM ({relation(files, [])})").fetchall() == [(3,)]
    assert files
    assert cached_bytes(database) - before < 2_000  # with the cache of metadata, 100,000 for each file
    database.close()
