"""`logship doctor` follows one event from here through the real Fluent Bit into the real Elasticsearch."""

import json
import os
import socket
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from logship.doctor.elasticsearch import follow
from logship.doctor.report import elastic_is_the_source
from logship.elastic import mapping
from logship.search.times import rfc3339
from logship.settings import load
from tests.cli.conftest import invoke
from tests.elastic.node import Server
from tests.pipelines import agent
from tests.pipelines.agent import Agent, to_elastic
from tests.proofs.scene import free_port

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)


@agent.needed
@pytest.mark.parametrize("words", [(), ("--source", "elastic")], ids=["address alone", "named"])
def test_the_whole_way_is_found_good(words: tuple[str, ...], tmp_path: Path, elastic: Server, namespace: str) -> None:
    with Agent(tmp_path, to_elastic(elastic, namespace)) as fluent_bit:
        fluent_bit.wait_ready()
        around = {
            "LOGSHIP_AGENT": f"127.0.0.1:{fluent_bit.port}",
            "LOGSHIP_HTTP": f"127.0.0.1:{free_port()}",
            "LOGSHIP_ELASTIC_URL": elastic.url,
            "LOGSHIP_ELASTIC_NAMESPACE": namespace,
            "LOGSHIP_ELASTIC_USER": elastic.user,
            "LOGSHIP_ELASTIC_PASSWORD": elastic.password,
            "LOGSHIP_ELASTIC_CA_FILE": elastic.ca_file,
        }
        told = invoke(tmp_path, "doctor", "--send", *words, "--json", **around)
    found = {one["what"]: (one["mark"], one["found"]) for one in map(json.loads, told.stdout.splitlines())}
    for hop in ("elasticsearch", "templates", "worker to agent", "agent to elasticsearch"):
        assert found[hop][0] == "good", found[hop]
    assert "logship up" not in told.stdout
    (stored,) = elastic.hits(mapping.stream(namespace))
    assert stored["_source"]["event.dataset"] == "logship.doctor"


def test_nobody_at_the_agents_place_is_the_broken_hop(tmp_path: Path, elastic: Server, namespace: str) -> None:
    around = {
        "LOGSHIP_AGENT": "127.0.0.1:9",
        "LOGSHIP_ELASTIC_URL": elastic.url,
        "LOGSHIP_ELASTIC_NAMESPACE": namespace,
    }
    around |= {"LOGSHIP_ELASTIC_USER": elastic.user, "LOGSHIP_ELASTIC_PASSWORD": elastic.password}
    told = invoke(tmp_path, "doctor", "--send", "--source", "elastic", "--json", **around)
    marks = {one["what"]: one["mark"] for one in map(json.loads, told.stdout.splitlines())}
    assert told.returncode == 1
    assert (marks["templates"], marks["worker to agent"]) == ("good", "wrong")
    assert "agent to elasticsearch" not in marks


def test_a_collector_of_this_machine_comes_before_elasticsearch(tmp_path: Path) -> None:
    """Its events do not go to Elasticsearch, and would be waited for in vain."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        around = {"LOGSHIP_HTTP": f"127.0.0.1:{collector.getsockname()[1]}", "LOGSHIP_ELASTIC_URL": "http://127.0.0.1:9"}
        with mock.patch.dict(os.environ, around):
            assert not elastic_is_the_source(load())
        collector.close()
        with mock.patch.dict(os.environ, around):
            assert elastic_is_the_source(load())
            assert not elastic_is_the_source(load({"source": str(tmp_path)}))
        assert not elastic_is_the_source(load(environment={"LOGSHIP_HTTP": "off"}))


@pytest.mark.parametrize(("change", "mark"), [({}, "good"), ({"message": "another"}, "look")])
def test_an_event_that_comes_back_nested_is_the_same(
    change: dict[str, str], mark: str, elastic: Server, namespace: str
) -> None:
    """As from an index that rebuilds `_source`, or from a pipeline that expands dots."""
    given = {"elastic_url": elastic.url, "elastic_namespace": namespace}
    given |= {"elastic_user": elastic.user, "elastic_password": elastic.password, "elastic_ca_file": elastic.ca_file}
    settings = load({name: value for name, value in given.items() if value}, {"HOME": "/home/ada"})

    def put(ns: int, event: dict[str, Any]) -> None:
        nested: dict[str, Any] = {"@timestamp": rfc3339(ns)}
        for name, value in (event | change).items():
            first, _, rest = name.partition(".")
            nested.setdefault(first, {}).update({rest: value}) if rest else nested.update({name: value})
        line = json.dumps({"create": {"_id": event["event.id"]}}) + "\n" + json.dumps(nested) + "\n"
        answer = elastic.must("POST", f"/{mapping.stream(namespace)}/_bulk?refresh=true", line)
        assert answer["items"][0]["create"]["status"] == 201

    last = list(follow(settings, put))[-1]
    assert (last.what, last.mark) == ("agent to elasticsearch", mark), last
