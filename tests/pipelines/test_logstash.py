"""The pipeline for Logstash: it parses, it says what it must, and what it makes is what Elasticsearch takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from logship.elastic import access, mapping
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
    assert only("output", "elasticsearch").when == ('"logship_without_id" not in [tags]',)
    marks = [one for one in parse(TEXT) if one.when == ("![event.id]",)]
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
        ("input { http { port => } }", "line 1: expected a value, not '} }'"),
        ("input { http { port 8080 } }", "line 1: expected =>, not '8080 } }'"),
        ("inputs { }", "line 1: expected {, not 's { }'"),
        ("codec { }", "line 1: expected one of input, filter, output"),
        ("filter {\n  if [a] == 1 { mutate { } }", "line 2: expected a name or a text in quotes, not 'the end"),
        ('filter { mutate { a => "x } }', "line 1: expected a value, not '\"x } }'"),
        ("filter { mutate { a => [1 2] } }", "expected ,"),
        ("filter { mutate { a => 1 a => 2 } }", "expected a only once"),
        ('filter { mutate { a => "1"b => 2 } }', "expected a space"),
        ("filter { if [a { mutate { } } }", "line 1: expected =>, not '{ } } }'"),
        ("filter { if [a] = 1 { } }", "expected {, not '= 1 { } }'"),
        ("filter { mutate { a => x } }", "expected {, not '} }'"),
        ("filter { mutate { a => { b1 => 1, c1 => 2 } } }", "expected a space or }, not ', c1"),
        ("filter { if !5 { } }", "expected ( or a field after !"),
        ("filter { } # no end of line", "expected one of input, filter, output, not '# no end of line'"),
    ],
)
def test_a_fault_is_found_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(NotLogstash, match=re.escape(sentence)):
        parse(text)


def test_what_the_language_allows_is_understood() -> None:
    text = """
    # everything
    filter { if [a][b] == "x" and ([c] > 3 or [d] in ["e"]) { drop { } } else if [f] =~ /y/ { } else { noop { } } }
    filter { if "x" not in [tags] nand !([a]) xor ![b] { "quoted-name" { } } }  # and a comment
    """
    first, second, third = parse(text)
    assert (first.name, second.when, third.name) == ("drop", ("else",), "quoted-name")
    assert first.when == ('[a][b] == "x" and ([c] > 3 or [d] in ["e"])',)
    assert third.when == ('"x" not in [tags] nand !([a]) xor ![b]',)
    nested = parse('output { xx { a => { "k" => [1, -2.5, true] \'l\' => word 5 => "" } codec => json { b => "c" } } }')[0]
    assert nested.settings["a"] == {"k": [1, -2.5, True], "l": "word", 5: ""}
    assert nested.settings["codec"] == Plugin("codec", "json", {"b": "c"})


def test_a_private_authority_is_one_line_away() -> None:
    """Logstash checks at its start that the file is there, so the line cannot stand there for all."""
    (line,) = re.findall(r"(?m)^ *# (ssl_certificate_authorities => .*)$", TEXT)
    (output,) = [one for one in parse(TEXT.replace(f"# {line}", line)) if one.kind == "output"]
    assert output.settings["ssl_certificate_authorities"] == ["${ES_CA_FILE}"]
    assert "ssl_certificate_authorities" not in only("output", "elasticsearch").settings


def test_it_connects_as_the_user_that_may_ask_for_the_version() -> None:
    assert only("output", "elasticsearch").settings["user"] == f"${{ES_USER:{access.LOGSTASH}}}"
