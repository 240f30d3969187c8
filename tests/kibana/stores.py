"""The same events in both stores."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from logship.elastic import mapping
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.elastic import server
from tests.elastic.node import Server
from tests.kibana import demo


@dataclass
class Both:
    """The demo's events on the real Elasticsearch and in an embedded store."""

    elastic: Server
    stream: str
    reader: Reader

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """One search of Elasticsearch."""
        return self.elastic.must("POST", f"/{self.stream}/_search", body)


@pytest.fixture(scope="module")
def both(elastic: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both of them, loaded."""
    directory: Path = tmp_path_factory.mktemp("numbers")
    stream = mapping.stream(server.new_namespace())
    documents: list[Mapping[str, object]] = [*demo.documents()]
    for begin in range(0, len(documents), 4000):
        answers = elastic.create(stream, documents[begin : begin + 4000])
        assert {one["status"] for one in answers} == {201}
    with Store(directory) as store:
        store.append(demo.entries())
        reader = Reader(directory, threads=1)
        yield Both(elastic, stream, reader)
        reader.close()
