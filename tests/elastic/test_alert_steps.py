"""`logship setup elastic --alerts`, with a stand-in for Kibana that checks what it is sent."""

from collections.abc import Iterator

import pytest

from logship.elastic.alert_steps import alert_steps, space_of
from logship.elastic.alerts import ALERTS, rule_id
from logship.elastic.client import Kibana
from logship.elastic.setup import setup
from logship.errors import ElasticError, SettingsError
from logship.settings import load
from tests.elastic import kibana as stand_in

CRASHED = rule_id(next(alert for alert in ALERTS if alert.name == "LogshipWorkerCrashed"), "default")


@pytest.fixture
def there() -> Iterator[stand_in.Kibana]:
    with stand_in.running() as kibana:
        yield kibana


def client(url: str) -> Kibana:
    return Kibana(load({"kibana_url": url}, {"HOME": "/home/ada"}), sleep=lambda _: None)


def test_rules_are_created_once_and_found_again(there: stand_in.Kibana) -> None:
    steps = list(alert_steps(client(there.url)))
    assert [step.change for step in steps] == ["create"] * len(ALERTS)
    assert there.rules == {}
    for step in steps:
        step.do()
    assert there.rules.keys() == {rule_id(alert, "default") for alert in ALERTS}
    assert {kept["enabled"] for kept in there.rules.values()} == {True}
    assert [step.change for step in alert_steps(client(there.url))] == ["keep"] * len(ALERTS)


def test_a_changed_rule_is_put_back_and_keeps_its_actions_and_its_switch(there: stand_in.Kibana) -> None:
    for step in alert_steps(client(there.url)):
        step.do()
    kept = there.rules[CRASHED]
    frequency = {"summary": False, "notify_when": "onActionGroupChange", "throttle": None}
    action = {"group": "query matched", "id": "log", "params": {"message": "{{context.message}}"}, "frequency": frequency}
    kept["actions"] = [action | {"uuid": "u-1", "connector_type_id": ".server-log"}]
    kept["enabled"] = False
    kept["params"] |= {"threshold": [7]}
    changes = [step for step in alert_steps(client(there.url)) if step.change != "keep"]
    assert [(step.change, step.sentence) for step in changes] == [("change", "LogshipWorkerCrashed differs from logship's")]
    changes[0].do()
    after = there.rules[kept["id"]]
    assert after["params"]["threshold"] == [0]
    assert after["enabled"] is False
    (action_after,) = after["actions"]
    assert action_after == action | {"uuid": "u-1", "connector_type_id": ".server-log"}


def test_a_kibana_without_an_encryption_key_is_refused_before_anything_is_done(there: stand_in.Kibana) -> None:
    there.encrypted = False
    with pytest.raises(ElasticError, match=r"has no permanent encryption key, .*xpack\.encryptedSavedObjects\.encryptionKey"):
        list(alert_steps(client(there.url)))
    assert there.asked == ["GET /api/alerting/_health"]


def test_a_user_without_the_privilege_is_named(there: stand_in.Kibana) -> None:
    there.users = {"nobody": 200}
    with pytest.raises(ElasticError, match=r"does not allow reading the state of alerting without a user"):
        list(alert_steps(client(there.url)))


def test_a_foreign_rule_under_our_id_is_not_overwritten(there: stand_in.Kibana) -> None:
    there.rules[CRASHED] = {"rule_type_id": "metrics.alert.threshold"}
    with pytest.raises(ElasticError, match="has another rule at /api/alerting/rule/"):
        list(alert_steps(client(there.url)))


def test_what_kibana_does_not_take_is_said(there: stand_in.Kibana) -> None:
    steps = list(alert_steps(client(there.url)))
    there.rules[CRASHED] = {}  # made by somebody else meanwhile
    with pytest.raises(ElasticError, match="status 409 while putting the rule LogshipWorkerCrashed: a worker crashed"):
        steps[0].do()


def test_alerts_without_an_address_of_kibana_are_refused() -> None:
    with pytest.raises(SettingsError, match="--alerts creates rules in Kibana: set LOGSHIP_KIBANA_URL"):
        setup(load({}, {"HOME": "/home/ada"}), lambda _: True, alerts=True)


@pytest.mark.parametrize(
    ("url", "space"),
    [
        ("http://k:5601", "default"),
        ("https://k/kibana/", "default"),
        ("http://k:5601/s/ops", "ops"),
        ("https://k/kibana/s/ops/", "ops"),
    ],
)
def test_the_space_is_that_of_the_address(url: str, space: str) -> None:
    assert space_of(url) == space
