"""Kill workers with -9 while they handle requests, and compare the metrics with what the clients counted.

python benchmarks/bench_metrics_killed.py [--kills 20] [--workers 4]

One service under uvicorn counts each request twice: with logship, and with prometheus-fastapi-instrumentator in its multiprocess
mode, which is left out by name where it is not installed. Each kill hits a worker while 8 slow requests run on all workers;
other requests follow while it is away. Takes about three seconds a kill."""

import argparse
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from machine import HERE, environment, free_port, scratch, table
from prometheus_client.parser import text_string_to_metric_families as parse

INSTRUMENTATOR = importlib.util.find_spec("prometheus_fastapi_instrumentator") is not None
RUNNING, SECONDS = 8, 2.0
PATIENCE_SECONDS = 60.0
# Metric, and the label of its route: requests that were answered, those that run.
LOGSHIP = ("http_server_request_duration_seconds_count", "http_route", "http_server_active_requests")
OTHER = ("http_requests_total", "handler", "http_requests_inprogress")


class Scrape:
    """The samples of one exposition."""

    def __init__(self, url: str) -> None:
        with urllib.request.urlopen(url, timeout=30) as answer:
            text = answer.read().decode()
        self.samples = [sample for family in parse(text) for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        return sum(
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def workers(self, name: str) -> set[str]:
        return {sample.labels["worker"] for sample in self.samples if sample.name == name and "worker" in sample.labels}


class Service:
    """The service, its clients, and what they counted."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.workers = workers
        self.answered = {"/orders/{number}": 0, "/slow": 0}
        self.lost = self.kills = 0
        self.gone_seconds: list[float] = []
        self.multiprocess = folder / "multiprocess"
        self.multiprocess.mkdir()
        self.state = folder / "service" / "state"
        self._port, self._metrics = free_port(), free_port()
        command = f"-m logship run --metrics 127.0.0.1:{self._metrics} uvicorn killed_app:app --port {self._port}"
        command += f" --workers {workers} --no-access-log --timeout-worker-healthcheck 10"
        around = environment(folder / "service", 0) | {"LOGSHIP_AGENT": f"file:{folder / 'events'}"}
        around |= {"PROMETHEUS_MULTIPROC_DIR": str(self.multiprocess)} if INSTRUMENTATOR else {}
        self._said = folder / "said"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, *command.split()], env=around, cwd=HERE, stdout=said, stderr=said, start_new_session=True
            )
        self._pool = ThreadPoolExecutor(16)

    def until(self, true: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited for {what}\n{self._said.read_text()[-2000:]}")
            time.sleep(0.05)

    def logship(self) -> Scrape:
        return Scrape(f"http://127.0.0.1:{self._metrics}/metrics")

    def other(self) -> Scrape:
        return Scrape(f"http://127.0.0.1:{self._port}/metrics")

    def all_up(self) -> bool:
        try:
            return self.logship().total("logship_worker_up") == self.workers
        except OSError:
            return False

    def get(self, path: str) -> bool:
        """Send a request; return whether it was answered."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=PATIENCE_SECONDS) as answer:
                return bool(answer.read())
        except OSError:
            return False

    def send(self, route: str, paths: list[str]) -> None:
        for answered in self._pool.map(self.get, paths):
            self.answered[route] += answered
            self.lost += not answered

    def kill(self) -> None:
        """Kill one worker while requests run, and wait for its replacement."""
        self.send("/orders/{number}", [f"/orders/{number}" for number in range(40)])
        begun = [self._pool.submit(self.get, f"/slow?seconds={SECONDS}") for _ in range(RUNNING)]
        self.until(lambda: self.logship().total(LOGSHIP[2]) >= RUNNING, "running requests")
        slot, pid = random.choice(sorted(self.pids().items()))
        os.kill(pid, signal.SIGKILL)
        self.kills += 1
        began = time.monotonic()
        self.until(lambda: slot not in self.logship().workers("logship_worker_up"), "the end of its gauges")
        self.gone_seconds.append(time.monotonic() - began)
        self.send("/orders/{number}", [f"/orders/{number}" for number in range(20)])
        for request in begun:
            answered = request.result()
            self.answered["/slow"] += answered
            self.lost += not answered
        self.until(self.all_up, "the replacement")

    def pids(self) -> dict[str, int]:
        """Return the process of each worker: it holds the lock of its slot."""
        from logship.state.living import living

        return {f"w{worker.slot}": worker.pid for worker in living(self.state) if worker.slot is not None}

    def end(self) -> None:
        self._pool.shutdown()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def started(workers: int) -> Iterator[Service]:
    with scratch() as folder:
        service = Service(folder, workers)
        try:
            service.until(service.all_up, f"{workers} workers")
            yield service
        finally:
            service.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with started(options.workers) as service:
        for _ in range(options.kills):
            service.kill()
        service.until(lambda: service.logship().total("logship_worker_deaths_total") == service.kills, "the deaths")
        show(service)


def show(service: Service) -> None:
    """Print what the clients counted beside what the metrics say."""
    ours = service.logship()
    other = service.other() if INSTRUMENTATOR else None

    def row(what: str, clients: float, logship: float, name: str = "", **labels: str) -> list[str]:
        theirs = "-" if other is None else f"{other.total(name, **labels):.0f}" if name else "not counted"
        return [what, f"{clients:.0f}", f"{logship:.0f}", theirs]

    rows = [
        row(f"answered: {route}", count, ours.total(LOGSHIP[0], **{LOGSHIP[1]: route}), OTHER[0], **{OTHER[1]: route})
        for route, count in service.answered.items()
    ]
    rows += [
        row("lost at a kill", service.lost, ours.total("logship_worker_requests_total", reason="lost")),
        row("workers killed", service.kills, ours.total("logship_worker_deaths_total")),
        row("running at the end", 0, ours.total(LOGSHIP[2]), OTHER[2]),
        ["workers with a label", str(service.workers), str(len(ours.workers("logship_worker_up"))), "0" if other else "-"],
        ["files in its directory", "", str(files(service.state / "metrics")), str(files(service.multiprocess)) if other else "-"],
    ]
    columns = [f"{service.workers} workers, {service.kills} kills -9", "clients", "logship", "instrumentator, multiprocess"]
    table("What the metrics say", columns, rows)
    print(f"gauges of a killed worker were gone within {max(service.gone_seconds, default=0):.2f} s (logship)")
    if other is None:
        print("not installed, left out: prometheus-fastapi-instrumentator")


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


if __name__ == "__main__":
    main()
