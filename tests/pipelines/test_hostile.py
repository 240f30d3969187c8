"""Nothing that an application can say is refused by Elasticsearch, on its way through logship and Fluent Bit."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from logship.elastic import mapping
from logship.elastic.client import connect
from logship.elastic.replay import from_lines, from_source, replay
from logship.search.query import Query, Record
from logship.search.times import from_rfc3339
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.conftest import PROVE
from tests.elastic import server
from tests.elastic.node import Server
from tests.elastic.test_setup import told
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


@pytest.mark.timeout(1800 if PROVE else 300)
def test_every_hostile_value_is_replayed_by_way_of_a_file_and_of_a_store(
    tmp_path: Path, elastic: Server, namespace: str
) -> None:
    lines = tmp_path / "events.jsonl"
    around = environment(
        LOGSHIP_STATE_DIR=str(tmp_path / "state"), LOGSHIP_AGENT=f"file:{lines}", LOGSHIP_SERVICE="hostile"
    )
    with Process([sys.executable, SHOPS / "hostile.py", str(EVENTS)], around, tmp_path / "hostile.txt") as process:
        until(process.ended, process.said, 1500)
    emitted = sum(1 for _ in from_lines(lines))
    assert emitted > EVENTS
    by_file, by_store = namespace, server.new_namespace()
    assert moved(elastic, by_file, from_lines(lines), tmp_path / "dead") == emitted
    store = Store(tmp_path / "store")
    for some in batched(from_lines(lines), 500):
        kept = store.append([(from_rfc3339(one.pop("@timestamp")), one) for one in some])
        assert kept.stored == len(some)
    store.close()
    reader = Reader(tmp_path / "store")
    assert moved(elastic, by_store, from_source(reader, Query()), tmp_path / "dead") == emitted
    reader.close()
    sequences = [hit["_source"]["event.sequence"] for hit in elastic.hits(mapping.stream(by_store))]
    assert sorted(sequences) == list(range(1, emitted + 1))
    print(f"\n{emitted} hostile events replayed from a file and from a store, none refused, each once")


def moved(elastic: Server, namespace: str, records: Iterator[Record], dead: Path) -> int:
    """Replay these, of which none may be refused; how many are found then."""
    settings = told(elastic, namespace)
    with connect(settings) as client:
        refused = [one for done in replay(client, settings, records, dead) for one in done.refused]
    assert [(one.reason, one.record) for one in refused[:3]] == []
    return elastic.count(mapping.stream(namespace))


def batched(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while some := list(islice(records, size)):
        yield some
