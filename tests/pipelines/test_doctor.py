"""`logship doctor` follows one event from here through the real Fluent Bit into the real Elasticsearch."""

import json
from pathlib import Path

import pytest

from logship.elastic import mapping
from tests.cli.conftest import invoke
from tests.elastic.node import Server
from tests.pipelines import agent
from tests.pipelines.agent import Agent, to_elastic

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = [agent.needed, pytest.mark.timeout(300)]


def test_the_whole_way_is_found_good(tmp_path: Path, elastic: Server, namespace: str) -> None:
    with Agent(tmp_path, to_elastic(elastic, namespace)) as fluent_bit:
        fluent_bit.wait_ready()
        around = {
            "LOGSHIP_AGENT": f"127.0.0.1:{fluent_bit.port}",
            "LOGSHIP_ELASTIC_URL": elastic.url,
            "LOGSHIP_ELASTIC_NAMESPACE": namespace,
            "LOGSHIP_ELASTIC_USER": elastic.user,
            "LOGSHIP_ELASTIC_PASSWORD": elastic.password,
            "LOGSHIP_ELASTIC_CA_FILE": elastic.ca_file,
        }
        told = invoke(tmp_path, "doctor", "--send", "--source", "elastic", "--json", **around)
    found = {one["what"]: (one["mark"], one["found"]) for one in map(json.loads, told.stdout.splitlines())}
    for hop in ("elasticsearch", "templates", "worker to agent", "agent to elasticsearch"):
        assert found[hop][0] == "good", found[hop]
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
