"""DuckDB as the store uses it."""

from collections.abc import Iterator

import duckdb
import pytest

from logship.store.schema import connect


@pytest.fixture(scope="session")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = connect(256 * 2**20, 1)
    yield connection
    connection.close()
