"""A collector, and a sender that is connected to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collector.far_end import Running, Sender


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a collector with the options given; it is stopped when the test is over."""
    started: list[Running] = []

    def start(most: int | None = None, **options: object) -> Running:
        started.append(Running(tmp_path, most=most, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def running(start: Callable[..., Running]) -> Running:
    return start()


@pytest.fixture
def sender(running: Running) -> Sender:
    return running.connect()
