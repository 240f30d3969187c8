"""A real Prometheus scrapes a real service through kills: increase() is what the client sent; gauges end with their worker."""

import json
import os
import random
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from logship.prometheus.families import GAUGES
from tests import needs
from tests.compose.stack import yaml
from tests.conftest import PROVE
from tests.worker.metrics.scraping import PROMETHEUS, WORKERS, Client, Prometheus, running, start, wait_replaced, warm
from tests.worker.metrics.test_metrics import samples, total
from tests.worker.serving import ROOT, Server, until

KILLS = 3 if PROVE else 1
BLOCKED = 4
pytestmark = [
    needs.program("prometheus", PROMETHEUS, "prometheus is not on PATH"),
    pytest.mark.timeout(300),
]
BOARD = json.loads((ROOT / "compose/grafana/dashboards/logship-workers-prometheus.json").read_text(encoding="utf-8"))
RULES = [
    rule
    for file in sorted((ROOT / "compose/prometheus/rules").glob("*.yaml"))
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


def series_of_routes(text: str) -> int:
    name = "http_server_request_duration_seconds_count"
    return sum(
        sample == name and dict(labels)["http_route"] in {"/order/{id}", "/slow", "/stock"}
        for sample, labels in samples(text)
    )


def busy(text: str) -> int:
    """The slot of a worker that is handling a request."""
    workers = [
        dict(labels)["worker"]
        for (name, labels), value in samples(text).items()
        if name == "http_server_active_requests" and value > 0
    ]
    return int(random.choice(workers).removeprefix("w"))


def play(client: Client, kills: int) -> None:
    """Kill workers with requests in flight, and end one in order."""
    for round_ in range(kills):
        client.orders(40)
        begun = client.begin_slow(8, 2.0, running)
        client.kill(busy(client.exposition()))
        client.settle(begun)
        wait_replaced(client)
        if round_ == kills // 2:
            client.kill(random.randrange(WORKERS), signal.SIGTERM)
            wait_replaced(client)
    client.orders(40)
    for _ in range(BLOCKED):
        client.get("/block", "/block")
    until(lambda: total(client.exposition(), "logship_worker_deaths_total") == client.kills, "the deaths")
    until(
        lambda: total(client.exposition(), "orders_total") == client.answered["/order/{id}"],
        "the application's counter",
    )


def check_increase(prometheus: Prometheus, client: Client, window: tuple[float, float], before: dict[str, int]) -> None:
    """Compare increase() with the client's count since `before`."""
    sent = {route: client.answered[route] - before[route] for route in ("/order/{id}", "/slow")}
    answered = prometheus.increase("http_server_request_duration_seconds_count", "http_route", window)
    assert {route: round(answered[route]) for route in sent} == sent
    reasons = prometheus.increase("logship_worker_requests_total", "reason", window)
    assert round(sum(reasons.values())) == sum(sent.values()) + BLOCKED + client.lost
    assert round(reasons["lost"]) == client.lost
    stalls = prometheus.increase('logship_worker_event_loop_stalls_total{reason!="not_scheduled"}', "service", window)
    seconds = prometheus.increase("logship_worker_event_loop_stalled_seconds_total", "service", window)
    assert round(stalls["shop"]) >= BLOCKED
    assert seconds["shop"] >= BLOCKED * 0.25
    by_service = {
        name: round(prometheus.increase(name, "service", window)["shop"])
        for name in ("logship_worker_restarts_total", "logship_worker_deaths_total", "orders_total")
    }
    assert by_service == {
        "logship_worker_restarts_total": client.ends,
        "logship_worker_deaths_total": client.kills,
        "orders_total": sent["/order/{id}"],
    }


def check_no_gauge_outlives_its_worker(prometheus: Prometheus, server: Server, client: Client) -> None:
    """Kill a worker while its supervisor is stopped, so that it is not replaced."""
    pid = client.pids()[2]
    supervisor = int(re.search(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]
    gauges = [gauge.name for gauge in GAUGES if gauge.name != "http_server_active_requests"]
    of_worker = f'{{__name__=~"{"|".join(gauges)}",worker="w2"}}'
    assert len(prometheus.query(of_worker)) > 10
    os.kill(supervisor, signal.SIGSTOP)
    try:
        client.kill(2)
        prometheus.next_scrapes(3)
        assert prometheus.query(of_worker) == []
        assert prometheus.query('logship_worker_requests_total{worker="w2"}') != []
        missing = next(rule["expr"] for rule in RULES if rule.get("alert") == "LogshipWorkerMissing")
        assert [row["metric"]["worker"] for row in prometheus.query(missing)] == ["w2"]
    finally:
        os.kill(supervisor, signal.SIGCONT)
    wait_replaced(client)
    prometheus.next_scrapes(3)
    assert len(prometheus.query("logship_worker_up")) == WORKERS
    assert sum(float(row["value"][1]) for row in prometheus.query("http_server_active_requests")) == 0


def queries_of_board() -> list[str]:
    queries = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    queries += [annotation["expr"] for annotation in BOARD["annotations"]["list"]]
    values = {"$service": "shop", "$worker": ".*", "$__rate_interval": "1m"}
    for name, value in values.items():
        queries = [query.replace(name, value) for query in queries]
    return queries


def check_queries(prometheus: Prometheus) -> None:
    """Every query of the dashboard has a result, every rule was evaluated, and every recorded series of workers is there."""
    assert [query for query in queries_of_board() if not prometheus.query(query)] == []
    groups: list[dict[str, Any]] = prometheus.api("rules")["groups"]
    evaluated = {
        rule["name"]: (rule["health"], rule.get("lastError", "")) for group in groups for rule in group["rules"]
    }
    assert set(evaluated.values()) == {("ok", "")}
    assert set(evaluated) == {rule.get("alert") or rule["record"] for rule in RULES}
    assert [rule["record"] for rule in RULES if "record" in rule and not prometheus.query(rule["record"])] == []


def test_increase_is_what_the_client_sent_through_kills(tmp_path: Path) -> None:
    server, port = start(tmp_path)
    with server:
        server.wait_ready(WORKERS)
        client = Client(server, port)
        with Prometheus(tmp_path / "prometheus", port) as prometheus:
            warm(client, series_of_routes)
            prometheus.next_scrapes()
            begin, before = prometheus.times()[-1], dict(client.answered)
            play(client, KILLS)
            prometheus.next_scrapes(3)
            check_increase(prometheus, client, (begin, prometheus.times()[-1]), before)
            check_queries(prometheus)
            assert {alert["labels"]["alertname"] for alert in prometheus.api("alerts")["alerts"]} >= {
                "LogshipWorkerCrashed"
            }
            check_no_gauge_outlives_its_worker(prometheus, server, client)
            server.end()
            prometheus.next_scrapes(2)
            assert prometheus.query("logship_worker_up") == []
        client.close()
