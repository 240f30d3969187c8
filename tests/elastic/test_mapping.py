"""The templates as files, and what the real Elasticsearch makes of them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from logship.elastic import mapping, setup
from logship.event.fields import FIELDS
from tests.elastic.node import Server

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
SAMPLES = json.loads((ROOT / setup.FILES / "logship.events.samples.json").read_text(encoding="utf-8"))
AT = "2026-11-21T11:52:11.104177490Z"


@pytest.mark.parametrize("name", setup.files())
def test_the_committed_files_are_what_the_fields_say(name: str) -> None:
    said = (ROOT / setup.FILES / name).read_text(encoding="utf-8")
    assert said == setup.files()[name], "run python -m logship.elastic.setup"


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    setup.write_files(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    setup.write_files(tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_every_field_is_mapped_once_with_its_type() -> None:
    properties = mapping.mappings()["properties"]
    types = {name: body["type"] for name, body in properties.items() if "properties" not in body} | {
        f"{first}.{rest}": body["type"]
        for first, group in properties.items()
        for rest, body in group.get("properties", {}).items()
    }
    expected = {field.name: field.stored_type for field in FIELDS}
    assert types == expected | {"numeric_labels": "object"}


@pytest.mark.parametrize(
    ("days", "said"), [(30, {"data_retention": "30d"}), (0.5, {"data_retention": "43200s"}), (0, {})]
)
def test_retention_is_said_in_days_or_seconds(days: float, said: dict[str, str]) -> None:
    assert mapping.lifecycle(days) == said


def test_the_server_gives_a_new_stream_our_mapping(elastic: Server, namespace: str) -> None:
    told = elastic.must("POST", f"/_index_template/_simulate_index/{mapping.stream(namespace)}")["template"]
    assert told["mappings"]["_meta"] == mapping.META
    assert told["settings"]["index"]["codec"] == "best_compression"
    assert told["settings"]["index"]["mode"] == "standard"  # 9.x would choose logsdb for this name
    assert told["mappings"]["properties"]["@timestamp"]["type"] == "date_nanos"


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["says"] for sample in SAMPLES])
def test_a_sample_goes_in_and_comes_out(sample: dict[str, Any], elastic: Server, namespace: str) -> None:
    stream = mapping.stream(namespace)
    assert [item["status"] for item in elastic.create(stream, [sample["in"]])] == [201]
    (hit,) = elastic.must("POST", f"/{stream}/_search", {"fields": ["*"]})["hits"]["hits"]
    assert hit["_id"] == sample["in"]["event.id"]
    assert hit["_source"] == sample["in"]
    assert {name: hit["fields"].get(name) for name in sample["fields"]} == sample["fields"]
    assert sorted(hit.get("_ignored", [])) == sample.get("ignored", [])
    assert [query for query in sample["found"] if elastic.count(stream, query) != 1] == []
    assert [query for query in sample["not_found"] if elastic.count(stream, query) != 0] == []


def test_an_event_is_stored_once_however_often_it_comes(elastic: Server, namespace: str) -> None:
    event = {"@timestamp": AT, "event.id": "a-1", "message": "once"}
    items = elastic.create(mapping.stream(namespace), [event, event])
    assert [item["status"] for item in items] == [201, 409]
    assert elastic.count(mapping.stream(namespace)) == 1


def test_a_flood_of_numeric_labels_stops_at_the_limit_and_refuses_nothing(elastic: Server, namespace: str) -> None:
    stream, more = mapping.stream(namespace), mapping.FIELD_LIMIT + 500
    first = {"@timestamp": AT, "event.id": "a-1", "numeric_labels": {"total": 1}}
    flood = {
        "@timestamp": AT,
        "event.id": "a-2",
        "numeric_labels": {f"user_{number}": number for number in range(more)},
    }
    last = {"@timestamp": AT, "event.id": "a-3", "numeric_labels": {"total": 7, "user_1": 1, f"user_{more - 1}": 1}}
    assert [item["status"] for item in elastic.create(stream, [first, flood, last])] == [201, 201, 201]
    assert elastic.count(stream, {"range": {"numeric_labels.total": {"gt": 6}}}) == 1
    assert elastic.count(stream, {"exists": {"field": f"numeric_labels.user_{more - 1}"}}) == 0
    assert (
        elastic.hits(stream, {"term": {"event.id": "a-2"}})[0]["_source"]["numeric_labels"][f"user_{more - 1}"]
        == more - 1
    )


def test_digits_beyond_milliseconds_order_events(elastic: Server, namespace: str) -> None:
    stream = mapping.stream(namespace)
    times = [f"2026-11-21T11:52:11.1041774{number:02d}Z" for number in (9, 3, 7, 1)]
    elastic.create(stream, [{"@timestamp": at, "event.id": f"a-{number}"} for number, at in enumerate(times)])
    assert [hit["_source"]["@timestamp"] for hit in elastic.hits(stream)] == sorted(times)


@pytest.mark.parametrize("kind", ["object", "passthrough"])
def test_the_whole_tree_cannot_be_flat_because_numbers_must_grow(kind: str, elastic: Server, namespace: str) -> None:
    numbers = {"type": kind, "dynamic": True} | ({"priority": 10} if kind == "passthrough" else {})
    flat = {"dynamic": False, "subobjects": False, "properties": {"numeric_labels": numbers}}
    body = {"index_patterns": [f"flat-{namespace}"], "template": {"mappings": flat}}
    status, answer = elastic.ask("POST", "/_index_template/_simulate", body)
    assert status == 400
    assert "Auto-flattening [numeric_labels] failed" in json.dumps(answer)


def test_ids_without_a_column_are_found_by_value_and_by_being_there(elastic: Server, namespace: str) -> None:
    stream = mapping.stream(namespace)
    elastic.create(stream, [{"@timestamp": AT, "event.id": "a-1", **dict.fromkeys(mapping.LOOKED_UP, "one")}])
    elastic.create(stream, [{"@timestamp": AT, "event.id": "a-2"}])
    told = elastic.must("GET", f"/{stream}/_field_caps?fields={','.join(mapping.LOOKED_UP)}")["fields"]
    for name in mapping.LOOKED_UP:
        assert elastic.count(stream, {"term": {name: "one"}}) == 1
        assert elastic.count(stream, {"exists": {"field": name}}) == 1
        assert elastic.count(stream, {"wildcard": {name: "o*"}}) == 1
        assert told[name]["keyword"] == {
            "type": "keyword",
            "metadata_field": False,
            "searchable": True,
            "aggregatable": False,
        }


@pytest.mark.alone
def test_logsdb_by_choice_keeps_events_as_they_were_sent_and_once(elastic: Server, namespace: str) -> None:
    """With the body that docs/elk.md shows."""
    page = (ROOT / "docs/elk.md").read_text(encoding="utf-8")
    shown = re.search(r"-d '(.*?)'", page, re.DOTALL)
    assert shown is not None
    stream, custom = mapping.stream(namespace), f"/_component_template/{mapping.CUSTOM}"
    events = [{**sample["in"], "event.id": f"l-{number}"} for number, sample in enumerate(SAMPLES)]
    elastic.must("PUT", custom, json.loads(shown[1]))
    try:
        assert {item["status"] for item in elastic.create(stream, events)} == {201}
    finally:
        elastic.must("PUT", custom, {"template": {}})
    (index,) = elastic.must("GET", f"/{stream}/_settings").values()
    assert index["settings"]["index"]["mode"] == "logsdb"
    assert {item["status"] for item in elastic.create(stream, events)} == {409}
    assert {hit["_id"]: hit["_source"] for hit in elastic.hits(stream)} == {one["event.id"]: one for one in events}
