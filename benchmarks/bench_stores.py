"""Compare the embedded store with Elasticsearch: the same events in both, in one run.

    python benchmarks/bench_stores.py [--records 200000]

The records (events.py) go into the store with `Store.append`, durable on return, and from it with `logship replay` into a real
Elasticsearch (1 GB heap, one shard, logship's templates) on the same cores. Then the fourteen queries of questions.py run on
both through `Source`, as the command line and the page do; both must return the same number of rows. Bytes are those of the
directory, and of the index before and after it is merged into one segment."""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from elastic_node import cpu_seconds, elasticsearch, settings_of, stream
from events import Shop
from machine import median, table
from others import Ours
from questions import QUESTIONS, about

from logship.elastic.client import connect
from logship.elastic.replay import from_source, replay
from logship.elastic.source import ElasticSource
from logship.search.query import Query, Source
from logship.settings import load
from logship.store.read.reader import Reader
from tests.elastic.node import Server

BATCH = 5_000
NAMESPACE = "bench"
WARM = 5
CACHED_SECONDS = 11  # Elasticsearch caches the size for this long


def fill_store(folder: Path, records: int) -> dict[str, float]:
    """Return events per second while appending, and until everything is sealed and merged."""
    store, wall, cpu = Ours(folder / "store"), 0.0, 0.0
    for batch in Shop().batches(records, BATCH):
        began, used = time.perf_counter(), time.process_time()
        store.append(batch)
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
    began, used = time.perf_counter(), time.process_time()
    store.settle()
    settled, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
    store.close()
    size = sum(file.stat().st_size for file in (folder / "store").rglob("*") if file.is_file())
    return {
        "rate": records / wall,
        "settled": records / settled,
        "cpu": cpu / records * 1e6,
        "bytes": size / records,
        "rss": rss(),
    }


def fill_elastic(folder: Path, url: str) -> dict[str, float]:
    """Return the same for replay."""
    settings = load({"elastic_url": url, "elastic_namespace": NAMESPACE})
    reader = Reader(folder / "store")
    began, cpu = time.perf_counter(), time.process_time()
    with connect(settings) as client:
        created = sum(done.created for done in replay(client, settings, from_source(reader, Query()), folder / "dead"))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"created": created, "rate": created / wall, "cpu": cpu / created * 1e6, "rss": rss()}


def ask(source: Source) -> dict[str, tuple[float, float, int]]:
    """Return per query the milliseconds (first, median of the warm ones) and the rows."""
    known, found = about(source), {}
    for number, question in QUESTIONS.items():
        turns = []
        for _ in range(1 + WARM):
            began = time.perf_counter()
            rows = question.ask(source, known)
            turns.append((time.perf_counter() - began) * 1e3)
        found[number] = (turns[0], median(turns[1:]), rows)
    return found


def rss() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def index_bytes(elastic: Server) -> float:
    """Return the bytes of the index on disk."""
    time.sleep(CACHED_SECONDS)
    told = elastic.must("GET", f"/{stream(NAMESPACE)}/_stats/store")
    return float(told["_all"]["primaries"]["store"]["size_in_bytes"])


def part(*words: object) -> Any:
    """Run a part in a separate process and return its output."""
    done = subprocess.run([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def report(records: int, folder: Path, elastic: Server) -> None:
    common = ("--records", records, "--folder", folder, "--url", settings_of(elastic, NAMESPACE).elastic_url)
    ours = part("--part", "store", *common)
    server = cpu_seconds(elastic)
    theirs = part("--part", "elastic", *common)
    server = (cpu_seconds(elastic) - server) / records * 1e6
    found = elastic.count(stream(NAMESPACE))
    assert found == theirs["created"], (found, theirs)
    written = index_bytes(elastic) / found
    rows = [
        [
            "embedded store",
            f"{ours['rate']:,.0f}",
            f"{ours['settled']:,.0f}",
            f"{ours['cpu']:.1f}",
            "-",
            f"{ours['bytes']:.0f}",
            "-",
        ],
        ["Elasticsearch", f"{theirs['rate']:,.0f}", "-", f"{theirs['cpu']:.1f}", f"{server:.1f}", f"{written:.0f}"],
    ]
    answers = {"store": part("--part", "ask-store", *common), "elastic": part("--part", "ask-elastic", *common)}
    elastic.must("POST", f"/{stream(NAMESPACE)}/_forcemerge?max_num_segments=1")
    rows[1].append(f"{index_bytes(elastic) / found:.0f}")
    columns = ["store", "events/s", "until settled", "client us", "server us", "bytes/event", "merged"]
    table(f"{found:,} events in both, batches of {BATCH:,} and 1,000", columns, rows)
    lines = []
    for number, question in QUESTIONS.items():
        mine, its = answers["store"][number], answers["elastic"][number]
        same = f"{mine[2]:,}" if mine[2] == its[2] else f"{mine[2]:,} / {its[2]:,}"
        lines.append(
            [
                f"{number} {question.sentence}",
                *(f"{first:.0f} / {warm:.0f}" for first, warm, _ in (mine, its)),
                f"{mine[1] / max(its[1], 0.001):.2f}",
                same,
            ]
        )
    table("Queries, milliseconds: first / warm", ["question", "store", "Elasticsearch", "store:ES", "rows"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the embedded store with Elasticsearch.")
    parser.add_argument("--records", type=int, default=200_000)
    for hidden in ("--part", "--folder", "--url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        folder = Path(given.folder)
        settings = load({"elastic_url": given.url, "elastic_namespace": NAMESPACE})
        parts = {
            "store": lambda: fill_store(folder, given.records),
            "elastic": lambda: fill_elastic(folder, given.url),
            "ask-store": lambda: ask(Reader(folder / "store")),
            "ask-elastic": lambda: ask(ElasticSource(settings)),
        }
        return print(json.dumps(parts[given.part]()))
    with tempfile.TemporaryDirectory(prefix="logship-bench-", dir="/var/tmp") as name, elasticsearch() as elastic:
        report(given.records, Path(name), elastic)
    return None


if __name__ == "__main__":
    main()
