"""A real Elasticsearch, the same for the whole run."""

from collections.abc import Iterator

import pytest

from tests.elastic import server
from tests.elastic.node import Server
from tests.proofs.conftest import certificate

__all__ = ["certificate"]


@pytest.fixture(scope="session")
def elastic() -> Iterator[Server]:
    """Started at the first test that asks for it, with our templates; killed at the end."""
    yield server.running()
    server.stop()


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return server.new_namespace()
