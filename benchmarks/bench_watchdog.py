"""Plant event loop stalls under load and compare them with the reports of the watchdog; then a clean load, and the cost.

    python benchmarks/bench_watchdog.py             200 stalls, ten clean minutes, the cost: about 25 minutes
    python benchmarks/bench_watchdog.py --quick     48 stalls, half a clean minute: about two minutes
    python benchmarks/bench_watchdog.py --loop asyncio

A planted stall is found if a `loop-stalled` event overlaps it; its line is right if the event names a line that blocks.
Stalls shorter than the setting (0.1 s) need not be found, nor those of less CPU time that lasted longer because other
processes used the processor ("starved"). A report that overlaps no planted stall is false. The cost is the
CPU time of the whole process as the kernel counts it, beside the same server with LOGSHIP_STALL_SECONDS=0."""

import argparse
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from machine import HERE, LOAD_CORE, SERVER_CORE, cpu_us, environment, free_port, scratch, settle, table

WAYS = ("sleep", "compute", "match", "parse", "query", "collect")
LIMIT_NS = 100_000_000
# Reports begin when the loop last ran, an interval before at most.
SLACK_NS = 60_000_000
RATE_PER_SECOND, CLIENTS = 100, 4


@dataclass(frozen=True, slots=True)
class Planted:
    way: str
    began_ns: int
    ended_ns: int
    cpu_ns: int
    lines: list[int]

    @property
    def starved(self) -> bool:
        """Whether other processes made it a stall: computing that would have taken less than the limit on an idle machine."""
        return self.way != "sleep" and self.cpu_ns < LIMIT_NS

    @property
    def duration_ns(self) -> int:
        return self.ended_ns - self.began_ns


@dataclass(slots=True)
class Shop:
    """One server. `out`: the file of its events."""

    port: int
    process: "subprocess.Popen[bytes]"
    out: Path
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, path: str, connection: http.client.HTTPConnection | None = None) -> dict[str, Any]:
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer

    def reports(self) -> list[dict[str, Any]]:
        data = self.out.read_bytes() if self.out.exists() else b""
        events = [orjson.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        return [event for event in events if event.get("event.action") == "loop-stalled"]

    @contextmanager
    def load(self) -> Iterator[None]:
        """Quick requests all the time, on connections that stay open."""
        self.stop.clear()
        clients = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            self.stop.set()
            for client in clients:
                client.join()

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stop.wait(CLIENTS / RATE_PER_SECOND):
            self.ask("/quick", connection)
        connection.close()


@contextmanager
def shop(folder: Path, loop: str, app: str = "stalling:app", **more: str) -> Iterator[Shop]:
    port = free_port()
    name = "-".join([loop, *more.values()])
    env = environment(folder / name, 1) | {"LOGSHIP_AGENT": f"file:{folder / name / 'events'}", **more}
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--loop", loop, "--no-access-log"]
    with (folder / name / "lines").open("w") as lines:
        process = subprocess.Popen(command, env=env, cwd=HERE, stdout=lines, stderr=lines)
    os.sched_setaffinity(process.pid, {SERVER_CORE})
    made = Shop(port, process, folder / name / "events")
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                made.ask("/quick")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit((folder / name / "lines").read_text()) from None
                time.sleep(0.1)
        settle(1.0)
        yield made
    finally:
        process.terminate()
        process.wait()


def plan(count: int, generator: random.Random) -> list[tuple[str, float]]:
    """Return (way, seconds), from 50 ms to 5 s, as many short as long ones on a logarithmic scale."""
    return [(WAYS[number % len(WAYS)], 0.05 * 100 ** generator.random()) for number in range(count)]


def plant(served: Shop, count: int) -> list[Planted]:
    planted = []
    with served.load():
        for way, seconds in plan(count, random.Random(7)):
            time.sleep(0.4)
            answer = served.ask(f"/{way}?seconds={seconds:.3f}")
            planted.append(Planted(way, answer["began"], answer["ended"], answer["cpu_ns"], answer["lines"]))
    settle(1.0)
    return planted


def span_of(report: dict[str, Any]) -> tuple[int, int]:
    began = int(datetime.fromisoformat(report["event.start"]).timestamp() * 1e6) * 1000
    return began, began + report["event.duration"]


def overlapping(stall: Planted, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        report
        for report in reports
        if span_of(report)[0] < stall.ended_ns and span_of(report)[1] > stall.began_ns - SLACK_NS
    ]


def judged(served: Shop, planted: list[Planted]) -> None:
    reports = served.reports()
    rows = []
    for way in (*WAYS, "all"):
        mine = [stall for stall in planted if way in {stall.way, "all"}]
        slow = [stall for stall in mine if stall.duration_ns >= LIMIT_NS]
        long = [stall for stall in slow if not stall.starved]
        matched = [(stall, overlapping(stall, reports)) for stall in long]
        seen = [(stall, reports_) for stall, reports_ in matched if reports_]
        right = [stall for stall, reports_ in seen if reports_[0].get("log.origin.file.line") in stall.lines]
        unnamed = [stall for stall, reports_ in seen if "log.origin.file.line" not in reports_[0]]
        off_ms = [abs(reports_[0]["event.duration"] - stall.duration_ns) / 1e6 for stall, reports_ in seen]
        reasons = Counter(reports_[0]["event.reason"] for _, reports_ in seen)
        named = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common(3)) if way != "all" else ""
        rows.append([
            way, *map(str, (len(mine), len(long), len(slow) - len(long))),
            share(len(seen), len(long)), share(len(right), len(long)),
            str(len(unnamed)), str(len(seen) - len(right) - len(unnamed)),
            f"{statistics.median(off_ms):.0f}" if off_ms else "-", named,
        ])  # fmt: skip
    columns = [
        "planted",
        "all",
        ">= 100 ms",
        "starved",
        "found",
        "right line",
        "no line",
        "wrong line",
        "off by, ms",
        "reasons",
    ]
    table("Planted stalls", columns, rows)
    false = [report for report in reports if not any(report in overlapping(stall, reports) for stall in planted)]
    print(f"  reports beside the planted stalls: {len(false)}")
    for report in false[:10]:
        print(f"    {report['message']}")


def share(part: int, whole: int) -> str:
    return f"{part}/{whole} = {100 * part / whole:.0f} %" if whole else "-"


def clean(served: Shop, seconds: float) -> None:
    before = len(served.reports())
    with served.load():
        time.sleep(seconds)
    settle(1.0)
    reports = served.reports()[before:]
    print(f"\nClean load, {seconds:.0f} s at {RATE_PER_SECOND} requests/s: {len(reports)} reports")
    for report in reports[:10]:
        print(f"    {report['message']}")


def cost(folder: Path, loop: str, rounds: int) -> None:
    """CPU of the process with and without the watchdog: without requests, and per request at full speed."""
    with shop(folder, loop) as on, shop(folder, loop, LOGSHIP_STALL_SECONDS="0") as off:
        idle: dict[int, list[float]] = {on.port: [], off.port: []}
        busy: dict[int, list[float]] = {on.port: [], off.port: []}
        for turn in range(rounds):
            for served in (on, off) if turn % 2 else (off, on):
                before = sum(cpu_us(served.process.pid))
                time.sleep(2.0)
                idle[served.port].append((sum(cpu_us(served.process.pid)) - before) / 2)
                busy[served.port].append(burst(served, 1000))
        watched, plain = statistics.median(idle[on.port]), statistics.median(idle[off.port])
        loaded, without = statistics.median(busy[on.port]), statistics.median(busy[off.port])
        rows = [
            ["CPU us per second, no requests", f"{plain:.0f}", f"{watched:.0f}", f"{watched - plain:+.0f}"],
            ["CPU us per request, full speed", f"{without:.1f}", f"{loaded:.1f}", f"{loaded - without:+.1f}"],
        ]
        table("Cost of the watchdog, all threads of the process", ["", "off", "on", "difference"], rows)


def burst(served: Shop, requests: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    before = sum(cpu_us(served.process.pid))
    for _ in range(requests):
        served.ask("/quick", connection)
    connection.close()
    return (sum(cpu_us(served.process.pid)) - before) / requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Fewer stalls and a short clean load")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop", help="Event loop. Default: uvloop")
    parser.add_argument("--stalls", type=int, help="Number of planted stalls. Default: 200; 48 with --quick")
    parser.add_argument("--clean", type=float, help="Seconds of clean load. Default: 600; 30 with --quick")
    parser.add_argument("--rounds", type=int, help="Rounds of the measurement of the cost. Default: 15; 5 with --quick")
    asked = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    print(f"{asked.loop}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with scratch() as folder:
        with shop(folder, asked.loop) as served:
            judged(served, plant(served, asked.stalls or (48 if asked.quick else 200)))
            clean(served, asked.clean or (30 if asked.quick else 600))
        cost(folder / "cost", asked.loop, asked.rounds or (5 if asked.quick else 15))


if __name__ == "__main__":
    main()
