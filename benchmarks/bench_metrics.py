"""Measure what metrics cost a request, beside the usual libraries, and how long a scrape of many workers takes.

python benchmarks/bench_metrics.py [--quick]

One process drives an application by hand, without a server, in short turns round all variants. The libraries that are not
installed are left out by name: pip install prometheus-fastapi-instrumentator starlette_exporter."""

import argparse
import asyncio
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from pathlib import Path
from statistics import median

from machine import table

REQUESTS = 2000
WORKERS, ROUTES = 8, 200
HERE = Path(__file__).parent
VARIANTS = {
    "none": "the application alone",
    "counting": "what logship adds to a request for its metrics",
    "instrumentator": "prometheus-fastapi-instrumentator, one process",
    "instrumentator-multiprocess": "prometheus-fastapi-instrumentator, PROMETHEUS_MULTIPROC_DIR",
    "starlette_exporter": "starlette_exporter, one process",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        turns(options.variant)
        return
    requests(5 if options.quick else 25)
    scrapes()


def requests(rounds: int) -> None:
    """Print the cost of a request in each variant."""
    with tempfile.TemporaryDirectory() as folder:
        started = {name: start(name, folder) for name in VARIANTS if is_installed(name)}
        times: dict[str, list[float]] = {name: [] for name in started}
        for turn in range(rounds + 1):
            for name, process in started.items() if turn % 2 else reversed(started.items()):
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("go\n")
                process.stdin.flush()
                spent = float(process.stdout.readline())
                if turn:  # the first turn warms up
                    times[name].append(spent)
        for process in started.values():
            process.communicate("", timeout=30)
    base = median(times["none"])
    rows = []
    for name, spent in times.items():
        added = sorted(value - base for value in spent) if name != "counting" else sorted(spent)
        rows.append([VARIANTS[name], f"{median(added):.2f}", f"{added[len(added) // 4]:.2f} to {added[-len(added) // 4]:.2f}"])
    table("Metrics of one request", ["us of CPU above the application", "median", "half of the turns"], rows)
    missing = [name for name in VARIANTS if name not in times]
    if missing:
        print(f"not installed, left out: {', '.join(missing)}")


def is_installed(name: str) -> bool:
    module = {"instrumentator": "prometheus_fastapi_instrumentator"}.get(name.partition("-")[0], name)
    return name in {"none", "counting"} or importlib.util.find_spec(module) is not None


def start(name: str, folder: str) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if name.endswith("multiprocess"):
        environment["PROMETHEUS_MULTIPROC_DIR"] = folder
    command = [sys.executable, __file__, "--variant", name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def turns(name: str) -> None:
    """Run one turn for each line on stdin, and print microseconds of CPU a request."""
    turn = counting if name == "counting" else driven(name)
    while sys.stdin.readline().strip():
        began = time.process_time()
        turn()
        print((time.process_time() - began) / REQUESTS * 1e6, flush=True)


def counting() -> None:
    """Do what `RequestLog` does for the metrics of a request, and nothing else."""
    from logship.state.metric_file import (
        DURATION_BOUNDS_NS,
        REASON_CELLS,
        SERIES_DURATION_NS,
        SERIES_RESPONSE_BYTES,
        MetricCell,
        MetricFacts,
        MetricFile,
    )
    from logship.worker.metrics.series import SeriesIndex

    file = MetricFile(None, MetricFacts())
    metrics, series, reason = file.cells, SeriesIndex(file).of("GET", "/orders/{id}", 200), REASON_CELLS["complete"]
    begun, ended, trace = int(MetricCell.BEGUN), int(MetricCell.ENDED), b"0" * 32
    for number in range(REQUESTS):
        duration = number * 10_000
        metrics[begun] += 1
        bucket = series + bisect_left(DURATION_BOUNDS_NS, duration)
        metrics[bucket] = count = metrics[bucket] + 1
        metrics[series + SERIES_DURATION_NS] += duration
        metrics[series + SERIES_RESPONSE_BYTES] += 20
        metrics[reason] += 1
        if count % 64 == 1:
            file.exemplar(series, duration, duration, trace)
        metrics[ended] += 1


def driven(name: str):  # type: ignore[no-untyped-def]
    """Return a turn of requests to a FastAPI application with the middleware of `name`."""
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/orders/{id}")
    async def order(id: int) -> dict[str, int]:  # noqa: A002
        return {"id": id}

    if name.startswith("instrumentator"):
        from prometheus_fastapi_instrumentator import Instrumentator

        Instrumentator().instrument(app)
    elif name == "starlette_exporter":
        from starlette_exporter import PrometheusMiddleware

        app.add_middleware(PrometheusMiddleware)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/orders/7", "raw_path": b"/orders/7", "query_string": b"", "root_path": "", "headers": [(b"host", b"shop")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        pass

    async def requests() -> None:
        for _ in range(REQUESTS):
            await app(dict(scope), receive, send)

    return lambda: asyncio.run(requests())


def scrapes() -> None:
    """Print how long a scrape of many workers takes, and how large it is."""
    from logship.prometheus.exposition import expose, worker_registry
    from logship.state import metric_totals
    from logship.state.home import Home, make_directory
    from logship.state.metric_file import MetricCell, MetricFacts, labels_of

    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "state")
        make_directory(home.path)
        for worker in range(WORKERS):
            file = metric_totals.create(home, f"{worker:024x}", MetricFacts("shop", "8000", "host"))
            file.cells[MetricCell.SLOT], file.cells[MetricCell.UPDATED_NS] = worker + 1, time.time_ns()
            for route in range(ROUTES):
                index = file.series(labels_of("GET", f"/api/v1/things/{route}/{{id}}", 200))
                assert index is not None
                file.cells[index + 3] = route + 1
        rows = []
        registry = worker_registry(home.path)
        for encoding in ("", "gzip"):
            began, wall = time.process_time(), time.perf_counter()
            body = expose(registry, "", encoding).body
            spent = [f"{(time.process_time() - began) * 1e3:.0f}", f"{(time.perf_counter() - wall) * 1e3:.0f}"]
            rows.append([encoding or "plain", *spent, f"{len(body) / 2**20:.2f}"])
    table(f"One scrape of {WORKERS} workers with {ROUTES} routes each", ["encoding", "CPU ms", "wall ms", "MiB"], rows)


if __name__ == "__main__":
    main()
