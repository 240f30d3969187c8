"""A store with small logs, so that sealing and merging happen within a test."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from logship.store.read.reader import Reader
from logship.store.schema import connect
from logship.store.write.store import Store


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "it's a store"


@pytest.fixture
def store(directory: Path) -> Iterator[Store]:
    with Store(directory, roll_records=20) as store:
        yield store


@pytest.fixture
def reader(directory: Path) -> Iterator[Reader]:
    reader = Reader(directory, threads=1)
    yield reader
    reader.close()


@pytest.fixture(scope="session")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = connect(256 * 2**20, 1)
    yield connection
    connection.close()
