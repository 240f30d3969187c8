"""What several commands are tested with: a store of orders, and Elasticsearch."""

from pathlib import Path

import pytest

from logship.store.write.store import Store
from tests.cli.commands.orders import event
from tests.elastic.conftest import elastic, namespace
from tests.proofs.conftest import certificate

__all__ = ["certificate", "elastic", "namespace"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of 60 orders, 50 of them sealed."""
    with Store(tmp_path / "from") as one:
        one.append([event(number) for number in range(1, 51)])
        one.seal()
        one.append([event(number, numeric_labels={"price": 1.5}) for number in range(51, 61)])
    return tmp_path / "from"
