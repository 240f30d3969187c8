"""Nothing that an application can say is refused by Elasticsearch, on its way through logship and Fluent Bit."""

import sys
from pathlib import Path

import pytest

from logship.elastic import mapping
from tests.conftest import PROVE
from tests.elastic.node import Server
from tests.pipelines import agent
from tests.pipelines.agent import Agent, to_elastic
from tests.proofs.scene import Process, environment, until

EVENTS = 100_000 if PROVE else 1_500
SHOPS = Path(__file__).parent / "shops"


@agent.needed
@pytest.mark.timeout(1800 if PROVE else 180)
def test_every_hostile_value_of_the_application_is_stored(tmp_path: Path, elastic: Server, namespace: str) -> None:
    stream = mapping.stream(namespace)
    with Agent(tmp_path, to_elastic(elastic, namespace)) as fluent_bit:
        fluent_bit.wait_ready()
        around = environment(
            LOGSHIP_STATE_DIR=str(tmp_path / "state"),
            LOGSHIP_AGENT=f"127.0.0.1:{fluent_bit.port}",
            LOGSHIP_SERVICE="hostile",
        )
        with Process([sys.executable, SHOPS / "hostile.py", str(EVENTS)], around, tmp_path / "hostile.txt") as process:
            until(process.ended, lambda: process.said() + fluent_bit.said(), 1500)
            assert process.process is not None
            assert process.process.returncode == 0, process.said()
        goodbye = {"term": {"event.action": "worker-closed"}}
        until(lambda: elastic.count(stream, goodbye) == 1, fluent_bit.said, 120)
        (closed,) = elastic.hits(stream, goodbye)
        emitted = closed["_source"]["logship.emitted"]
        dropped = {
            name: lost for name, lost in closed["_source"].items() if name.startswith("logship.dropped") and lost
        }
        assert dropped == {}
        until(
            lambda: elastic.count(stream) == emitted,
            lambda: f"{elastic.count(stream)} of {emitted}\n{fluent_bit.said()}",
            120,
        )
        rejected = list((tmp_path / "storage/rejected").glob("*"))
    assert emitted > EVENTS  # and the requests, and what the worker says of itself
    assert rejected == []
    sequences = [hit["_source"]["event.sequence"] for hit in elastic.hits(stream)]
    assert sorted(sequences) == list(range(1, emitted + 1))
    ignored = elastic.count(stream, {"exists": {"field": "_ignored"}})
    print(
        f"\n{emitted} hostile events stored, none refused, each once; {ignored} with a value that is kept and not indexed"
    )
