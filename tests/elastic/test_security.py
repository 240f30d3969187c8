"""Security on, over TLS: each role does its work and nothing else, found out by trying; and set-up says what is wrong."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copy

import pytest

from logship.elastic import access, hours, mapping, setup
from logship.elastic.client import connect
from logship.elastic.rollup import plan_rollup, write_totals
from logship.elastic.source import ElasticSource
from logship.errors import ElasticError
from logship.event.entry import TAG, pack
from logship.search.hourly import HOUR_NS
from logship.search.times import rfc3339
from logship.settings import Settings, load
from tests.elastic import server
from tests.elastic.node import Node, Server
from tests.pipelines import agent
from tests.pipelines.agent import Agent, to_elastic
from tests.proofs.scene import until
from tests.proofs.sender import Sender

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)

PASSWORD = "long-enough-to-be-one"
AT = "2026-11-21T11:52:11.104177493Z"
ROLE_OF = {
    "shipper": access.SHIPPER,
    "logstash": access.LOGSTASH,
    "reader": access.READER,
    "rollup": access.ROLLUP,
    "setup": access.SETUP,
    "root": "superuser",
    "nobody": "none",
}
HOME = {"HOME": "/home/ada"}


@pytest.fixture(scope="module")
def secured(certificate: tuple[str, str]) -> Iterator[Node]:
    """A node of this module's own, with a user for each role."""
    files = {"certificate": "http.pem", "key": "http-key.pem"}
    node = server.own(
        **{
            "xpack.security.enabled": "true",
            "xpack.security.autoconfiguration.enabled": "false",
            "xpack.security.transport.ssl.enabled": "false",
            "xpack.security.http.ssl.enabled": "true",
            **{f"xpack.security.http.ssl.{name}": file for name, file in files.items()},
        }
    )
    node.secure(certificate[0])
    for source, name in zip(certificate, files.values(), strict=True):
        copy(source, node.folder / "config" / name)
    # JSON is YAML.
    node.add_roles("".join(f"{name}: {json.dumps(body)}\n" for name, body in access.ROLES.items()))
    for user, role in ROLE_OF.items():
        node.add_user(user, PASSWORD, role)
    node.user, node.password = "root", PASSWORD
    with node:
        yield node


def told(node: Node, user: str, password: str = PASSWORD, **more: object) -> Settings:
    """Settings of `user`."""
    who = {"elastic_url": node.url, "elastic_ca_file": node.ca_file, "elastic_user": user, "elastic_password": password}
    return load({**who, **more}, HOME)


def create(name: str) -> str:
    """A bulk of one event."""
    return f'{{"create": {{"_id": "{name}"}}}}\n{{"@timestamp": "{AT}", "event.id": "{name}"}}\n'


def run_setup(settings: Settings) -> setup.Plan:
    with connect(settings) as client:
        plan = setup.make_plan(client, settings)
        setup.apply(client, settings, plan)
    return plan


def test_the_role_of_setup_is_enough_for_setup_also_the_second_time(secured: Node) -> None:
    first = run_setup(told(secured, "setup"))
    assert [step.change for step in first.steps][:3] == ["create", "create", "create"]
    assert not run_setup(told(secured, "setup")).changes
    assert any("logship_shipper is not changed" in note for note in first.notes)


def test_without_its_template_the_role_of_rollup_stores_nothing(secured: Node, namespace: str) -> None:
    """Before there is any stream that uses it. This role may not simulate a new stream."""
    run_setup(told(secured, "setup"))
    secured.must("DELETE", "/_index_template/logship.hours")
    put_request(secured, namespace)
    with pytest.raises(ElasticError, match=r"needs the index template logship\.hours.*: run `logship setup elastic`"):
        rolled_up(told(secured, "rollup", elastic_namespace=namespace))
    assert secured.ask("GET", f"/{hours.stream(namespace)}/_mapping")[0] == 404
    assert [step.path for step in run_setup(told(secured, "setup")).changes] == ["_index_template/logship.hours"]


def put_request(node: Node, namespace: str) -> None:
    """One request of two days ago."""
    request = {"event.dataset": "logship.request", "event.duration": 5, "service.name": "shop"}
    event = {"@timestamp": rfc3339(time.time_ns() - 48 * HOUR_NS), "event.id": "a-1", **request}
    assert [item["status"] for item in node.create(mapping.stream(namespace), [event])] == [201]


def rolled_up(settings: Settings) -> int:
    """How many totals a run stores."""
    with closing(ElasticSource(settings)) as source, connect(settings) as client:
        plan = plan_rollup(source, time.time_ns())
        return sum(len(day.stored) for day in write_totals(client, settings, source, plan))


def test_the_role_of_rollup_stores_totals_that_the_reader_reads_and_nothing_else(secured: Node, namespace: str) -> None:
    run_setup(told(secured, "setup"))
    put_request(secured, namespace)
    assert rolled_up(told(secured, "rollup", elastic_namespace=namespace)) == 1
    stream, who = hours.stream(namespace), ("rollup", PASSWORD)
    secured.must("POST", f"/{stream}/_refresh")
    with closing(ElasticSource(told(secured, "reader", elastic_namespace=namespace))) as source:
        (hour,) = source.hours(0, time.time_ns())
    assert (hour.service, hour.requests) == ("shop", 1)
    for user in ("reader", "shipper", "logstash"):
        _, answer = secured.ask("POST", f"/{stream}/_bulk", create("a-2"), (user, PASSWORD))
        assert answer.get("status") == 403 or answer["items"][0]["create"]["status"] == 403, user
    _, answer = secured.ask("POST", f"/{mapping.stream(namespace)}/_bulk", create("a-2"), who)
    assert answer["items"][0]["create"]["status"] == 403
    index = secured.must("GET", f"/{stream}/_mapping").popitem()[0]
    for method, path in [("DELETE", f"/{index}"), ("POST", f"/{stream}/_rollover"), ("GET", "/_index_template")]:
        assert secured.ask(method, path, {} if method == "POST" else None, who)[0] == 403, path


def test_the_reader_may_not_store_totals(secured: Node, namespace: str) -> None:
    run_setup(told(secured, "setup"))
    put_request(secured, namespace)
    with pytest.raises(ElasticError, match=r"The role logship_rollup may create totals in metrics-"):
        rolled_up(told(secured, "reader", elastic_namespace=namespace))


def test_the_shipper_creates_and_nothing_else(secured: Node, namespace: str) -> None:
    run_setup(told(secured, "setup"))
    stream, who = mapping.stream(namespace), ("shipper", PASSWORD)
    event = create("a-1")
    status, answer = secured.ask("POST", f"/{stream}/_bulk?refresh=true", event, who)
    assert (status, answer["items"][0]["create"]["status"]) == (200, 201)
    _, again = secured.ask("POST", f"/{stream}/_bulk", event, who)
    assert again["items"][0]["create"]["status"] == 409
    _, elsewhere = secured.ask("POST", "/logs-other-default/_bulk", event, who)
    assert elsewhere["items"][0]["create"]["status"] == 403
    index = secured.hits(stream)[0]["_index"]
    _, gone = secured.ask("POST", f"/{index}/_bulk", '{"delete": {"_id": "a-1"}}\n', who)
    assert gone["items"][0]["delete"]["status"] == 403
    for method, path in [
        ("POST", f"/{stream}/_search"),
        ("POST", f"/{stream}/_count"),
        ("GET", f"/{index}/_doc/a-1"),
        ("DELETE", f"/{index}"),
        ("POST", f"/{stream}/_rollover"),
        ("GET", "/_index_template"),
        ("GET", "/_cluster/health"),
    ]:
        assert secured.ask(method, path, None if method != "POST" else {}, who)[0] == 403, (method, path)
    assert secured.count(stream) == 1


def test_the_reader_reads_our_streams_and_nothing_else(secured: Node, namespace: str) -> None:
    run_setup(told(secured, "setup"))
    stream, who = mapping.stream(namespace), ("reader", PASSWORD)
    secured.create(stream, [{"@timestamp": AT, "event.id": "a-1"}])
    status, _ = secured.ask("PUT", "/secrets/_doc/1?refresh=true", {"a": 1})
    assert status in {200, 201}
    for method, path in [
        ("POST", f"/{stream}/_search"),
        ("POST", f"/{stream}/_count"),
        ("POST", f"/{stream}/_pit?keep_alive=1m"),
        ("GET", f"/{stream}/_field_caps?fields=*"),
        ("GET", f"/{stream}/_mapping"),
    ]:
        assert secured.ask(method, path, {} if path.endswith(("_search", "_count")) else None, who)[0] == 200, path
    status, answer = secured.ask("POST", f"/{stream}/_bulk", create("a-2"), who)
    assert status == 403 or answer["items"][0]["create"]["status"] == 403
    index = secured.hits(stream)[0]["_index"]
    for method, path in [("DELETE", f"/{index}/_doc/a-1"), ("DELETE", f"/{index}"), ("GET", "/secrets/_doc/1")]:
        assert secured.ask(method, path, None, who)[0] == 403, (method, path)
    seen = secured.ask("POST", "/_search", {"size": 100}, who)[1]["hits"]["hits"]
    ours = ("logs-logship.events", "metrics-logship.hours")
    assert [hit["_index"] for hit in seen if not any(name in hit["_index"] for name in ours)] == []
    assert seen != []


@agent.needed
def test_the_shippers_rights_are_enough_for_fluent_bit_and_a_wrong_password_loses_nothing(
    secured: Node, namespace: str, tmp_path: Path
) -> None:
    run_setup(told(secured, "setup"))
    stream = mapping.stream(namespace)
    entries = [pack(time.time_ns(), {"event.id": f"a-{number}", "event.sequence": number}) for number in range(500)]
    shipper = to_elastic(secured, namespace) | {"ES_USER": "shipper", "ES_PASSWORD": "wrong"}
    with Agent(tmp_path, shipper) as fluent_bit:
        fluent_bit.wait_ready()
        with Sender(fluent_bit.port) as sender:
            assert sender.send(TAG, entries) == sender.acknowledged()
        until(lambda: "unable to authenticate" in fluent_bit.said(), fluent_bit.said)
    assert secured.count(stream) == 0
    with Agent(tmp_path, shipper | {"ES_PASSWORD": PASSWORD}) as fluent_bit:
        until(lambda: secured.count(stream) == len(entries), fluent_bit.said)
    assert {hit["_id"] for hit in secured.hits(stream)} == {f"a-{number}" for number in range(500)}


def test_logstash_may_ask_what_its_output_asks_first_and_then_create(secured: Node, namespace: str) -> None:
    """This build has no `GET /`, so the right to it is asked for."""
    run_setup(told(secured, "setup"))
    stream, rights = mapping.stream(namespace), {"cluster": ["cluster:monitor/main"]}
    has = {
        user: secured.ask("POST", "/_security/user/_has_privileges", rights, (user, PASSWORD))[1]["has_all_requested"]
        for user in ("shipper", "logstash")
    }
    assert has == {"shipper": False, "logstash": True}
    assert secured.ask("GET", "/_license", None, ("shipper", PASSWORD))[0] == 403
    status, license_ = secured.ask("GET", "/_license", None, ("logstash", PASSWORD))
    assert (status, license_["license"]["status"]) == (200, "active")
    _, answer = secured.ask("POST", f"/{stream}/_bulk?refresh=true", create("a-1"), ("logstash", PASSWORD))
    assert answer["items"][0]["create"]["status"] == 201
    for method, path in [("POST", f"/{stream}/_search"), ("POST", f"/{stream}/_rollover"), ("DELETE", "/_index_template/x")]:
        assert secured.ask(method, path, {} if method == "POST" else None, ("logstash", PASSWORD))[0] == 403, path


def test_setup_may_not_read_events(secured: Node, namespace: str) -> None:
    run_setup(told(secured, "setup"))
    stream = mapping.stream(namespace)
    secured.create(stream, [{"@timestamp": AT, "event.id": "a-1"}])
    assert secured.ask("POST", f"/{stream}/_search", {}, ("setup", PASSWORD))[0] == 403
    assert secured.ask("PUT", "/_security/role/x", {}, ("setup", PASSWORD))[0] == 403


@pytest.mark.parametrize(
    ("user", "password", "sentence"),
    [
        ("setup", "wrong", "does not accept user 'setup'"),
        ("", "", "requires authentication: set LOGSHIP_ELASTIC_API_KEY, or LOGSHIP_ELASTIC_USER"),
        (
            "reader",
            PASSWORD,
            r"set-up needs: manage on logs-logship.events-\*, manage on metrics-logship.hours-\*, manage_index_templates",
        ),
        ("nobody", PASSWORD, "lacks what set-up needs"),
    ],
)
def test_who_may_not_is_told_so_before_anything_is_done(secured: Node, user: str, password: str, sentence: str) -> None:
    with connect(told(secured, user, password)) as client, pytest.raises(ElasticError, match=sentence):
        setup.make_plan(client, told(secured, user, password))


def test_users_are_not_made_without_the_right_to(secured: Node) -> None:
    settings = told(secured, "setup", elastic_shipper_password="new-password")
    with connect(settings) as client, pytest.raises(ElasticError, match="requires the cluster privilege manage_security"):
        setup.make_plan(client, settings)


def test_a_certificate_of_an_unknown_authority_is_said(secured: Node) -> None:
    settings = load({"elastic_url": secured.url, "elastic_user": "setup", "elastic_password": PASSWORD}, HOME)
    with (
        connect(settings) as client,
        pytest.raises(ElasticError, match=r"cannot be reached at https.*self.signed certificate"),
    ):
        setup.make_plan(client, settings)


@server.full
def test_users_and_keys_are_made_on_a_full_server(elastic: Node) -> None:
    settings = load(
        {
            "elastic_url": elastic.url,
            "elastic_user": elastic.user,
            "elastic_password": elastic.password,
            "elastic_ca_file": elastic.ca_file,
            "elastic_shipper_password": PASSWORD,
            "elastic_reader_password": PASSWORD,
            "elastic_logstash_password": PASSWORD,
            "elastic_rollup_password": PASSWORD,
        },
        HOME,
    )
    run_setup(settings)
    assert elastic.ask("POST", "/_security/_authenticate", None, (access.SHIPPER, PASSWORD))[0] == 200
    assert elastic.ask("GET", "/", None, (access.LOGSTASH, PASSWORD))[0] == 200
    roles = {f"_security/role/{name}": "keep" for name in (access.SHIPPER, access.LOGSTASH, access.READER, access.ROLLUP)}
    with connect(settings) as client:
        again = {step.path: step.change for step in setup.make_plan(client, settings).steps}
    assert again.items() >= roles.items()
    assert elastic.ask("POST", f"/{mapping.PATTERN}/_search", {}, (access.SHIPPER, PASSWORD))[0] == 403
    assert elastic.ask("POST", f"/{mapping.PATTERN}/_search", {}, (access.READER, PASSWORD))[0] == 200
    with connect(settings) as client:
        key = access.make_api_key(client, settings, access.READER, f"test-{server.new_namespace()}")
    reader = Server(elastic.url, ca_file=elastic.ca_file, api_key=key)
    assert reader.ask("POST", f"/{mapping.PATTERN}/_search", {})[0] == 200
    assert reader.ask("POST", f"/{mapping.stream('default')}/_doc", {"@timestamp": AT})[0] == 403
