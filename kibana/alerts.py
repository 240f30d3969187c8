"""How the alerting rules for Kibana differ from the alerts for Prometheus: the table of docs/kibana.md. A test compares them."""

from typing import Final

from logship.elastic.alerts import ALERTS

DIFFERS: Final = {
    "LogshipErrorBudgetBurnsFast": "more than 10 failed requests in 5 minutes: a number, not a share",
    "LogshipLatencyHigh": "the mean of 10 minutes is over 1 s, instead of p99",
    "LogshipAcceptQueueGrowing": "the queue was not empty at any heartbeat of 5 minutes, whether it grows or not",
    "LogshipEventLoopStalls": "at least three stalls of half a second in 10 minutes; shorter ones are not added up",
    "LogshipEventsDropped": "active until the worker ends, because heartbeats have the sum since its start",
    "LogshipElasticsearchBehind": "no heartbeat of any worker for 10 minutes",
}
# The other alerts for Prometheus, and why they have no rule.
WITHOUT_RULE: Final = {
    "LogshipWorkerMissing": "a group without events is not in the result of a query",
    "LogshipErrorBudgetBurnsSlowly": "it is a share of requests, which these rules cannot divide",
    "LogshipWorkersUnbalanced": "it compares groups with each other",
    "LogshipJournalFilling": "the heartbeats that would report it are in that journal",
    "LogshipCollectorNotStoring": "the collector does not send to Elasticsearch",
    "LogshipCollectorDeadLetters": "the collector does not send to Elasticsearch",
    "LogshipFluentBitGaveUp": "Fluent Bit's counters are not in Elasticsearch",
    "LogshipTargetDown": "it is about Prometheus' own scrapes",
}


def rows() -> dict[str, str]:
    """Return what the table says of each alert, by its name."""
    same = {alert.name: DIFFERS.get(alert.name, "the same") for alert in ALERTS}
    return same | {name: f"no rule: {why}" for name, why in WITHOUT_RULE.items()}
