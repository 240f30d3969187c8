"""Capacity: the maximum rate that `logship capacity` predicts from light traffic, and what a load generator then reaches.

Three applications under uvicorn with 1, 2 and 4 workers: CPU-bound, waiting (asyncio.sleep), and mixed. Worker i is pinned to
core i modulo 2, counted from the last core, so that 4 workers share 2 cores. Light traffic comes at a quarter, a half and all
of the highest light rate, in turns; `light` is its mean. Then wrk keeps connections open and sends as fast as responses come.
`CPU`: the share of the cores that the workers got meanwhile, which is below 100 % if other programs, or wrk, use them too. `at
100%`: what they would have reached on cores that nothing else uses, reached / CPU. `ratio`: predicted / at 100%. `wrk`: its CPU
time. The last columns: CPU time per request in light traffic, with the idle time of the workers, and at the maximum.

    python benchmarks/bench_capacity.py [--only cpu] [--seconds 40] [--light 4]     # needs wrk"""

import argparse
import json
import os
import re
import resource
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logship.forensics.capacity.estimate import Estimate

HERE = Path(__file__).resolve().parent
REQUESTS_PER_CONNECTION = 20
SATURATED_SECONDS = 8
# Light requests a second for each core, and connections of each worker when saturated.
APPLICATIONS = {"cpu": (16, 16), "waiting": (60, 200), "mixed": (24, 50)}
# Parts of the light rate, in turns, and for how long.
LIGHT, STEP_SECONDS = (0.25, 1.0, 0.5), 5.0
CORES = 2
APPLICATION = """
import asyncio, json, os
import logship.auto

ROWS = [{"id": number, "name": f"row {number}", "price": number * 1.1} for number in range(60)]
PLAN = {"cpu": (20, 0.0), "waiting": (3, 0.06), "mixed": (12, 0.02)}[os.environ["BENCH_APP"]]

def work(times):
    for _ in range(times):
        text = json.dumps(sorted(json.loads(json.dumps(ROWS)), key=lambda row: -row["price"]))
    return text.encode()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    times, seconds = PLAN
    for _ in range(2 if seconds else 0):
        await asyncio.sleep(seconds / 2)
    body = work(times)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""


@dataclass
class Client:
    """One connection at a time: a request, its response, and a new connection after some."""

    port: int
    sock: socket.socket | None = None
    sent: int = 0
    left: int = -1
    data: bytearray = field(default_factory=bytearray)

    def send(self) -> None:
        if self.sock is None or self.sent >= REQUESTS_PER_CONNECTION:
            if self.sock is not None:
                self.sock.close()
            self.sock, self.sent = socket.create_connection(("127.0.0.1", self.port), timeout=10), 0
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent += 1
        self.sock.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")
        self.left = -1
        self.data.clear()

    def receive(self) -> bool:
        """Read what is there; True if the response is complete."""
        assert self.sock is not None
        got = self.sock.recv(65536)
        if not got:
            raise SystemExit("the server closed a connection")
        if self.left >= 0:
            self.left -= len(got)
            return self.left <= 0
        self.data += got
        head, found, body = self.data.partition(b"\r\n\r\n")
        if found:
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.left = int(length.partition(b":")[2]) - len(body)
        return found != b"" and self.left <= 0


def load(port: int, seconds: float, clients: int, per_second: float | None) -> float:
    """Send requests for `seconds`, at a rate or as fast as responses come. Return the responses a second."""
    free, done = [Client(port) for _ in range(clients)], 0
    selector = selectors.DefaultSelector()
    began = time.perf_counter()
    due, end = began, began + seconds
    while (now := time.perf_counter()) < end:
        while free and (per_second is None or due <= now):
            client = free.pop(0)
            client.send()
            assert client.sock is not None
            selector.register(client.sock, selectors.EVENT_READ, client)
            due += 1 / per_second if per_second else 0
        for key, _ in selector.select(max(0.0, min(due, end) - now) if per_second and free else 0.05):
            if key.data.receive():
                selector.unregister(key.fileobj)
                free.append(key.data)
                done += 1
    return done / (time.perf_counter() - began)


def light_load(port: int, seconds: float, clients: int, per_second: float) -> float:
    """Send requests for `seconds` at changing rates. Return the responses a second."""
    steps = round(seconds / STEP_SECONDS)
    rates = [load(port, STEP_SECONDS, clients, per_second * LIGHT[step % len(LIGHT)]) for step in range(steps)]
    return sum(rates) / len(rates)


def saturate(port: int, seconds: int, connections: int) -> tuple[float, float]:
    """Return the responses a second that wrk gets, and the share of a core that wrk used."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", f"http://127.0.0.1:{port}/"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate is not None, text
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(rate[1]), used / seconds


def workers_of(pid: int, count: int) -> list[int]:
    """Return the processes that serve: uvicorn itself, or its children that are not the resource tracker."""
    if count == 1:
        return [pid]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def cpu_seconds(pids: list[int]) -> float:
    """Return the CPU time of all threads of these processes; /proc/PID/stat counts in ticks of 10 ms."""
    tasks = [path for pid in pids for path in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((path / "schedstat").read_text().split()[0]) for path in tasks) / 1e9


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def predicted(folder: Path, since_ns: int, until_ns: int) -> "tuple[Estimate, str]":
    """Import the events of the light traffic. Return the maximum rate, and what limits."""
    from logship.forensics.capacity.plan import capacity
    from logship.forensics.capacity.wanted import wanted_of
    from logship.search.query import Query
    from logship.store.read.reader import Reader

    command = [sys.executable, "-m", "logship", "import", str(folder / "events.ndjson"), "--to", str(folder / "store")]
    subprocess.run(command, check=True, capture_output=True, env=environment(folder))
    reader = Reader(folder / "store", threads=1)
    try:
        (service,) = capacity(reader, Query(None, since_ns, until_ns), until_ns, UTC, wanted_of("60s"))
    finally:
        reader.close()
    estimates = {estimate.name: estimate for estimate in service.estimates}
    most = estimates["maximum rate"]
    if most.value is None:
        raise SystemExit(
            f"no prediction: {json.dumps({name: one.derived for name, one in estimates.items()}, indent=1)}"
        )
    return most, estimates["limited by"].text


def environment(folder: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOGSHIP_")}
    own = {"LOGSHIP_STATE_DIR": str(folder / "state"), "LOGSHIP_AGENT": f"file:{folder / 'events.ndjson'}"}
    return {**clean, **own, "LOGSHIP_HEARTBEAT_SECONDS": "1", "PYTHONPATH": f"{folder}:{HERE.parent}"}


def measure(name: str, count: int, cores: list[int], given: argparse.Namespace, folder: Path) -> None:
    used_cores = min(count, len(cores))
    (light, clients), port = APPLICATIONS[name], free_port()
    (folder / "served.py").write_text(APPLICATION)
    words = f"-m uvicorn served:app --port {port} --workers {count} --no-access-log --log-level warning".split()
    server = subprocess.Popen([sys.executable, *words], env=environment(folder) | {"BENCH_APP": name}, cwd=folder)
    try:
        _wait(port)
        time.sleep(2)
        pids = workers_of(server.pid, count)
        for place, pid in enumerate(pids):
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), {cores[place % len(cores)]})
        if used_cores < len(cores):
            os.sched_setaffinity(0, set(cores[used_cores:]))
        before, since_ns = cpu_seconds(pids), time.time_ns()
        sent = light_load(port, given.seconds, 8 * count, light * given.light * used_cores)
        until_ns = time.time_ns()
        light_ms = (cpu_seconds(pids) - before) / (sent * (until_ns - since_ns) / 1e9) * 1000
        time.sleep(1.5)
        most, limit = predicted(folder, since_ns, until_ns)
        saturate(port, 1, clients * count)
        before, began = cpu_seconds(pids), time.perf_counter()
        reached, generator = saturate(port, SATURATED_SECONDS, clients * count)
        used, took = cpu_seconds(pids) - before, time.perf_counter() - began
        saturated_ms = used / (reached * SATURATED_SECONDS) * 1000
        at_full = reached / (used / took / used_cores)
        print(
            f"{name:<9}{count:>8}{sent:>8.0f}{most.value:>11.0f}{f'{most.low:.0f}-{most.high:.0f}':>14}{reached:>9.0f}"
            f"{used / took / used_cores:>6.0%}{at_full:>9.0f}{most.value / at_full:>7.2f}{generator:>6.0%}"
            f"{light_ms:>10.2f}{saturated_ms:>12.2f}  {limit}",
            flush=True,
        )
    finally:
        os.sched_setaffinity(0, set(cores))
        server.terminate()
        server.wait()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server does not listen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="Length of the light traffic")
    parser.add_argument("--light", type=float, default=1.0, help="Factor of the light rates; 1 uses about 5 %% of the cores")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="Numbers of workers")
    parser.add_argument("--only", choices=APPLICATIONS, help="One application")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    cores = sorted(os.sched_getaffinity(0), reverse=True)[:CORES]
    print(f"{len(cores)} cores, load {os.getloadavg()[0]:.1f}; rates are requests a second")
    heads = f"{'':<9}{'workers':>8}{'light':>8}{'predicted':>11}{'interval':>14}{'reached':>9}{'CPU':>6}{'at 100%':>9}"
    heads += f"{'ratio':>7}{'wrk':>6}"
    print(f"{heads}{'light, ms':>10}{'maximum, ms':>12}  limited by")
    for name in [given.only] if given.only else APPLICATIONS:
        for count in given.workers:
            with tempfile.TemporaryDirectory(prefix="logship-capacity-") as folder:
                measure(name, count, cores, given, Path(folder))


if __name__ == "__main__":
    main()
