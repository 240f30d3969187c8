"""Compare `logship replay` with `elasticsearch.helpers.streaming_bulk`: moving events into Elasticsearch.

    python benchmarks/bench_replay.py [--records 100000] [--rounds 3]

The same records (events.py) are in an NDJSON export and in a store. Each method is a separate process with one thread and writes
into its own stream of the same real Elasticsearch (1 GB heap, one shard, two cores shared with all else), in turns. Rates
are events per second of wall time. CPU is that of the client, per event; memory is its peak."""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from elastic_node import cpu_seconds, elasticsearch, settings_of, stream
from elasticsearch.helpers import streaming_bulk
from elasticsearch.serializer import OrjsonSerializer
from events import Shop
from machine import median, table

from logship.elastic.client import connect
from logship.elastic.replay import from_lines, from_source, replay
from logship.search.query import Query, Record
from logship.search.times import rfc3339
from logship.settings import Settings, load
from logship.store.read.reader import Reader
from logship.store.write.store import Store

BATCH = 5_000


def write(records: int, folder: Path) -> None:
    """Write the records as an export and as a store."""
    store = Store(folder / "store")
    with (folder / "export.ndjson").open("wb") as file:
        for batch in Shop().batches(records, BATCH):
            store.append(batch)
            for time_ns, record in batch:
                line = {"@timestamp": rfc3339(time_ns), **record}
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    store.seal()
    store.close()


def by_helper(settings: Settings, records: Iterator[Record]) -> int:
    """Copy without logship: no ids checked, no response stored, no waiting."""
    actions = ({"_op_type": "create", "_id": one["event.id"], "_source": one} for one in records)
    with connect(settings) as client:
        client.transport.serializers.serializers["application/json"] = OrjsonSerializer()
        index = stream(settings.elastic_namespace)
        return sum(ok for ok, _ in streaming_bulk(client, actions, index=index, chunk_size=1000, raise_on_error=False))


def by_replay(settings: Settings, records: Iterator[Record]) -> int:
    with connect(settings) as client, tempfile.TemporaryDirectory() as folder:
        return sum(done.created for done in replay(client, settings, records, Path(folder) / "dead"))


def from_store(folder: Path) -> Iterator[Record]:
    return from_source(Reader(folder / "store"), Query())


WAYS: dict[str, Callable[[Settings, Path], int]] = {
    "streaming_bulk alone, from a file": lambda settings, folder: by_helper(
        settings, from_lines(folder / "export.ndjson")
    ),
    "logship replay, from a file": lambda settings, folder: by_replay(settings, from_lines(folder / "export.ndjson")),
    "logship replay, from a store": lambda settings, folder: by_replay(settings, from_store(folder)),
}


def one(way: str, folder: Path, url: str, namespace: str) -> None:
    """Run one method in this process."""
    settings = load({"elastic_url": url, "elastic_namespace": namespace})
    began, cpu = time.perf_counter(), time.process_time()
    created = WAYS[way](settings, folder)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"created": created, "rate": created / wall, "cpu": cpu / created * 1e6, "rss": rss}))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare ways to move events into Elasticsearch.")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    for hidden in ("--way", "--folder", "--url", "--namespace"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        return one(given.way, Path(given.folder), given.url, given.namespace)
    with tempfile.TemporaryDirectory(prefix="logship-bench-", dir="/var/tmp") as name, elasticsearch() as elastic:
        write(given.records, Path(name))
        taken: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for turn in range(given.rounds + 1):
            for number, way in enumerate(WAYS):
                namespace = f"bench{turn}{number}"
                server = cpu_seconds(elastic)
                words = ["--way", way, "--folder", name, "--url", settings_of(elastic, namespace).elastic_url]
                told = subprocess.run(
                    [sys.executable, __file__, *words, "--namespace", namespace], stdout=subprocess.PIPE, check=True
                )
                found = json.loads(told.stdout)
                assert found["created"] == elastic.count(stream(namespace)) == given.records, found
                found["server"] = (cpu_seconds(elastic) - server) / given.records * 1e6
                if turn or not given.rounds:  # the first round warms the server
                    taken[way].append(found)
    rows = []
    base = median([one["rate"] for one in taken[next(iter(WAYS))]])
    for way, turns in taken.items():
        rate, cpu, rss, server = (median([one[key] for one in turns]) for key in ("rate", "cpu", "rss", "server"))
        rows.append([way, f"{rate:,.0f}", f"{rate / base:.2f}", f"{cpu:.1f}", f"{server:.1f}", f"{rss:.0f}"])
    columns = ["way", "events/s", "of the first", "client us", "server us", "peak MB"]
    table(f"{given.records:,} events into Elasticsearch, one thread, medians of {max(given.rounds, 1)}", columns, rows)
    return None


if __name__ == "__main__":
    main()
