"""Metrics of a real server with two workers: one scrape has all, whichever process answers, and a kill loses nothing."""

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from logship.state.segment import DATA_BYTES, SIZE_BYTES
from tests.worker.serving import Server, free_port, until

REQUESTS = 60
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, int]]:
    port = free_port()
    words = "uvicorn metered:app --workers 2 --port {port} --no-access-log"
    with Server(tmp_path, words, LOGSHIP_METRICS=f"127.0.0.1:{port}") as server:
        server.wait_ready(2)
        yield server, port


def scrape(port: int, path: str = "/metrics", accept: str = "") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for family in parse(text) for sample in family.samples
    }


def total(text: str, name: str, **labels: str) -> float:
    """Return the sum of the samples of `name` that have `labels`."""
    return sum(value for (sample, has), value in samples(text).items() if sample == name and labels.items() <= dict(has).items())


def served_orders(text: str) -> float:
    return total(text, "http_server_request_duration_seconds_count", http_route="/order/{id}")


def test_one_scrape_has_all_workers_and_a_kill_loses_nothing(served: tuple[Server, int]) -> None:
    server, port = served
    with ThreadPoolExecutor(8) as pool:
        pids = {int(body) for _, body in pool.map(lambda number: server.ask(f"/order/{number}"), range(REQUESTS))}
    until(lambda: listens(port), "the endpoint of a worker")
    until(lambda: total(scrape(port), "orders_total") == REQUESTS, "the application's counter")
    for text in (scrape(port), scrape(server.port, "/metrics/")):
        assert served_orders(text) == REQUESTS
        assert total(text, "orders_total", kind="book", service="shop") == REQUESTS
        assert total(text, "basket_euros_bucket", le="100.0") == REQUESTS
        assert total(text, "logship_worker_up") == 2
        assert total(text, "logship_journal_limit_bytes") == 2 * (64 * 2**20 // SIZE_BYTES) * DATA_BYTES
        assert total(text, "http_server_response_body_size_bytes_sum", http_route="/order/{id}") > REQUESTS

    with ThreadPoolExecutor(4) as pool:
        hanging = [pool.submit(server.ask, "/slow") for _ in range(4)]
        until(lambda: total(scrape(port), "http_server_active_requests") >= 4, "four running requests")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert all(isinstance(request.exception(), OSError) for request in hanging)
    until(lambda: len(server.actions("worker-started")) >= 2 + len(pids), "the new workers")
    until(lambda: listens(port), "another worker that serves the metrics")
    text = scrape(port)
    assert total(text, "logship_worker_requests_total", reason="lost") == 4
    assert total(text, "logship_worker_restarts_total") == len(pids)
    assert served_orders(text) == REQUESTS
    assert total(text, "orders_total") == REQUESTS
    assert total(text, "http_server_active_requests") < 4
    if len(pids) == 2:  # the gauges of a killed worker end with it
        assert total(text, "queue_depth") == 0
    server.ask("/order/1")
    until(lambda: total(scrape(port), "orders_total") == REQUESTS + 1, "the counter goes on")
    assert served_orders(scrape(port)) == REQUESTS + 1


def test_a_scraper_that_accepts_openmetrics_gets_exemplars(served: tuple[Server, int]) -> None:
    server, port = served
    server.ask("/order/1", headers=[("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01")])
    until(lambda: listens(port), "the endpoint of a worker")
    text = scrape(port, accept="application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    exemplars = [
        sample.exemplar.labels
        for family in parse_openmetrics(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar is not None and sample.labels["http_route"] == "/order/{id}"
    ]
    assert exemplars == [{"trace_id": "ab" * 16}]
