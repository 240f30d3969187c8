"""Events of the embedded store, and of exports, moved into the real Elasticsearch; and what a server can answer."""

import json
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from logship.elastic import mapping
from logship.elastic.client import connect
from logship.elastic.replay import BULK_EVENTS, Bulk, Done, from_lines, from_source, replay
from logship.errors import ElasticError, QuestionError
from logship.search.query import Query, Record
from logship.settings import Settings, load
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.conftest import PROVE
from tests.elastic.node import Server
from tests.elastic.test_setup import told
from tests.proofs.scene import Process, environment, until

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)

LIFE = "a" * 24
EVENTS = 100_000 if PROVE else 5_000
MANY = 1_000_000
BEGAN_NS = 1_795_262_331_104_177_493


def record(number: int, **more: object) -> Record:
    """One event as stores give it back."""
    at = f"2026-11-21T11:{number // 60_000 % 60:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}177493Z"
    return {"@timestamp": at, "event.id": f"{LIFE}-{number:012d}", "event.sequence": number, "message": "m", **more}


def played(elastic: Server, namespace: str, records: Iterator[Record] | list[Record], dead: Path) -> Done:
    settings, done = told(elastic, namespace), Done()
    with connect(settings) as client:
        for lot in replay(client, settings, records, dead):
            done += lot
    return done


def test_a_store_is_moved_whole_and_a_second_time_nothing_is(elastic: Server, namespace: str, tmp_path: Path) -> None:
    with_fields = {"labels": {"a": "b"}, "numeric_labels": {"n": 1.5}, "event.category": ["web"]}
    entries = [
        (BEGAN_NS + number, {key: value for key, value in record(number, **with_fields).items() if key != "@timestamp"})
        for number in range(EVENTS)
    ]
    store = Store(tmp_path / "store")
    for first in range(0, EVENTS, 1000):
        store.append(entries[first : first + 1000])
    store.close()
    reader = Reader(tmp_path / "store")
    began = time.monotonic()
    first_time = played(elastic, namespace, from_source(reader, Query()), tmp_path / "dead")
    seconds = time.monotonic() - began
    again = played(elastic, namespace, from_source(reader, Query()), tmp_path / "dead")
    assert (first_time.created, again.created, again.there_already) == (EVENTS, 0, EVENTS)
    assert elastic.count(mapping.stream(namespace)) == EVENTS
    assert not (tmp_path / "dead").exists()
    some = elastic.hits(mapping.stream(namespace), {"term": {"event.sequence": 7}})
    assert [hit["_source"] for hit in some] == reader.get(f"{LIFE}-{7:012d}").records
    reader.close()
    print(f"\n{EVENTS} events from the store into Elasticsearch at {EVENTS / seconds:.0f} a second, each once")


def test_interrupted_five_times_and_repeated_each_is_there_once(
    elastic: Server, namespace: str, tmp_path: Path
) -> None:
    settings = told(elastic, namespace)
    for stop_after in (1, 2, 2, 3, 1):
        with connect(settings) as client:
            for _ in islice(replay(client, settings, map(record, range(EVENTS)), tmp_path / "dead"), stop_after):
                pass
    done = played(elastic, namespace, map(record, range(EVENTS)), tmp_path / "dead")
    assert done.created + done.there_already == EVENTS
    assert done.there_already == 3 * BULK_EVENTS
    assert len({hit["_id"] for hit in elastic.hits(mapping.stream(namespace))}) == EVENTS


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_a_million_killed_five_times_and_repeated_each_is_there_once(
    elastic: Server, namespace: str, tmp_path: Path
) -> None:
    export, stream = tmp_path / "export.ndjson", mapping.stream(namespace)
    with export.open("w") as file:
        file.writelines(json.dumps(record(number)) + "\n" for number in range(MANY))
    around = environment(
        LOGSHIP_ELASTIC_URL=elastic.url,
        LOGSHIP_ELASTIC_NAMESPACE=namespace,
        **{
            f"LOGSHIP_ELASTIC_{name.upper()}": value
            for name in ("user", "password")
            if (value := getattr(elastic, name))
        },
    )
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "logship",
        "replay",
        export,
        "--to",
        "elastic",
        "--dead-letters",
        tmp_path / "dead",
    ]
    with Process(command, around, tmp_path / "said.txt") as process:
        for kill in range(1, 6):
            until(lambda: process.ended() or elastic.count(stream) > MANY * kill // 20, process.said, 900)  # noqa: B023
            assert not process.ended(), process.said()
            process.stop(signal.SIGKILL)
            process.start()
        until(process.ended, process.said, 900)
        assert process.process is not None
        assert process.process.returncode == 0, process.said()
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    assert elastic.count(stream) == MANY
    ends = {"stats": {"stats": {"field": "event.sequence"}}}
    told = elastic.must("POST", f"/{stream}/_search", {"size": 0, "aggs": ends})["aggregations"]
    # Each id once in one index, and the numbers are those of MANY different ones: count, sum, first and last.
    assert told["stats"] == {
        "count": MANY,
        "min": 0,
        "max": MANY - 1,
        "avg": (MANY - 1) / 2,
        "sum": MANY * (MANY - 1) / 2,
    }
    assert len(elastic.must("GET", f"/{stream}/_settings")) == 1
    assert not (tmp_path / "dead").exists()
    print(f"\n{MANY} events, killed 5 times, each once; {process.said().splitlines()[-1]}; at most {peak_mb:.0f} MB")


def test_what_is_refused_is_set_aside_with_the_reason(elastic: Server, namespace: str, tmp_path: Path) -> None:
    bad: list[Record] = [
        record(1, labels="no map"),
        record(2, **{"": 1}),
        {"@timestamp": "2026-11-21T11:00:00.000000000Z", "message": "no id"},
        {"event.id": "x-1", "message": "no time"},
        record(3) | {"event.id": "é" * 300},
    ]
    done = played(elastic, namespace, [record(0), *bad, record(4)], tmp_path / "dead")
    assert (done.created, len(done.refused)) == (2, len(bad))
    dead = list(from_lines(tmp_path / "dead"))
    assert sorted(json.dumps(one["event"]) for one in dead) == sorted(json.dumps(one) for one in bad)
    why = {one["event"].get("event.id", "none"): one["reason"] for one in dead}
    assert "[labels]" in why[f"{LIFE}-{1:012d}"]
    assert "no event.id" in why["none"]
    assert "more than 512 bytes" in why["é" * 300]
    # Repaired by hand, they go the same way again.
    repaired = [one["event"] | {"labels": {}} for one in dead if one["event"].get("labels")]
    assert played(elastic, namespace, repaired, tmp_path / "dead").created == 1


def test_an_export_is_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"event.id": "a"}\n\n{"event.id": "b"}\n')
    assert [one["event.id"] for one in from_lines(file)] == ["a", "b"]
    file.write_text('{"event.id": "a"}\n{"event.id\n')
    with pytest.raises(QuestionError, match="line 2, is not JSON"):
        list(from_lines(file))
    file.write_text("[1]\n")
    with pytest.raises(QuestionError, match="line 1, is not a JSON object"):
        list(from_lines(file))


@contextmanager
def answering(answer: Callable[[list[str]], tuple[int, Any]]) -> Iterator[Settings]:
    """Settings for a server that answers each bulk of ids with what `answer` says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            lines = self.rfile.read(int(self.headers["content-length"])).splitlines()
            status, told = answer([json.loads(line)["create"]["_id"] for line in lines[::2]])
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/vnd.elasticsearch+json;compatible-with=8")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_PUT()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield load({"elastic_url": f"http://127.0.0.1:{server.server_address[1]}"}, {"HOME": "/home/ada"})
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def items(statuses: dict[str, int], kind: str = "some_exception") -> tuple[int, Any]:
    """A bulk answer of 200 whose items have these statuses."""
    told = [
        {
            "create": {"status": status}
            | ({"error": {"type": kind, "reason": f"because {name}"}} if status > 299 else {})
        }
        for name, status in statuses.items()
    ]
    return 200, {"errors": any(status > 299 for status in statuses.values()), "items": told}


def bulk(settings: Settings, numbers: range) -> tuple[Done, list[float]]:
    """Create these records, and how long it would have waited."""
    waits: list[float] = []
    done = Done()
    with connect(settings) as client:
        for lot in Bulk(client, settings, "logs-logship.events-x", waits.append).create(map(record, numbers)):
            done += lot
    return done, waits


def test_only_the_items_that_were_too_much_are_asked_again() -> None:
    asked: list[list[str]] = []

    def answer(ids: list[str]) -> tuple[int, Any]:
        asked.append(ids)
        first = len(asked) == 1
        return items({name: 429 if first and int(name[-1]) % 2 else 201 for name in ids})

    with answering(answer) as settings:
        done, waits = bulk(settings, range(10))
    assert (done.created, done.refused, waits) == (10, (), [0.5])
    assert [int(name[-1]) for name in asked[1]] == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("status", [429, 503])
def test_a_request_refused_as_a_whole_is_asked_again(status: int) -> None:
    answers = iter([(status, {"error": {"reason": "busy"}})] * 3)

    def answer(ids: list[str]) -> tuple[int, Any]:
        return next(answers, None) or items(dict.fromkeys(ids, 201))

    with answering(answer) as settings:
        assert bulk(settings, range(10))[0].created == 10


def test_a_request_that_is_too_large_is_halved_down_to_the_event_that_is() -> None:
    def answer(ids: list[str]) -> tuple[int, Any]:
        if any(name.endswith("7") for name in ids) or len(ids) > 4:
            return 413, {"error": {"reason": "too large"}}
        return items(dict.fromkeys(ids, 201))

    with answering(answer) as settings:
        done, _ = bulk(settings, range(10))
    assert done.created == 9
    assert [(one.status, one.record["event.sequence"]) for one in done.refused] == [(413, 7)]


def test_a_server_that_stays_busy_is_given_up_with_a_sentence() -> None:
    with (
        answering(lambda ids: items(dict.fromkeys(ids, 429))) as settings,
        pytest.raises(
            ElasticError, match=r"was too busy for 3 events, 10 times in 150 s: because .* Retry later"
        ),
    ):
        bulk(settings, range(3))


def test_a_write_block_is_waited_for_and_a_missing_right_is_not() -> None:
    answers = iter([403, 403])

    def blocked(ids: list[str]) -> tuple[int, Any]:
        return items(dict.fromkeys(ids, next(answers, 201)), "cluster_block_exception")

    with answering(blocked) as settings:
        assert bulk(settings, range(3))[0].created == 3
    with (
        answering(lambda ids: items(dict.fromkeys(ids, 403), "security_exception")) as settings,
        pytest.raises(ElasticError, match="not allowed to create events: because"),
    ):
        bulk(settings, range(3))
