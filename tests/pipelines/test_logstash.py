"""The pipeline for Logstash: it parses, it says what it must, and what it makes is what Elasticsearch takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from logship.elastic import mapping
from tests.elastic.node import Server
from tests.pipelines.logstash_syntax import NotLogstash, Plugin, parse

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)

FOLDER = Path(__file__).parents[2] / "pipelines/logstash"
TEXT = (FOLDER / "logship.conf").read_text(encoding="utf-8")
SAMPLES: list[dict[str, Any]] = json.loads((FOLDER / "logship.samples.json").read_text(encoding="utf-8"))


def only(kind: str, name: str) -> Plugin:
    (found,) = [one for one in parse(TEXT) if (one.kind, one.name) == (kind, name)]
    return found


def test_the_output_creates_each_event_once_under_its_own_id() -> None:
    settings = only("output", "elasticsearch").settings
    assert (settings["action"], settings["document_id"]) == ("create", "%{[event.id]}")
    assert settings["index"].endswith(mapping.stream("default") + "}")
    # With data_stream => true Logstash refuses document_id; and our templates are not Logstash's to manage.
    assert (settings["data_stream"], settings["manage_template"], settings["ilm_enabled"]) == (False, False, False)


def test_no_event_without_an_id_gets_there() -> None:
    assert only("output", "elasticsearch").when == ('"logship_without_id" not in [ tags ]',)
    marks = [one for one in parse(TEXT) if one.when == ("! [ event.id ]",)]
    assert [one.settings for one in marks] == [{"add_tag": ["logship_without_id"]}]


def test_the_request_that_brought_an_event_leaves_nothing_in_it() -> None:
    settings = only("input", "http").settings
    assert settings["ecs_compatibility"] == "disabled"
    assert settings["request_headers_target_field"].startswith("[@metadata]")
    assert settings["remote_host_target_field"].startswith("[@metadata]")
    assert settings["codec"] == Plugin("codec", "json_lines", {"ecs_compatibility": "disabled"})


def test_secrets_come_from_the_environment() -> None:
    assert only("output", "elasticsearch").settings["password"] == "${ES_PASSWORD:}"
    assert not re.search(r"api_key|cloud_auth", TEXT)


def test_a_sample_is_what_elasticsearch_takes(elastic: Server, namespace: str) -> None:
    stream = mapping.stream(namespace)
    for sample in SAMPLES:
        event = sample["in"]
        assert event["event.id"] == sample["id"]
        assert [item["status"] for item in elastic.create(stream, [event])] == [201]
        (hit,) = elastic.hits(stream)
        assert (hit["_id"], hit["_source"]) == (sample["id"], event)
        assert [query for query in sample["found"] if elastic.count(stream, query) != 1] == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("input { http { port => } }", "line 1: expected a value, not '}'"),
        ("input { http { port 8080 } }", "line 1: expected =>, not '8080'"),
        ("inputs { }", "line 1: expected one of"),
        ("filter {\n  if [a] == 1 { mutate { } }", "line 2: expected a word, not 'the end'"),
        ('filter { mutate { a => "x } }', "line 1: '\"x } }'"),
        ("filter { mutate { a => [1 2] } }", "expected ,"),
        ("filter { mutate { a => 1 a => 2 } }", "expected a only once"),
        ("filter { if [a { mutate { } } }", "expected a condition"),
    ],
)
def test_a_fault_is_found_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(NotLogstash, match=re.escape(sentence)):
        parse(text)


def test_what_the_language_allows_is_understood() -> None:
    text = """
    # everything
    filter { if [a][b] == "x" and ([c] > 3 or [d] in ["e"]) { drop { } } else if [f] =~ /y/ { } else { noop { } } }
    """
    with pytest.raises(NotLogstash):  # regular expressions are not: ours has none
        parse(text)
    first, second = parse(text.replace("[f] =~ /y/", "![f]"))
    assert (first.name, second.when) == ("drop", ("else",))
    nested = parse('output { x { a => { "k" => [1, -2.5, true] "l" => word } codec => json { b => "c" } } }')[0]
    assert nested.settings["a"] == {"k": [1, -2.5, True], "l": "word"}
