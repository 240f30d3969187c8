"""Alerts as rules of Kibana's type `.es-query`, which a free licence has: a query, counted or aggregated by worker.

They are the alerts of `compose/prometheus/rules` that events can answer, under the same names. Such a rule compares one number
with a threshold: it cannot divide (a share of failures), and a worker without events is not in its groups. docs/kibana.md lists
the differences, and the alerts without a rule.
Source of the bodies: Kibana's API documentation, `POST /api/alerting/rule/{id}`."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

from logship.elastic.mapping import PATTERN
from logship.search import kql
from logship.search.dsl import dsl
from logship.search.views import BEATS, BY_NAME, DURATION, FAILURES, NODE, SERVED

Body = dict[str, Any]

RULE_TYPE: Final = ".es-query"
SERVICE: Final = "service.name"
# Kibana allows 1,000 groups. Those beyond it would be left out.
GROUPS: Final = 1000
# Events in the notice of an alert.
SHOWN: Final = 10
INTERVAL: Final = "1m"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. It is active where the number of events of the last `minutes`, or `statistic` of `number`, is beyond `threshold`.

    `name`: that of the alert for Prometheus; its section of docs/runbooks.md applies. `where`: KQL. `group`: the field whose
    values are judged separately, "" for none. `runs`: checks in a row, one a minute, before the alert is active. `time`: the
    field whose value must be within the last `minutes`."""

    name: str
    title: str
    where: str
    threshold: int
    minutes: int
    group: str
    severity: Literal["critical", "warning"]
    comparator: Literal[">", "<"] = ">"
    statistic: Literal["count", "avg", "min"] = "count"
    number: str = ""
    runs: int = 1
    time: str = "@timestamp"


ALERTS: Final = (
    Alert(
        # A crash has the time of the last sign of life. It may be found much later, for instance after a restart of the host.
        "LogshipWorkerCrashed", "a worker crashed", "event.action: worker-lost", 0, 15, NODE, "warning", time="event.created",
    ),
    Alert(
        "LogshipWorkerRestartLoop", "more than 3 starts of a worker in 15 minutes", "event.action: worker-started", 3, 15, NODE,
        "critical",
    ),
    Alert(
        "LogshipErrorBudgetBurnsFast", "more than 10 requests failed in 5 minutes", FAILURES, 10, 5, SERVICE, "critical",
    ),
    Alert(
        "LogshipLatencyHigh", "requests take more than 1 s on average", SERVED, 10**9, 10, SERVICE, "warning",
        statistic="avg", number=DURATION,
    ),
    Alert(
        "LogshipAcceptQueueGrowing", "connections waited to be accepted at every heartbeat",
        f"{BEATS} and logship.accept_queue.connections: *", 0, 5, NODE, "critical",
        statistic="min", number="logship.accept_queue.connections", runs=2,
    ),
    Alert(
        "LogshipEventLoopStalls", "the event loop of a worker is blocked repeatedly",
        "event.action: loop-stalled and not event.reason: not_scheduled and event.duration >= 500000000", 2, 10, NODE, "warning",
    ),
    Alert(
        "LogshipEventsDropped", "a worker dropped events", BY_NAME["drops"].where, 0, 15, NODE, "critical",
    ),
    Alert(
        "LogshipElasticsearchBehind", "no heartbeat for 10 minutes", "event.action: worker-heartbeat", 1, 10, "", "warning",
        comparator="<",
    ),
)  # fmt: skip


def rule_id(alert: Alert, space: str) -> str:
    """Return the id of the rule: the same each time, another one in each space, because Kibana's ids are unique across spaces."""
    digest = hashlib.blake2b(f"logship/{space}/{alert.name}".encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))


def query(alert: Alert) -> Body:
    """Return what the rule searches for, without its times."""
    return dsl(kql.parse(alert.where), 0, is_label=lambda _: False)


def rule(alert: Alert) -> Body:
    """Return what `PUT /api/alerting/rule/{id}` takes, without actions: the operator chooses where alerts are sent."""
    params: Body = {
        "searchType": "esQuery",
        "index": [PATTERN],
        "timeField": alert.time,
        "esQuery": json.dumps({"query": query(alert)}, sort_keys=True),
        "size": SHOWN,
        "timeWindowSize": alert.minutes,
        "timeWindowUnit": "m",
        "thresholdComparator": alert.comparator,
        "threshold": [alert.threshold],
        "aggType": alert.statistic,
        "groupBy": "top" if alert.group else "all",
        # Otherwise a count begins anew at each check.
        "excludeHitsFromPreviousRun": False,
    }
    if alert.number:
        params["aggField"] = alert.number
    if alert.group:
        params |= {"termField": alert.group, "termSize": GROUPS}
    return {
        "name": f"{alert.name}: {alert.title}",
        "tags": ["logship", alert.severity],
        "schedule": {"interval": INTERVAL},
        "params": params,
        "alert_delay": {"active": alert.runs},
    }


def new_rule(alert: Alert) -> Body:
    """Return what `POST /api/alerting/rule/{id}` takes."""
    return rule(alert) | {"rule_type_id": RULE_TYPE, "consumer": "stackAlerts", "enabled": True, "actions": []}
