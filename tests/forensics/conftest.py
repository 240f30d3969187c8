"""A store and a reader of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.store.read.reader import Reader
from logship.store.write.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store", roll_records=50) as store:
        yield store


@pytest.fixture
def source(store: Store) -> Iterator[Reader]:
    reader = Reader(store.directory, threads=1)
    yield reader
    reader.close()
