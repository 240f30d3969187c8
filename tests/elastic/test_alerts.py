"""Alerting rules for Kibana: bodies that it accepts, and queries that find their fault, and nothing on healthy data."""

import json
import operator
import re
import uuid
from typing import Any

import pytest

from kibana import alerts
from logship.elastic import mapping
from logship.elastic.alerts import ALERTS, Alert, new_rule, query, rule, rule_id
from logship.event import build, stall
from logship.event.stall import Stall
from logship.search.times import rfc3339
from tests.compose.stack import ROOT, yaml
from tests.elastic import kibana_rules, server
from tests.elastic.node import Server

SECOND, MINUTE = 10**9, 60 * 10**9
NOW = 1_795_000_000 * SECOND
BY_NAME = {alert.name: alert for alert in ALERTS}
RUNBOOKS = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/kibana.md").read_text(encoding="utf-8")
PROMETHEUS = {
    rule["alert"]: rule["labels"]["severity"]
    for group in yaml.safe_load((ROOT / "compose/prometheus/rules/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}

Document = dict[str, Any]


# The bodies.


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_kibana_accepts_every_rule(alert: Alert) -> None:
    assert kibana_rules.invalid(new_rule(alert), new=True) == ""
    assert kibana_rules.invalid(rule(alert), new=False) == ""
    assert kibana_rules.invalid(new_rule(alert), new=False).startswith("[request body.consumer]")
    assert json.loads(rule(alert)["params"]["esQuery"]) == {"query": query(alert)}


def test_each_alert_for_prometheus_has_a_rule_or_a_reason_and_the_page_says_which() -> None:
    assert BY_NAME.keys() | alerts.WITHOUT_RULE.keys() == PROMETHEUS.keys()
    assert not BY_NAME.keys() & alerts.WITHOUT_RULE.keys()
    assert {alert.name: alert.severity for alert in ALERTS} == {name: PROMETHEUS[name] for name in BY_NAME}
    assert dict(re.findall(r"(?m)^\| `(Logship\w+)` \| (.+) \|$", PAGE)) == alerts.rows()
    assert all(f"\n## {name}\n" in RUNBOOKS for name in BY_NAME)


def test_ids_are_the_same_each_time_and_differ_between_spaces() -> None:
    ids = [rule_id(alert, space) for alert in ALERTS for space in ("default", "ops")]
    assert len(set(ids)) == 2 * len(ALERTS)
    assert {uuid.UUID(name).version for name in ids} == {4}
    assert rule_id(ALERTS[0], "default") == "aaf254a2-5092-48d0-aba8-4cd05904a972"


# The queries, on a real Elasticsearch.


class Fleet:
    """Four workers of a service, whose events are built as workers build them."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self._sequence = 0

    def tells(self, slot: int, ago_ns: int, fields: dict[str, object]) -> None:
        """Add an event of a worker, `ago_ns` before `NOW`."""
        self._sequence += 1
        worker = build.Worker(f"{slot:024x}", "shop", "host-1", 4000 + slot, instance="8000", slot=slot, generation=1)
        head = {"@timestamp": rfc3339(NOW - ago_ns), "event.id": f"e-{self._sequence:06d}", "event.sequence": self._sequence}
        self.documents.append(head | worker.fields() | fields)

    def request(self, slot: int, ago_ns: int, status: int = 200, duration_ns: int = 40 * 10**6) -> None:
        self.tells(slot, ago_ns, {
            "event.dataset": "logship.request", "event.action": "http-request", "event.duration": duration_ns,
            "http.response.status_code": status, "http.route": "/orders/{id}", "http.request.method": "GET",
            "event.outcome": "failure" if status >= 500 else "success", "message": f"GET /orders/1 {status}",
        })  # fmt: skip

    def heartbeat(self, slot: int, ago_ns: int, queue: int = 0, dropped: int = 0) -> None:
        counters = build.Counters(100, 99, {"journal_full": dropped, "refused": 0})
        queues = {"logship.accept_queue.connections": queue, "logship.accept_queue.limit": 2048}
        self.tells(slot, ago_ns, build.heartbeat(counters) | queues)


def healthy() -> Fleet:
    """Twenty minutes in which nothing is wrong: a deploy, a few failures, one slow request, one stall. A crash was before."""
    fleet = Fleet()
    fleet.tells(3, 50 * MINUTE, build.ended(build.Death(rfc3339(NOW - 49 * MINUTE), evidence="host_restarted")))
    for slot in range(4):
        fleet.tells(slot, 12 * MINUTE, build.closed(build.Counters(10, 10, {})))
        fleet.tells(slot, 12 * MINUTE - SECOND, build.started("uvicorn", True))
        for second in range(5, 20 * 60, 10):
            fleet.heartbeat(slot, second * SECOND, queue=3 if second % 60 == 5 else 0)
            fleet.request(slot, second * SECOND + 1)
    for number in range(4):
        fleet.request(0, number * MINUTE, status=500)
    fleet.request(1, 5 * MINUTE, duration_ns=30 * SECOND)
    fleet.tells(2, 6 * MINUTE, stall.stalled(Stall(NOW, 900 * 10**6, "blocking_call", 1)))
    for number in range(5):
        fleet.tells(2, number * MINUTE, stall.stalled(Stall(NOW, 2 * SECOND, "not_scheduled", 1)))
    return fleet


def crashed(fleet: Fleet) -> None:
    # It is found three minutes ago, when a host was started again.
    fleet.tells(2, 40 * MINUTE, build.ended(build.Death(rfc3339(NOW - 3 * MINUTE), (("r-1", "GET", "/export", 900),))))


def restarting(fleet: Fleet) -> None:
    for number in range(5):
        fleet.tells(2, number * MINUTE, build.started("uvicorn", True))


def failing(fleet: Fleet) -> None:
    for number in range(12):
        fleet.request(number % 4, number * SECOND, status=503)


def slow(fleet: Fleet) -> None:
    for number in range(400):
        fleet.request(number % 4, number * SECOND, duration_ns=3 * SECOND)


def waiting(fleet: Fleet) -> None:
    for document in fleet.documents:
        if document.get("service.node.name", "").endswith("w2") and "logship.accept_queue.connections" in document:
            document["logship.accept_queue.connections"] = 5


def stalling(fleet: Fleet) -> None:
    for number in range(4):
        fleet.tells(2, number * MINUTE, stall.stalled(Stall(NOW, 600 * 10**6, "computing", 3)))


def dropping(fleet: Fleet) -> None:
    fleet.heartbeat(2, SECOND, dropped=17)


def silent(fleet: Fleet) -> None:
    border = rfc3339(NOW - 11 * MINUTE)
    fleet.documents[:] = [document for document in fleet.documents if document["@timestamp"] < border]


# The fault of each alert, and the group in which it is active.
W2 = "host-1/8000/w2"
FAULTS = {
    "LogshipWorkerCrashed": (crashed, W2),
    "LogshipWorkerRestartLoop": (restarting, W2),
    "LogshipErrorBudgetBurnsFast": (failing, "shop"),
    "LogshipLatencyHigh": (slow, "shop"),
    "LogshipAcceptQueueGrowing": (waiting, W2),
    "LogshipEventLoopStalls": (stalling, W2),
    "LogshipEventsDropped": (dropping, W2),
    "LogshipElasticsearchBehind": (silent, "all documents"),
}


def active(elastic: Server, stream: str, params: dict[str, Any]) -> set[str]:
    """Return the groups in which a rule is active: its search as Kibana sends it, except for the script that compares, which this
    build of Elasticsearch cannot run."""
    window = {"gte": rfc3339(NOW - params["timeWindowSize"] * MINUTE), "lte": rfc3339(NOW), "format": "strict_date_optional_time"}
    filters = [json.loads(params["esQuery"])["query"], {"bool": {"filter": [{"range": {params["timeField"]: window}}]}}]
    body: dict[str, Any] = {"size": 0, "track_total_hits": True, "query": {"bool": {"filter": filters}}}
    statistic = params["aggType"]
    metric = {} if statistic == "count" else {"metricAgg": {statistic: {"field": params["aggField"]}}}
    if params["groupBy"] == "top":
        terms: dict[str, Any] = {"field": params["termField"], "size": params["termSize"]}
        if metric:
            terms["order"] = {"metricAgg": "asc" if statistic == "min" else "desc"}
        body["aggs"] = {"groupAgg": {"terms": terms, "aggs": metric | {"topHitsAgg": {"top_hits": {"size": params["size"]}}}}}
    answer = elastic.must("POST", f"/{stream}/_search", body)
    total = {"key": "all documents", "doc_count": answer["hits"]["total"]["value"]}
    buckets = answer["aggregations"]["groupAgg"]["buckets"] if "aggs" in body else [total]
    values = {bucket["key"]: bucket["metricAgg"]["value"] if metric else bucket["doc_count"] for bucket in buckets}
    (threshold,) = params["threshold"]
    beyond = {">": operator.gt, "<": operator.lt}[params["thresholdComparator"]]
    return {name for name, value in values.items() if beyond(value, threshold)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*FAULTS, "healthy"])
def test_each_rule_finds_its_fault_and_nothing_on_healthy_data(name: str, elastic: Server) -> None:
    fleet, expected = healthy(), {alert.name: set[str]() for alert in ALERTS}
    if name in FAULTS:
        fault, group = FAULTS[name]
        fault(fleet)
        expected[name] = {group}
    stream = mapping.stream(server.new_namespace())
    assert {answer["status"] for answer in elastic.create(stream, fleet.documents)} == {201}
    told = {alert.name: active(elastic, stream, rule(alert)["params"]) for alert in ALERTS}
    assert told == expected


def test_every_rule_is_tried() -> None:
    assert FAULTS.keys() == BY_NAME.keys()
