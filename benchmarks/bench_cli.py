"""Measure `logship search` from a cold start on a store of 1 M events, and the delay of `logship tail`.

    python benchmarks/bench_cli.py [--events N] [--store DIR] [--rounds N] [--tail-only]

Cold: the store's files are evicted from the page cache before each run, and no other load runs; warm: they are cached. The
start-up times of Python and of each needed package are listed separately. Events of the tail pass the whole pipeline: logged by
a worker, journal, Forward, store, HTTP, a line on stdout. Targets: a search on 1 M events takes less than 0.7 s; the tail
shows 99 % of events within a second."""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from logship.store.write.store import Store

CLAIM_SECONDS, TAIL_CLAIM_SECONDS = 0.7, 1.0
TAILED, STARTING, TAIL_DEADLINE_SECONDS = 350, 50, 120
WORKER = """
import logship, random, time
logship.configure(service="tailed")
log = logship.get_logger()
for number in range({events}):
    log.info("seen", at_ns=str(time.time_ns()))
    time.sleep(random.random() * 0.1)
logship.flush(10)
"""
PYTHON = sys.executable
ROUTES = [f"/api/v1/{name}{rest}" for name in ("orders", "users", "items", "carts", "search") for rest in ("", "/{id}")]
LIVES = [f"{number:024x}" for number in range(0xA0, 0xA4)]
QUESTIONS = {
    "search, the newest 100": ["search"],
    "search, status >= 500": ["search", "http.response.status_code >= 500"],
    "search, one route, slot 2": ["search", 'http.route: "/api/v1/orders/{id}"', "--slot", "2"],
    "search, one request id": ["search", 'http.request.id: "{request}"'],
    "search, a word": ["search", "message: timeout"],
    "search, no match": ["search", "http.response.status_code: 418"],
    "count": ["count"],
    "top http.route": ["top", "http.route"],
    "workers": ["workers", "--since", "2026-01-01"],
    "trace of one request": ["trace", "{request}"],
}
PARTS = {
    "python itself": [PYTHON, "-c", "pass"],
    "+ click": [PYTHON, "-c", "import click"],
    "+ duckdb": [PYTHON, "-c", "import duckdb"],
    "logship --version": [PYTHON, "-m", "logship", "--version"],
}


def fill(directory: Path, events: int) -> None:
    """Write a store with this many events: a day of four workers."""
    chance, numbers = random.Random(20261121), [0] * len(LIVES)
    step_ns, now_ns = 86_400 * 10**9 // events, time.time_ns()
    with Store(directory) as store:
        for start in range(0, events, 5_000):
            batch = []
            for number in range(start, min(start + 5_000, events)):
                slot = chance.choices(range(4), (3, 3, 4, 6))[0]
                numbers[slot] += 1
                batch.append((now_ns - (events - number) * step_ns, event(number, slot, numbers[slot], chance)))
            store.append(batch)
        store.seal(600)


def event(number: int, slot: int, sequence: int, chance: random.Random) -> dict[str, object]:
    route, draw = chance.choice(ROUTES), chance.random()
    status = 500 if draw < 0.01 else 404 if draw < 0.04 else 200
    path, took = route.replace("{id}", str(chance.randrange(10**5))), int(chance.lognormvariate(16, 0.8))
    why = " upstream timeout" if status == 500 and draw < 0.002 else ""
    return {
        "event.id": f"{LIVES[slot]}-{sequence:012d}", "event.sequence": sequence, "service.ephemeral_id": LIVES[slot],
        "event.dataset": "logship.request", "event.action": "http-request", "event.duration": took,
        "event.outcome": "failure" if status >= 500 else "success", "log.level": "error" if status >= 500 else "info",
        "message": f"GET {path} {status} {took // 10**6}ms{why}", "service.name": "shop", "host.name": "web-1",
        "service.node.name": f"web-1/8000/w{slot}", "logship.worker.slot": slot, "logship.worker.generation": 1,
        "process.pid": 4100 + slot, "http.request.method": "GET", "http.route": route, "url.path": path,
        "http.request.id": f"{number * 2654435761 % 2**64:032x}", "http.response.status_code": status,
        "http.response.body.bytes": chance.randrange(80, 20_000), "client.ip": f"10.{slot}.{number % 200}.7",
        "trace.id": f"{chance.getrandbits(128):032x}", "span.id": f"{chance.getrandbits(64):016x}",
        "labels": {"tenant": f"tenant-{number % 200}"},
    }  # fmt: skip


def run(command: Sequence[str], store: Path | None) -> tuple[float, float]:
    """Return seconds of wall time and of CPU. With `store`, its files are first evicted from the page cache."""
    for path in store.iterdir() if store else ():
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if told.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {told.returncode}: {told.stderr}")
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def tail() -> float:
    """Print the delays between logging and display of events; return p99 in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        around = {name: value for name, value in os.environ.items() if not name.startswith("LOGSHIP_")}
        around |= {"LOGSHIP_STATE_DIR": folder, "LOGSHIP_CONSOLE": "off"}
        words = [PYTHON, "-m", "logship", "up", "--forward", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json"]
        with subprocess.Popen(words, env=around, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as up:
            assert up.stdout is not None
            told = json.loads(up.stdout.readline())
            around["LOGSHIP_AGENT"] = told["forward"][0]
            words = [PYTHON, "-m", "logship", "tail", "message: seen", "--json", "-n", "1000", "--source", told["http"]]
            with subprocess.Popen(words, env=around, stdout=subprocess.PIPE) as reading:
                assert reading.stdout is not None
                worker = subprocess.Popen([PYTHON, "-c", WORKER.format(events=TAILED)], env=around)
                late = []
                ending = threading.Timer(TAIL_DEADLINE_SECONDS, reading.kill)
                ending.start()
                try:
                    while len(late) < TAILED:
                        if not (line := reading.stdout.readline()):
                            raise SystemExit(f"tail: {TAILED - len(late)} of {TAILED} events were never shown")
                        record = json.loads(line)
                        late.append((time.time_ns() - int(record["labels"]["at_ns"])) / 1e9)
                finally:
                    ending.cancel()
                    worker.wait()
                    reading.terminate()
                    up.terminate()
    # The first events were logged while the tail was starting.
    late = sorted(late[STARTING:])
    p50, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
    print(
        f"tail: {len(late)} events were shown after {p50:.2f} s (p50), {p99:.2f} s (p99), {late[-1]:.2f} s (max)"
    )
    return p99


def row(name: str, cold: list[tuple[float, float]], warm: list[tuple[float, float]]) -> str:
    walls = [wall for wall, _ in cold]
    cpu = statistics.median(cpu for _, cpu in cold)
    middle = statistics.median(wall for wall, _ in warm)
    return f"{name:28} {statistics.median(walls):9.3f} {max(walls):9.3f} {middle:9.3f} {cpu:9.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--store", type=Path, help="Directory of the store; it is kept, and used if it exists")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tail-only", action="store_true")
    asked = parser.parse_args()
    late = tail() > TAIL_CLAIM_SECONDS
    if asked.tail_only:
        return int(late)
    with tempfile.TemporaryDirectory() as folder:
        store = asked.store or Path(folder) / "store"
        if not store.is_dir():
            began = time.perf_counter()
            fill(store, asked.events)
            print(f"{asked.events:,} events stored in {time.perf_counter() - began:.0f} s")
        size = sum(path.stat().st_size for path in store.glob("*.parquet"))
        print(f"{size / 2**20:.0f} MiB in {len(list(store.glob('*.parquet')))} segments, {os.cpu_count()} cores\n")
        print(f"{'seconds':28} {'cold':>9} {'worst':>9} {'warm':>9} {'cold CPU':>9}")
        for name, command in PARTS.items():
            times = [run(command, None) for _ in range(asked.rounds)]
            print(row(name, times, times))
        request = f"{asked.events // 2 * 2654435761 % 2**64:032x}"
        slow = []
        for name, words in QUESTIONS.items():
            command = [PYTHON, "-m", "logship", *(word.replace("{request}", request) for word in words)]
            command += ["--source", str(store)]
            cold = [run(command, store) for _ in range(asked.rounds)]
            print(row(name, cold, [run(command, None) for _ in range(asked.rounds)]))
            if name.startswith("search") and statistics.median(wall for wall, _ in cold) > CLAIM_SECONDS:
                slow.append(name)
    print(f"\ntarget: a cold search takes less than {CLAIM_SECONDS} s: {'no: ' + ', '.join(slow) if slow else 'holds'}")
    print(f"target: the tail shows 99 % of events within {TAIL_CLAIM_SECONDS:g} s: {'no' if late else 'holds'}")
    return 1 if slow or late else 0


if __name__ == "__main__":
    sys.exit(main())
