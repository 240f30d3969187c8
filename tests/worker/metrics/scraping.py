"""A real Prometheus that scrapes a real service every second, with the rules of compose/prometheus."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.worker.metrics.test_metrics import samples, total
from tests.worker.serving import ROOT, Server, free_port, until

PROMETHEUS = shutil.which("prometheus")
WORKERS = 4
CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}/*.yaml]
scrape_configs:
  - job_name: logship-workers
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

Labels = dict[str, str]


class Prometheus:
    """It scrapes `port`; `query` asks its HTTP API."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        folder.mkdir()
        text = CONFIGURATION.format(rules=ROOT / "compose/prometheus/rules", port=port)
        (folder / "prometheus.yml").write_text(text, encoding="utf-8")
        self._own = free_port()

    def __enter__(self) -> "Prometheus":
        words = [
            PROMETHEUS or "",
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{self._own}",
        ]
        with open(self._folder / "said.txt", "wb") as said:
            self._process = subprocess.Popen(words, stdout=said, stderr=said, env={"PATH": os.environ["PATH"]})
        try:
            until(lambda: self.query("logship_worker_up"), "the first scrape of Prometheus")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def api(self, path: str, **words: str) -> Any:
        """Return the `data` of an answer; None if there is none yet."""
        url = f"http://127.0.0.1:{self._own}/api/v1/{path}?{urllib.parse.urlencode(words)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is starting
                return None
            raise AssertionError(f"{words}: {error.read().decode()}") from error
        except OSError:
            return None

    def query(self, expression: str, **words: str) -> list[dict[str, Any]]:
        """Return the series of a query, at the present or at `time`."""
        data = self.api("query", query=expression, **words)
        return [] if data is None else list(data["result"])

    def times(self) -> list[float]:
        """Return when it scraped, in seconds."""
        (series,) = self.query("up[1h]")
        return [time for time, _ in series["values"]]

    def next_scrapes(self, count: int = 2) -> None:
        """Wait until it has scraped again."""
        seen = len(self.times())
        until(lambda: len(self.times()) >= seen + count, "the next scrapes")

    def increase(self, selector: str, by: str, window: tuple[float, float]) -> dict[str, float]:
        """Return increase() between two scrapes, by a label.

        The window begins and ends at a sample, so that nothing is extrapolated but a millisecond, which keeps the first sample
        in it: Prometheus 3 leaves out a sample at the very beginning."""
        begin, end = window
        milliseconds = round((end - begin) * 1000) + 1
        rows = self.query(f"sum by ({by}) (increase({selector}[{milliseconds}ms]))", time=f"{end:.3f}")
        return {row["metric"].get(by, ""): float(row["value"][1]) for row in rows}


class Client:
    """Sends requests and counts what becomes of them, by route."""

    def __init__(self, server: Server, metrics: int) -> None:
        self.server = server
        self.metrics = metrics
        self.answered: Counter[str] = Counter()
        self.received_bytes = 0
        self.lost = 0
        self.kills = 0
        self.ends = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(16)

    def submit(self, route: str, path: str) -> Future[bytes]:
        """Send a request in the background."""
        return self._pool.submit(self.get, route, path)

    def exposition(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def get(self, route: str, path: str) -> bytes:
        """Return the body; OSError if its worker was killed."""
        status, body = self.server.ask(path)
        assert status == 200
        with self._lock:
            self.answered[route] += 1
            self.received_bytes += len(body)
        return body

    def orders(self, count: int) -> None:
        for request in [self.submit("/order/{id}", f"/order/{number}") for number in range(count)]:
            request.result()

    def begin_slow(self, count: int, seconds: float, running: Callable[[str], float]) -> list[Future[bytes]]:
        """Begin requests, and return as soon as workers have all of them."""
        begun = [self.submit("/slow", f"/slow?seconds={seconds}") for _ in range(count)]
        until(lambda: running(self.exposition()) >= count, f"{count} running requests")
        return begun

    def settle(self, begun: list[Future[bytes]]) -> None:
        """Wait for the end of requests, and count the lost ones."""
        for request in begun:
            error = request.exception(timeout=60)
            assert error is None or isinstance(error, OSError | EOFError), error
            self.lost += error is not None

    def pids(self) -> dict[int, int]:
        """Return the process of each slot."""
        return {event["logship.worker.slot"]: event["process.pid"] for event in self.server.actions("worker-started")}

    def kill(self, slot: int, number: int = signal.SIGKILL) -> None:
        pid = self.pids()[slot]
        os.kill(pid, number)
        self.kills += number == signal.SIGKILL
        self.ends += 1

    def close(self) -> None:
        self._pool.shutdown()


def running(text: str) -> float:
    """Return the requests in flight of an exposition."""
    return total(text, "http_server_active_requests")


def sampled(text: str) -> int:
    """Return how many workers have sampled themselves."""
    return sum(name == "process_threads" and value > 0 for (name, _), value in samples(text).items())


def wait_replaced(client: Client) -> None:
    """Wait until all workers run, and keep the application's metrics in their files."""
    until(lambda: len(client.server.actions("worker-started")) == WORKERS + client.ends, "the replacement")
    until(lambda: total(client.exposition(), "logship_worker_up") == WORKERS, "four workers")
    # A worker attaches these files with its first sample, up to a second after its start.
    until(lambda: sampled(client.exposition()) == WORKERS, "the first sample of the worker")
    time.sleep(0.5)


def warm(client: Client, seen: Callable[[str], int]) -> None:
    """Send requests until every worker has a series for each route: increase() needs a first value to count from.

    `seen`: the number of those series in an exposition."""
    for _ in range(200):
        client.orders(8)
        client.settle([client.submit("/slow", "/slow?seconds=0.05") for _ in range(16)])
        client.settle([client.submit("/stock", "/stock") for _ in range(16)])
        if seen(client.exposition()) == 3 * WORKERS:
            return
    raise AssertionError("a worker accepted no connections")


def start(folder: Path) -> tuple[Server, int]:
    """Start the service with four workers; also return the port of its metrics."""
    port = free_port()
    # uvicorn kills workers that do not answer it in time, five seconds by default, which happens on a busy machine. It also
    # waits as long for a dead one before it replaces it.
    options = f"--workers {WORKERS} --port {{port}} --no-access-log --timeout-worker-healthcheck 10"
    return Server(folder, f"logship run --metrics 127.0.0.1:{port} uvicorn metered:app {options}"), port
