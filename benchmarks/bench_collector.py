"""Measure the collector: throughput from the wire to the store, and the delay until a request can be found.

    python benchmarks/bench_collector.py [--records 200000] [--seconds 10]

Throughput: eight connections send prepared frames of 500 records to `logship up`, each with at most eight unacknowledged
frames. CPU is the time that the kernel counts for the collector's process: decoding, types, ids, writing and syncing until the
last acknowledgement, and then including all sealing and merging.

Delay: worker processes handle 2,000 requests per second in total, without a server, and ship them to `logship up`. A reader in
another process follows the store's directory with `tail`. The delay is from the end of a request, as in its event, until the
reader has the event."""

import argparse
import contextlib
import json
import os
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from events import Entry, Shop
from machine import HERE, environment, free_port, median, table

from logship.event.entry import TAG, pack
from logship.search.query import Query
from logship.search.times import from_rfc3339
from logship.store.files import read_listing
from logship.store.read.reader import Reader
from logship.store.write.merging import mergeable
from logship.wire.receive import Decoder
from logship.wire.send import AckReader, encode_batch, new_chunk

SENDERS, FRAME_RECORDS, WINDOW_FRAMES = 8, 500, 8
WORKERS, REQUESTS_PER_SECOND, STEP_SECONDS, WARM_SECONDS = 2, 2_000, 0.01, 2.0
LOOK_SECONDS = 0.05
SEARCHABLE_TARGET_MS = 1_000
LENGTH = struct.Struct("<I")


def frame(entries: list[Entry], life: str) -> bytes:
    """Return one PackedForward frame of these events, as those of another run."""
    packed = []
    for time_ns, record in entries:
        record["service.ephemeral_id"] = life
        record["event.id"] = f"{life}-{record['event.id'][25:]}"
        packed.append(pack(time_ns, record))
    return encode_batch(TAG, b"".join(packed), new_chunk(), len(packed))


def write_frames(folder: Path, records: int) -> tuple[int, int]:
    """Write a file of frames for each sender; return the total number of records and bytes."""
    each, size = records // SENDERS, 0
    for sender in range(SENDERS):
        # Each worker of the shop is a separate run in each file.
        lives = {life: secrets.token_hex(12) for life in {one["service.ephemeral_id"] for one in Shop().who}}
        with (folder / f"{sender}.frames").open("wb") as file:
            for batch in Shop(seed=sender).batches(each, FRAME_RECORDS * 6):
                for old, new in lives.items():
                    own = [entry for entry in batch if entry[1]["service.ephemeral_id"] == old]
                    for at in range(0, len(own), FRAME_RECORDS):
                        data = frame(own[at : at + FRAME_RECORDS], new)
                        size += file.write(LENGTH.pack(len(data))) + file.write(data) - LENGTH.size
    return each * SENDERS, size


def read_frames(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while head := file.read(LENGTH.size):
            yield file.read(LENGTH.unpack(head)[0])


def send(path: Path, port: int, waits: list[float]) -> None:
    """Send a file's frames and return when all of them are acknowledged."""
    sent, acks = [], AckReader()
    with socket.create_connection(("127.0.0.1", port)) as connection:

        def take() -> None:
            waits.extend(time.perf_counter() - sent.pop(0) for _ in acks.feed(connection.recv(65536)))

        for data in read_frames(path):
            while len(sent) >= WINDOW_FRAMES:
                take()
            sent.append(time.perf_counter())
            connection.sendall(data)
        while sent:
            take()


@contextlib.contextmanager
def collector(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    words = [sys.executable, "-m", "logship", "up", "--forward", f"127.0.0.1:{port}", "--http", "off"]
    process = subprocess.Popen([*words, "--dir", str(folder / "store")], env=environment(folder, port), stderr=subprocess.PIPE)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None, process.communicate()[1].decode()
            time.sleep(0.05)
        yield process, port
    finally:
        process.terminate()
        process.communicate()


def used_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, including its ended threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def decoding_us(path: Path) -> float:
    """Return the time to decode a record, without storing it."""
    decoder, records, began = Decoder(), 0, time.thread_time()
    for data in read_frames(path):
        records += sum(len(batch.entries) for batch in decoder.feed(data))
    return (time.thread_time() - began) / records * 1e6


def full_speed(folder: Path, records: int) -> dict[str, float]:
    records, size = write_frames(folder, records)
    with collector(folder) as (process, port):
        waits: list[float] = []
        senders = [threading.Thread(target=send, args=(path, port, waits)) for path in sorted(folder.glob("*.frames"))]
        before, began = used_seconds(process.pid), time.perf_counter()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        wall, cpu = time.perf_counter() - began, used_seconds(process.pid) - before
        settle(folder / "store")
        whole = used_seconds(process.pid) - before
        reader = Reader(folder / "store")
        stored = reader.count(Query())
        reader.close()
        assert stored == records, f"{records} were acknowledged and {stored} are stored"
        waits.sort()
        return {
            "bytes": size / records, "rate": records / wall, "a_core": records / cpu, "us": cpu / records * 1e6,
            "decode_us": decoding_us(folder / "0.frames"), "whole_us": whole / records * 1e6,
            "p50": median(waits) * 1e3, "p99": waits[int(len(waits) * 0.99)] * 1e3, "longest": waits[-1] * 1e3,
            "mb": peak_mb(process.pid),
        }  # fmt: skip


def settle(store: Path) -> None:
    """Return when nothing is left to merge and almost nothing to seal."""
    while len((found := read_listing(store)).logs) > 1 or mergeable(found.segments):
        time.sleep(0.1)


def work(seconds: float, per_second: float) -> None:
    """Run a worker: this many requests per second through the middleware, without a server."""
    import apps
    from tight import drive

    import logship

    logship.configure()
    application = logship.RequestLog(apps.bare)
    due, until, owed = time.perf_counter(), time.perf_counter() + seconds, 0.0
    while due < until:
        due += STEP_SECONDS
        owed += per_second * STEP_SECONDS
        time.sleep(max(0.0, due - time.perf_counter()))
        for _ in range(int(owed)):
            drive(application)
        owed -= int(owed)
    logship.shutdown(20)


def watch(store: Path, seconds: float) -> None:
    """Follow the store and print the age of events in ns when they were found, without those of the first seconds."""
    reader = Reader(store)
    key = reader.tail(Query(), None).next
    ages: list[int] = []
    print("ready", flush=True)
    warm = until = 0.0
    while not until or time.monotonic() < until:
        rows = reader.tail(Query(), key, 20_000)
        key, now_ns = rows.next, time.time_ns()
        found = [now_ns - from_rfc3339(one["@timestamp"]) for one in rows.records if one.get("event.action") == "http-request"]
        if found and not until:
            warm, until = time.monotonic() + WARM_SECONDS, time.monotonic() + seconds
        if time.monotonic() > warm:
            ages += found
        time.sleep(LOOK_SECONDS)
    print(json.dumps(ages))


def searchable(folder: Path, seconds: float) -> dict[str, float]:
    with collector(folder) as (process, port):
        words = [sys.executable, __file__, "--seconds", str(seconds)]
        watcher = subprocess.Popen([*words, "--watch", str(folder / "store")], stdout=subprocess.PIPE, text=True)
        assert watcher.stdout is not None
        watcher.stdout.readline()
        before, began = used_seconds(process.pid), time.perf_counter()
        workers = [
            subprocess.Popen([*words, "--work", str(REQUESTS_PER_SECOND / WORKERS)], env=environment(folder, port), cwd=HERE)
            for _ in range(WORKERS)
        ]
        ages = sorted(json.loads(watcher.stdout.readline()))
        cores = (used_seconds(process.pid) - before) / (time.perf_counter() - began)
        for one in (watcher, *workers):
            one.wait()
    ms = [age / 1e6 for age in ages]
    return {
        "events": len(ms), "per_second": len(ms) / (seconds - WARM_SECONDS), "p50": median(ms),
        "p99": ms[int(len(ms) * 0.99)], "longest": ms[-1], "cores": cores,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the collector's throughput and its delay until a request is found.")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--work", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--watch", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(given.seconds, given.work)
    if given.watch:
        return watch(given.watch, given.seconds)
    scratch = os.environ.get("TMPDIR", "/var/tmp")  # a disk, because syncing has no cost in memory
    with tempfile.TemporaryDirectory(prefix="logship-bench-", dir=scratch) as folder:
        fast = full_speed(Path(folder), given.records)
    table(
        f"{given.records:,} records of {fast['bytes']:.0f} bytes over {SENDERS} connections at full speed",
        ["records/s", "CPU us", "decoding", "records/s per core", "including sealing", "ack p50 ms", "p99", "longest", "MB"],
        [[f"{fast['rate']:,.0f}", *(f"{fast[key]:.1f}" for key in ("us", "decode_us")), f"{fast['a_core']:,.0f}",
          *(f"{fast[key]:.0f}" for key in ("whole_us", "p50", "p99", "longest", "mb"))]],
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="logship-bench-", dir=scratch) as folder:
        found = searchable(Path(folder), given.seconds)
    table(
        f"{REQUESTS_PER_SECOND:,} requests per second from {WORKERS} workers: delay from a request's end until it is found",
        ["requests/s found", "events", "p50 ms", "p99", "longest", "collector cores"],
        [[*(f"{found[key]:,.0f}" for key in ("per_second", "events", "p50", "p99", "longest")), f"{found['cores']:.2f}"]],
    )
    print("\nVerdicts")
    met = "met   " if found["p99"] <= SEARCHABLE_TARGET_MS else "MISSED"
    print(f"         {fast['a_core']:,.0f} records/s per core through decoding, types and store, no target")
    print(f"  {met} p99 {found['p99']:.0f} ms until found, target {SEARCHABLE_TARGET_MS:,}")
    return None


if __name__ == "__main__":
    main()
