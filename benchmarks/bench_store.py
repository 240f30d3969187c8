"""Measure the store: ingest, acknowledgements under load, bytes, queries, memory.

    python benchmarks/bench_store.py [--records 200000] [--keep DIR] [--alone]

The same seeded records (events.py) go through `Store.append` (types normalised, event ids stored once, durable on return) and
into SQLite with FTS5 and a DuckDB file, in the same run (`--alone`: without those). Every part is a separate process. Rates
are records per second of wall time. CPU is counted by the kernel, per record, and is the number to compare on a busy
machine; "on a core" excludes the time in which the appending thread was ready and had no core. Queries: first in a new process,
then the median of five."""

import argparse
import itertools
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ormsgpack
import others
from events import BEGIN_NS, Entry, Shop
from machine import median, table
from questions import QUESTIONS

from logship.store.write.store import Store

BATCH = 5_000
CALM_PER_SECOND, CALM_BATCH, CALM_SECONDS = 5_000, 500, 20
RATE_TARGET, RATE_AIM, BYTES_TARGET, ACK_TARGET_MS, WORST_TARGET_S, MEMORY_TARGET_MB = 60_000, 130_000, 80, 50, 0.6, 350
LENGTH = struct.Struct("<I")


def write_events(path: Path, records: int, own_request_ids: float) -> None:
    """Write the records once, packed, so that generating them is not measured."""
    with path.open("wb") as file:
        for batch in Shop(own_request_ids=own_request_ids).batches(records, BATCH):
            packed = ormsgpack.packb(batch)
            file.write(LENGTH.pack(len(packed)) + packed)


def read_events(path: Path) -> Iterator[list[Entry]]:
    with path.open("rb") as file:
        while head := file.read(LENGTH.size):
            yield [(time_ns, record) for time_ns, record in ormsgpack.unpackb(file.read(LENGTH.unpack(head)[0]))]


class Clock:
    """Wall and CPU time of one thread, summed over turns."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.turns: list[float] = []

    def __enter__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.thread_time()

    def __exit__(self, *_: object) -> None:
        self.turns.append(time.perf_counter() - self._wall)
        self.wall += self.turns[-1]
        self.cpu += time.thread_time() - self._cpu


def ingest(name: str, events: Path, directory: Path, batch: int = BATCH) -> dict[str, float]:
    """Append everything at full speed, then do all sealing and merging."""
    store, clock, records = others.OPEN[name](directory), Clock(), 0
    began, cpu = time.perf_counter(), time.process_time()
    decoding = Clock()
    source = read_events(events)
    while True:
        with decoding:
            entries = next(source, None)
        if entries is None:
            break
        for at in range(0, len(entries), batch):
            with clock:
                store.append(entries[at : at + batch])
        records += len(entries)
    appended = time.perf_counter() - began
    store.settle()
    settled = time.perf_counter() - began
    cpu = time.process_time() - cpu - decoding.cpu
    store.close()
    return {
        "records": records, "rate": records / clock.wall, "sustained": records / appended, "settled": records / settled,
        "append_us": clock.cpu / records * 1e6, "all_us": cpu / records * 1e6, "p50": median(clock.turns) * 1e3,
        "longest": max(clock.turns) * 1e3, "bytes": others.size_bytes(directory) / records, "rss": rss_mb(),
    }  # fmt: skip


def calm(events: Path, directory: Path) -> dict[str, float]:
    """Append 5,000 records per second to the existing store, while another process queries without a pause."""
    store, turns, alone = Store(directory), list[float](), list[float]()
    asking = subprocess.Popen(
        [sys.executable, __file__, "--part", "client", "--keep", str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert asking.stdout is not None
    asking.stdout.readline()
    try:
        fresh = never_ending(events)
        due, cpu = time.perf_counter(), time.process_time()
        until = due + CALM_SECONDS
        records = 0
        shift_ns = time.time_ns() - BEGIN_NS
        while due < until:
            entries = [(time_ns + shift_ns, record) for time_ns, record in itertools.islice(fresh, CALM_BATCH)]
            due += CALM_BATCH / CALM_PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            began, waited = time.perf_counter(), waited_seconds()
            store.append(entries)
            turns.append(time.perf_counter() - began)
            alone.append(turns[-1] - (waited_seconds() - waited))
            records += CALM_BATCH
        cpu = time.process_time() - cpu
    finally:
        asking.terminate()
        answered = int(asking.communicate()[0].split()[-1])
    store.close()
    turns.sort()
    alone.sort()
    return {
        "own_p99": alone[int(len(alone) * 0.99)] * 1e3,
        "p50": median(turns) * 1e3, "p99": turns[int(len(turns) * 0.99)] * 1e3, "longest": turns[-1] * 1e3,
        "questions": answered / CALM_SECONDS, "core": cpu / CALM_SECONDS, "rss": rss_mb(),
    }  # fmt: skip


def never_ending(events: Path) -> Iterator[Entry]:
    """Yield the records repeatedly, each time as those of other runs."""
    for digit in itertools.cycle("0123456789"):
        for batch in read_events(events):
            for time_ns, record in batch:
                record["event.id"] = digit + record["event.id"][1:]
                record["service.ephemeral_id"] = digit + record["service.ephemeral_id"][1:]
                yield time_ns, record


def client(directory: Path) -> None:
    """Query without a pause until terminated, and print the number of results."""
    import signal

    source, answered = others.Asked(directory), 0
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("ready", flush=True)
    chosen = [QUESTIONS[number] for number in ("01", "02", "03", "07", "09", "12", "13")]
    while not stop.is_set():
        chosen[answered % len(chosen)].ask(source.reader, source.known)
        answered += 1
    print(answered)


def questions(name: str, directory: Path) -> dict[str, Any]:
    """Return per query the milliseconds (first, warm), the rows, and the CPU milliseconds of a warm one, all threads."""
    source = others.READ[name](directory)
    found, used = {}, {}
    for number in QUESTIONS:
        turns, cpu = [], []
        for _ in range(6 if name == "logship" else 3):
            began, before = time.perf_counter(), time.process_time()
            rows = others.ASK[name](source, number)
            turns.append((time.perf_counter() - began) * 1e3)
            cpu.append((time.process_time() - before) * 1e3)
        found[number], used[number] = (turns[0], median(turns[1:]), rows), median(cpu[1:])
    return {"questions": found, "cpu": used, "rss": rss_mb()}


def waited_seconds() -> float:
    """Return how long this thread was ready to run without a core."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def part(*words: object) -> Any:
    """Run a part in a separate process and return its output."""
    command = [sys.executable, __file__, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def report(records: int, folder: Path, alone: bool) -> None:
    names = ["logship"] if alone else list(others.OPEN)
    events = folder / "events.bin"
    began = time.perf_counter()
    write_events(events, records, 0.1)
    size, seconds = events.stat().st_size / records, time.perf_counter() - began
    print(f"{records:,} records of {size:.0f} bytes as msgpack, made in {seconds:.0f} s; load {os.getloadavg()[0]:.1f}")
    taken = {name: part("--part", "ingest", "--name", name, "--events", events, "--keep", folder / name) for name in names}
    columns = "store,in append,sustained,until settled,append us,all CPU us,ack p50 ms,longest ms,bytes,MB".split(",")
    keys = ("rate", "sustained", "settled", "append_us", "all_us", "p50", "longest", "bytes", "rss")
    forms = ("{:,.0f}",) * 3 + ("{:.1f}",) * 2 + ("{:.0f}",) * 2 + ("{:.1f}", "{:.0f}")
    rows = [[name, *(form.format(taken[name][key]) for key, form in zip(keys, forms, strict=True))] for name in names]
    table(f"Ingest, batches of {BATCH:,}, durable on return: records per second, and microseconds per record", columns, rows)
    answers = {name: part("--part", "questions", "--name", name, "--keep", folder / name) for name in names}
    rows = []
    for number, question in QUESTIONS.items():
        times = [answers[name]["questions"][number] for name in names]
        cells = [f"{first:.0f} / {warm:.0f}" if held is not None else "-" for first, warm, held in times]
        rows.append([f"{number} {question.sentence}", *cells, f"{answers['logship']['cpu'][number]:.0f}", f"{times[0][2]:,}"])
    rows.append(["peak MB", *(f"{answers[name]['rss']:.0f}" for name in names), "", ""])
    table("Queries, milliseconds: first / warm, and CPU of logship's store", ["question", *names, "CPU", "rows"], rows)
    own = part("--part", "calm", "--events", events, "--keep", folder / "logship")
    table(
        f"{CALM_PER_SECOND:,} records per second in batches of {CALM_BATCH}, with a client that queries continuously",
        ["ack p50 ms", "p99", "p99 on a core", "longest", "queries per second", "cores", "MB"],
        [[f"{own[key]:.1f}" for key in ("p50", "p99", "own_p99", "longest", "questions", "core", "rss")]],
    )
    worst = max(warm for _, warm, _ in answers["logship"]["questions"].values()) / 1000
    busy = max(answers["logship"]["cpu"].values()) / 1000
    memory = max(own["rss"], answers["logship"]["rss"])
    mine = taken["logship"]
    a_core = 1e6 / mine["append_us"]
    print("\nVerdicts")
    for met, what in (
        (a_core >= RATE_TARGET, f"{a_core:,.0f} records/s per core through append, target {RATE_TARGET:,}, aim {RATE_AIM:,}"),
        (mine["bytes"] <= BYTES_TARGET, f"{mine['bytes']:.1f} bytes per record, target {BYTES_TARGET}"),
        (own["p99"] <= ACK_TARGET_MS, f"ack p99 {own['p99']:.1f} ms at {CALM_PER_SECOND:,}/s, target {ACK_TARGET_MS}"),
        (own["own_p99"] <= ACK_TARGET_MS, f"the same on a core {own['own_p99']:.1f} ms"),
        (worst <= WORST_TARGET_S, f"slowest warm query {worst:.2f} s, {busy:.2f} of CPU, target {WORST_TARGET_S} at 5,000,000"),
        (memory <= MEMORY_TARGET_MB, f"{memory:.0f} MB, target {MEMORY_TARGET_MB} (ingest at full speed: {mine['rss']:.0f})"),
    ):
        print(f"  {'met   ' if met else 'MISSED'} {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the store.")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--keep", type=Path, help="Directory for the stores, which are kept")
    parser.add_argument("--alone", action="store_true", help="Without SQLite and DuckDB")
    for hidden in ("--part", "--name", "--events"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    parts: dict[str, Callable[[], Any]] = {
        "ingest": lambda: ingest(given.name, Path(given.events), given.keep),
        "calm": lambda: calm(Path(given.events), given.keep),
        "questions": lambda: questions(given.name, given.keep),
    }
    if given.part == "client":
        return client(given.keep)
    if given.part:
        return print(json.dumps(parts[given.part]()))
    folder = given.keep or Path(tempfile.mkdtemp(prefix="logship-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        report(given.records, folder, given.alone)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return None


if __name__ == "__main__":
    main()
