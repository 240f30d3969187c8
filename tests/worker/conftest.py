"""Far agents, pipelines and senders that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logship.settings import load
from logship.state import locks
from logship.worker.assemble import make_pipeline
from logship.worker.pipeline import Pipeline
from tests.worker.far_agent import AwakeAgent, FarAgent, Sending

Make = Callable[..., Pipeline]


@pytest.fixture
def far() -> Iterator[AwakeAgent]:
    agent = AwakeAgent()
    yield agent
    agent.close()


@pytest.fixture
def a_pipeline(tmp_path: Path) -> Iterator[Make]:
    """Makes the pipeline of a worker whose state directory is `tmp_path`/state; all end with the test."""
    made: list[Pipeline] = []

    def make(agent: AwakeAgent | str, **options: object) -> Pipeline:
        address = agent if isinstance(agent, str) else agent.address
        settings = {"agent": address, "state_dir": tmp_path / "state", "service": "shop", "console": "off", **options}
        made.append(make_pipeline(load(settings, {})))
        return made[-1]

    yield make
    for pipeline in made:
        assert pipeline.shipper is not None
        pipeline.shipper.end()
        if pipeline.journal.directory is not None:
            locks.release(pipeline.journal.directory / "lock")


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[Callable[..., Sending]]:
    """Makes a sender for a far agent (or an address alone); both are closed with the test."""
    made: list[Sending] = []

    def make(far: FarAgent | str, **options: object) -> Sending:
        one = Sending(tmp_path, far if isinstance(far, str) else far.address, **options)
        one.far = None if isinstance(far, str) else far
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
