"""Measure how long a caller is blocked: logship and fluent-logger with agents that hang, crawl, refuse or restart.

    python benchmarks/bench_stall.py            all rows, under two minutes
    python benchmarks/bench_stall.py --quick    fewer and shorter rows, under twenty seconds
    python benchmarks/bench_stall.py --check    no times: every event logged during a fault is stored or counted, exactly once

Each row is a process whose event loop handles 500 requests per second (or one in two seconds). Each request logs once, so
there are 1,000 events per second (or one). "call" is the log call, "request" the whole request, "late" the delay until the loop
starts it, which includes other threads that hold the interpreter lock. A second process per row does the same without logging:
"calm" is its highest delay, the noise of the machine in the same seconds. "flood" is the longest of 60,000 calls in a tight
loop (without an event loop) before a row with a hung agent: they fill the kernel's buffers for that agent."""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from far_ends import agent, ids_of

MIB = 2**20
MOST_EVENTS = 60_000
HERE = Path(__file__).resolve()
TMPFS = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None

Call = Callable[[int], object]


@dataclass(frozen=True)
class Row:
    """One row of the table: the logger, the kind of agent, and the load on the machine."""

    name: str
    logs: str = "logship"  # nothing | logship | fluent | fluent-async | fluent-circular
    agent: str = "good"
    seconds: float = 4.0
    events_per_second: float = 1000.0
    state: str = "tmpfs"  # or disk; in the worker: the directory
    port: int = 0
    flood: int = 0  # events logged before the measurement starts
    fill: bool = False  # fill the journal first; then start a good agent
    check: bool = False  # wait for the last acknowledgement at the end
    limit_bytes: int = 64 * MIB


# The worker: `bench_stall.py --row JSON`.


async def nothing_more() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def into_nothing(message: Any) -> None:
    """Accept everything that is sent."""


def pipeline(row: Row) -> tuple[Call, Callable[[Any], Any], Callable[[], dict[str, int]]]:
    """Return (log call, wrapper of the application, counters at the end)."""
    if row.logs == "nothing":
        return (lambda number: None), (lambda app: app), dict
    if row.logs == "logship":
        return with_logship(row)
    return with_fluent(row)


def with_logship(row: Row) -> tuple[Call, Callable[[Any], Any], Callable[[], dict[str, int]]]:
    import logging

    import logship
    from logship.worker import registry

    logging.getLogger("logship").addHandler(logging.NullHandler())
    options: dict[str, Any] = {"state_dir": row.state, "journal_limit_bytes": row.limit_bytes, "console": "off"}
    logship.configure(agent=f"127.0.0.1:{row.port}", service="shop", **options)
    log = logship.get_logger()

    def counters() -> dict[str, int]:
        journal = registry.existing().journal  # type: ignore[union-attr]
        dropped = sum(journal.identity.dropped().values())
        return {"emitted": journal.cells[0], "dropped": dropped, "pending": journal.pending_events()}

    log.info("warm")
    return (lambda number: log.info("order placed", order_id=number, total=9.5)), logship.RequestLog, counters


def with_fluent(row: Row) -> tuple[Call, Callable[[Any], Any], Callable[[], dict[str, int]]]:
    from fluent import asyncsender, sender

    lost = 0

    def overflow(pending: object) -> None:
        nonlocal lost
        lost += 1

    options: dict[str, Any] = {"port": row.port, "nanosecond_precision": True, "buffer_overflow_handler": overflow}
    if row.logs == "fluent":
        made = sender.FluentSender("shop", **options)
    else:
        made = asyncsender.FluentSender("shop", queue_circular=row.logs == "fluent-circular", **options)

    def wrap(app: Any) -> Any:
        async def logged(scope: Any, receive: Any, send: Any) -> None:
            began = time.perf_counter_ns()
            await app(scope, receive, send)
            fields = {"method": scope["method"], "path": scope["path"], "status": 200, "client": scope["client"][0]}
            made.emit("request", {**fields, "duration": time.perf_counter_ns() - began, "message": "GET /orders 200"})

        return logged

    return (lambda number: made.emit("app", {"message": "order placed", "order_id": number, "total": 9.5})), wrap, dict


def worker(row: Row) -> None:
    """Handle requests for the row's seconds and print the times (ns) and counters as JSON."""
    call, wrap, counters = pipeline(row)
    flood = 0
    for number in range(row.flood):
        began = time.perf_counter_ns()
        call(number)
        flood = max(flood, time.perf_counter_ns() - began)
        if flood > 1e9:
            break
    # The agent empties the journal meanwhile, so filling it needs a bound.
    while row.fill and not counters()["dropped"] and counters()["emitted"] < MOST_EVENTS:
        call(0)
    print("ready", flush=True)
    sys.stdin.readline()
    calls: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter_ns()
        call(len(calls))
        calls.append(time.perf_counter_ns() - began)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"done"})

    served, requests, late = wrap(app), [], []

    async def serve() -> None:
        step = 2 / row.events_per_second
        ends = time.perf_counter() + row.seconds
        due = time.perf_counter() + step
        while due < ends:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            came = time.perf_counter()
            late.append(int((came - due) * 1e9))
            scope = {
                "type": "http", "http_version": "1.1", "method": "GET", "path": "/orders", "query_string": b"",
                "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
                "headers": [(b"host", b"shop"), (b"user-agent", b"bench")],
            }  # fmt: skip
            began = time.perf_counter_ns()
            await served(scope, nothing_more, into_nothing)
            requests.append(time.perf_counter_ns() - began)
            due = max(due + step, time.perf_counter() - 1.0)  # no burst of catching up after a stall of seconds

    asyncio.run(serve())
    if row.check:
        import logship

        logship.flush(30)
    print(json.dumps({"call": calls, "request": requests, "late": late, "flood": flood, **counters()}), flush=True)
    os._exit(0)


# Running rows.


def start(row: Row) -> "subprocess.Popen[str]":
    words = [sys.executable, str(HERE), "--row", json.dumps(asdict(row))]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(process))
    process.communicate()
    return found


def run(rows: list[Row], folder: Path) -> list[dict[str, Any]]:
    """Return the results of `rows`, which run at the same time."""
    with contextlib.ExitStack() as stack:
        processes = []
        for row in rows:
            where = {"tmpfs": TMPFS, "disk": folder}[row.state] or folder
            state = stack.enter_context(tempfile.TemporaryDirectory(dir=where, prefix="logship-bench-"))
            port, _ = stack.enter_context(agent("refusing" if row.fill else row.agent))
            processes.append((start(replace(row, port=port, state=state)), port))
        for (process, port), row in zip(processes, rows, strict=True):
            assert said(process) == "ready\n"
            if row.fill:
                stack.enter_context(agent("good", port))
        for process, _ in processes:
            go(process)
        return [result(process) for process, _ in processes]


@contextlib.contextmanager
def busy_disk(folder: Path) -> Iterator[None]:
    """Run two `dd` that sync each megabyte to disk, and a `sync` every second that writes all pages back."""
    loop = "while :; do dd if=/dev/zero of={0} bs=1M count=200 oflag=dsync conv=fdatasync 2>/dev/null; done"
    commands = [loop.format(folder / f"busy{number}") for number in range(2)] + ["while :; do sync; sleep 1; done"]
    writers = [subprocess.Popen(["sh", "-c", one], start_new_session=True) for one in commands]
    try:
        time.sleep(1.0)
        yield
    finally:
        for one in writers:
            os.killpg(one.pid, 9)
            one.wait()


HEAD = (
    f"{'':<42}{'log call, us':^31}{'request, us':^31}{'late, us':^17}{'calm, us':>9}"
    f"{'ratio':>7}{'flood, ms':>11}{'events':>8}{'dropped':>9}"
)
UNDER = f"{'':<42}" + f"{'p50':>7}{'p99':>8}{'p99.9':>8}{'max':>8}" * 2 + f"{'p99':>8}{'max':>9}{'max':>9}"


def at(times: list[int], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] / 1000 if times else 0.0


def worst(found: dict[str, Any]) -> float:
    return max(at(found["late"], 1), at(found["request"], 1))


def show(row: Row, found: dict[str, Any], calm: dict[str, Any]) -> None:
    cells = [at(found[what], share) for what in ("call", "request") for share in (0.5, 0.99, 0.999, 1)]
    times = "".join(f"{one:>{7 if place % 4 == 0 else 8}.0f}" for place, one in enumerate(cells))
    late = f"{at(found['late'], 0.99):>8.0f}{at(found['late'], 1):>9.0f}{worst(calm):>9.0f}{worst(found) / worst(calm):>7.1f}"
    flood = f"{found['flood'] / 1e6:.1f}" if row.flood else ""
    events = found.get("emitted", 2 * len(found["call"]))
    print(f"{row.name:<42}{times}{late}{flood:>11}{events:>8}{found.get('dropped', ''):>9}", flush=True)


def table(quick: bool) -> None:
    seconds = 0.8 if quick else 4.0
    print(
        f"state on {'tmpfs' if TMPFS else 'disk'} but where said; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"{HEAD}\n{UNDER}")
    nothing = Row("no logging at all", logs="nothing", seconds=seconds)
    faults = ["good", "refusing", "hung"] if quick else ["good", "refusing", "hung", "slow", "restarting", "mid-frame"]
    rows = [nothing, *(Row(f"logship, agent {mode}", agent=mode, seconds=seconds) for mode in faults)]
    rows.append(Row("logship, drain of a full journal", fill=True, seconds=seconds, limit_bytes=16 * MIB))
    others = ["fluent"] if quick else ["fluent", "fluent-async", "fluent-circular"]
    rows += [Row(f"{name}, agent hung", logs=name, agent="hung", seconds=seconds) for name in others]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp"), prefix="logship-bench-") as made:
        folder = Path(made)
        for row in rows:
            flooded = replace(row, flood=60_000 if row.agent == "hung" else 0)
            show(flooded, *run([flooded, nothing], folder))
        print("with a disk saturated by two dd with dsync, and a sync every second:")
        seconds = 1.5 if quick else 10.0
        nothing = replace(nothing, seconds=seconds)
        with busy_disk(folder):
            for place in ["disk"] if quick else ["tmpfs", "disk"]:
                beside = [
                    Row(f"logship, state on {place}, {rate:.0f} events/s", "logship", "good", seconds, rate, place)
                    for rate in (1000.0, 1.0)
                ]
                *found, calm = run([*beside, nothing], folder)
                for row, times in zip(beside, found, strict=True):
                    show(row, times, calm)
    print("ratio: the longest delay or request, relative to the process that logs nothing")
    print("fluent-circular: queue_circular=True; it drops the oldest events without counting them")


# No loss up to the journal's limit, and counted drops beyond it.

FAULTS = ("refusing", "hung", "slow", "restarting", "mid-frame")


def check() -> int:
    """Log more than a small journal holds during each fault, then start a good agent and compare. Return the number of errors."""
    mistakes = 0
    for mode in FAULTS:
        with tempfile.TemporaryDirectory(dir=TMPFS, prefix="logship-bench-") as state:
            told, arrived = through(Row(mode, fill=True, check=True, seconds=0.3, state=state, limit_bytes=4 * MIB))
        kept = told["emitted"] - told["dropped"]
        right = not told["pending"] and arrived == kept
        mistakes += not right
        counted = f"{told['emitted']} logged, {told['dropped']} dropped and counted, {arrived} stored once"
        print(f"{mode:<12}{counted}{'' if right else ': WRONG'}", flush=True)
    return mistakes


def through(row: Row) -> tuple[dict[str, Any], int]:
    """Return (the worker's counters, number of its stored events) for a worker whose agent first has the fault, then works."""
    with agent(row.name, keeps=True) as (port, far), ids_of(far) as first:
        process = start(replace(row, port=port))
        assert said(process) == "ready\n"
    with agent("good", port, keeps=True) as (_, far), ids_of(far) as second:
        go(process)
        told = result(process)
    return told, len(first | second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Fewer and shorter rows")
    parser.add_argument("--check", action="store_true", help="No times; check that every lost event is counted")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.row:
        worker(Row(**json.loads(asked.row)))
    elif asked.check:
        sys.exit(1 if check() else 0)
    else:
        table(asked.quick)


if __name__ == "__main__":
    main()
