"""Workers, Fluent Bit and Elasticsearch, all real: every event stored once, also when one of them is killed or refuses."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PROVE
from tests.elastic import server
from tests.elastic.node import Node, Server
from tests.pipelines import agent
from tests.pipelines.line import Line, play

TIMES = 3 if PROVE else 1
LOAD_SECONDS = 8.0 if PROVE else 2.0
# Elasticsearch needs half a minute to come back on a busy machine, and what is asked meanwhile is only more to compare.
CALM_SECONDS = 0.1
WORKERS = 4

pytestmark = [agent.needed, pytest.mark.timeout(900 if PROVE else 300)]


def busy() -> None:
    """Let the clients ask for a while."""
    time.sleep(random.uniform(0.5, LOAD_SECONDS))


@pytest.fixture
def node(elastic: Server) -> Iterator[Node]:
    """The node of this run, to be killed and started again."""
    assert elastic.url
    with server.killable() as found:
        yield found


def test_what_four_workers_say_is_stored_once_with_its_types(tmp_path: Path, elastic: Server, namespace: str) -> None:
    line = Line(tmp_path, elastic, namespace, WORKERS)
    play(line, lambda: time.sleep(LOAD_SECONDS), "the whole line")
    assert elastic.count(line.stream) == len(line.documents)
    # What each worker's clients noted, as one aggregation tells it.
    by_worker = {"terms": {"field": "process.pid", "size": 100}}
    body = {"size": 0, "query": {"term": {"event.action": "http-request"}}, "aggs": {"pid": by_worker}}
    told = elastic.must("POST", f"/{line.stream}/_search", body)["aggregations"]["pid"]["buckets"]
    assert {bucket["key"]: bucket["doc_count"] for bucket in told} == Counter(line.notes.begun.values())
    slots = {one["logship.worker.slot"] for one in line.documents if "logship.worker.slot" in one}
    assert slots == set(range(WORKERS))
    # Dates with nine digits, and nothing that did not fit its type.
    assert {len(one["@timestamp"]) for one in line.documents} == {len("2026-11-21T11:52:11.104177493Z")}
    assert elastic.count(line.stream, {"exists": {"field": "_ignored"}}) == 0
    slow = {"range": {"event.duration": {"gte": 0}}}
    assert elastic.count(line.stream, slow) == sum("event.duration" in one for one in line.documents)
    steps = {"range": {"numeric_labels.step": {"gte": 1, "lt": 3}}}
    assert elastic.count(line.stream, steps) == sum(
        1 <= one.get("numeric_labels", {}).get("step", 0) < 3 for one in line.documents
    )


def test_nothing_is_lost_when_fluent_bit_is_killed(tmp_path: Path, elastic: Server, namespace: str) -> None:
    line = Line(tmp_path, elastic, namespace, WORKERS)

    def kills() -> None:
        for _ in range(TIMES):
            busy()
            line.agent.kill_and_restart()
        busy()

    play(line, kills, f"Fluent Bit killed -9 {TIMES} times")


@pytest.mark.prove
@pytest.mark.alone
def test_nothing_is_lost_when_elasticsearch_is_killed(tmp_path: Path, node: Node, namespace: str) -> None:
    line = Line(tmp_path, node, namespace, WORKERS, CALM_SECONDS)

    def kills() -> None:
        for _ in range(TIMES):
            busy()
            node.kill()
            busy()
            node.start()
        busy()

    play(line, kills, f"Elasticsearch killed -9 {TIMES} times")


@pytest.mark.prove
def test_nothing_is_lost_when_a_worker_is_killed(tmp_path: Path, elastic: Server, namespace: str) -> None:
    line = Line(tmp_path, elastic, namespace, WORKERS)

    def kills() -> None:
        for _ in range(TIMES):
            busy()
            os.kill(random.choice(sorted(line.shop.notes().serving & alive(line))), signal.SIGKILL)
        time.sleep(3)

    play(line, kills, f"a worker killed -9 {TIMES} times")
    lost = [one for one in line.documents if one.get("event.action") == "worker-lost"]
    assert len(lost) == TIMES


def alive(line: Line) -> set[int]:
    """The workers that still run."""
    return {pid for pid in line.shop.notes().serving if Path(f"/proc/{pid}").exists()}


@pytest.mark.prove
@pytest.mark.alone
@pytest.mark.parametrize("fault", ["write block", "answers 429", "down"])
def test_nothing_is_lost_while_elasticsearch_refuses(fault: str, tmp_path: Path, node: Node, namespace: str) -> None:
    line = Line(tmp_path, node, namespace, WORKERS, CALM_SECONDS)
    seconds = {"write block": 20.0, "answers 429": 20.0, "down": 60.0}[fault]
    faults: dict[str, Callable[[], None]] = {
        "write block": lambda: blocked(node, line.stream, "write", seconds),
        # The flood stage's own block: documents are answered 429 until it is taken away.
        "answers 429": lambda: blocked(node, line.stream, "read_only_allow_delete", seconds),
        "down": lambda: down(node, seconds),
    }

    def refuse() -> None:
        for _ in range(TIMES):
            busy()
            faults[fault]()
        busy()

    play(line, refuse, f"Elasticsearch, {fault} for {seconds:.0f} s, {TIMES} times")


def blocked(node: Node, stream: str, block: str, seconds: float) -> None:
    """Refuse writes for a while."""
    node.must("PUT", f"/{stream}/_settings", {f"index.blocks.{block}": True})
    time.sleep(seconds)
    node.must("PUT", f"/{stream}/_settings", {f"index.blocks.{block}": None})


def down(node: Node, seconds: float) -> None:
    """Refuse connections for a while."""
    node.kill()
    time.sleep(seconds)
    node.start()
