"""The steps of `logship setup elastic --alerts`: alerting rules in Kibana.

What users choose for a rule stays: its actions, and whether it is enabled."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from logship.elastic.access import Step
from logship.elastic.alerts import ALERTS, RULE_TYPE, Alert, Body, new_rule, rule, rule_id
from logship.elastic.client import Kibana
from logship.elastic.compare import contains
from logship.errors import ElasticError

# What a rule's action may have in a request; the response has more.
ACTION_KEYS: Final = ("group", "id", "params", "frequency", "uuid", "alerts_filter", "use_alert_data_for_template")


def alert_steps(kibana: Kibana) -> Iterator[Step]:
    """Yield one step for each alert. ElasticError if Kibana cannot keep rules, or another rule has the id of ours."""
    _require_encryption(kibana)
    for alert in ALERTS:
        yield _step(kibana, alert)


def _require_encryption(kibana: Kibana) -> None:
    health = kibana.must("reading the state of alerting", *kibana.ask("GET", "/api/alerting/_health"))
    if not health.get("has_permanent_encryption_key"):
        raise ElasticError(
            f"Kibana at {kibana.url} has no permanent encryption key, which alerting rules need: set "
            "xpack.encryptedSavedObjects.encryptionKey in kibana.yml, or leave out --alerts"
        )


def _step(kibana: Kibana, alert: Alert) -> Step:
    path = f"/api/alerting/rule/{rule_id(alert, space_of(kibana.url))}"
    status, there = kibana.ask("GET", path)
    if status == 404:
        return Step("create", path[1:], f"{alert.name} does not exist yet", _send(kibana, "POST", path, new_rule(alert)))
    kibana.must(f"reading the rule {alert.name}", status, there)
    if there.get("rule_type_id") != RULE_TYPE:
        raise ElasticError(f"Kibana at {kibana.url} has another rule at {path}: delete it, then retry")
    wanted = rule(alert)
    change = _send(kibana, "PUT", path, wanted | {"actions": [_action(kept) for kept in there.get("actions", [])]})
    if contains(there, wanted):
        return Step("keep", path[1:], f"{alert.name} is up to date", change)
    return Step("change", path[1:], f"{alert.name} differs from logship's", change)


def _send(kibana: Kibana, method: str, path: str, body: Body) -> Callable[[], object]:
    data = json.dumps(body).encode()
    return lambda: kibana.must(f"putting the rule {body['name']}", *kibana.ask(method, path, data, "application/json"))


def _action(kept: dict[str, Any]) -> Body:
    """Return an action of a response as a request has it."""
    return {name: kept[name] for name in ACTION_KEYS if kept.get(name) is not None}


def space_of(url: str) -> str:
    """Return the space in the address of Kibana, "default" without one."""
    _, marked, space = urlsplit(url).path.rstrip("/").rpartition("/s/")
    return space if marked and "/" not in space else "default"
