"""Every search and panel is asked as Kibana would ask it, on a real Elasticsearch, and says what the embedded store says."""

import json
import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from kibana import generate
from kibana.data_view import LINKS
from kibana.lens import Panel
from logship.search import kql
from logship.search.query import Bucket, Page, Query, Share, Stat
from logship.search.times import rfc3339
from logship.search.view_results import query_of, result_of
from logship.search.views import BY_NAME, NODE, View
from tests.kibana import demo, panels
from tests.kibana.checker import field_types
from tests.kibana.questions import as_query
from tests.kibana.stores import Both

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)

OBJECTS = {one["id"]: one["attributes"] for one in generate.objects()}
TYPES = field_types()
WORKER = f'{NODE}: "host-1/shop@8000/w1"'
SINCE, UNTIL = "2026-11-20T10:00:00.000Z", "2026-11-20T10:40:00.000Z"
# Below so many values the digest of Elasticsearch holds each of them; Kibana asks for the default, 20 x 100.
EXACT_VALUES, EXACT, DIGEST = 2000, 1e-9, 0.05
PAGE = 500
Keys = tuple[object, ...]


def within(query: str) -> Query:
    return Query(kql.parse(query), demo.BEGIN, demo.END)


@pytest.mark.parametrize("narrowed", ["", WORKER], ids=["all", "one worker"])
@pytest.mark.parametrize("panel", generate.PANELS, ids=lambda panel: panel.name)
def test_a_panel_says_what_the_embedded_store_says(panel: Panel, narrowed: str, both: Both) -> None:
    state = OBJECTS[f"logship-lens-{panel.name}"]["state"]
    layer = state["datasourceStates"]["formBased"]["layers"]["events"]
    told = both.ask(panels.request(layer, [state["query"]["query"], narrowed], TYPES, SINCE, UNTIL, "60s"))
    view = panel.view
    found = result_of(both.reader, view, within(narrowed), demo.MINUTE, limit=1000)
    assert isinstance(found, list)
    assert bool(found) == (told["hits"]["total"]["value"] > 0)
    if not found and narrowed and view.name.startswith("dropped-"):
        return  # one worker alone has dropped anything
    assert not list(others(told["aggregations"])), "the panel shows fewer values than there are"
    shown = panels.rows(layer, told)
    assert shown
    for name in layer["columnOrder"]:
        if not layer["columns"][name]["isBucketed"]:
            assert any(values[name] is not None for _, values in shown), f"{name} is nowhere"
    compare(panel, shown, found, layer)


def others(level: dict[str, Any]) -> Iterator[int]:
    """How many events are in values beyond the size, wherever that is."""
    for one in level.values():
        if isinstance(one, dict) and "buckets" in one:
            yield from filter(None, [one.get("sum_other_doc_count")])
            for bucket in one["buckets"]:
                yield from others(bucket)


def compare(panel: Panel, shown: list[panels.Row], found: list[Any], layer: dict[str, Any]) -> None:
    """Equal keys and equal numbers; events without what is split are only where the panel shows Missing."""
    columns = layer["columns"]
    splits = [name for name in ("split", "and-split") if name in columns]
    hides = any(not columns[name]["params"]["missingBucket"] for name in splits)
    expected = {keys_of(panel.view, one): one for one in found}
    if hides:
        expected = {keys: one for keys, one in expected.items() if "" not in keys}
    got: dict[Keys, dict[str, float | None]] = {}
    for keys, values in shown:
        if values[panel.metrics[0]] in (None, 0.0) and panel.view.over_time:
            continue  # Kibana shows empty buckets of time, stores leave them out
        got[_read(panel.view, keys)] = values
    assert set(got) == set(expected)
    for keys, one in expected.items():
        for metric in panel.metrics:
            assert_equal(got[keys][metric], one, metric, keys)
        if panel.view.name == "shares":
            even = sum(other.events for other in expected.values()) / len(expected)
            assert got[keys]["imbalance"] == pytest.approx(one.events / even)
        if panel.view.name == "stored":
            assert got[keys]["missing"] == one.max - one.min + 1 - one.count


def _read(view: View, keys: Keys) -> Keys:
    """The keys of a row as stores give them: texts, and nanoseconds."""
    *values, last = keys
    read = [*values, last * 10**6 if view.over_time and isinstance(last, int) else last]
    texts = ["" if key == panels.MISSING else key if view.over_time and key is read[-1] else str(key) for key in read]
    return tuple(texts)


def keys_of(view: View, one: Bucket | Share | Stat) -> Keys:
    if isinstance(one, Share):
        return (one.value,)
    inner = (one.and_key,) if isinstance(one, Bucket) and view.and_split else ()
    return (one.key, *inner, *((one.start_ns,) if view.over_time else ()))


def assert_equal(got: float | None, one: Any, metric: str, keys: Keys) -> None:
    expected = getattr(one, metric)
    assert got is not None, (keys, metric)
    if metric.startswith("p"):
        bound = EXACT if one.count < EXACT_VALUES else DIGEST
        assert math.isclose(got, expected, rel_tol=bound), (keys, metric, got, expected, one.count)
    elif metric == "share":
        assert math.isclose(got, expected, rel_tol=1e-12)
    else:
        assert got == expected, (keys, metric)


@pytest.mark.parametrize("since", [SINCE, "2026-11-20T10:05:00.000Z"], ids=["whole lives", "parts of lives"])
def test_what_is_missing_is_said_of_its_life_whatever_the_span(since: str, both: Both) -> None:
    state = OBJECTS["logship-lens-stored"]["state"]
    layer = state["datasourceStates"]["formBased"]["layers"]["events"]
    told = both.ask(panels.request(layer, [state["query"]["query"]], TYPES, since, UNTIL, "60s"))
    lost = {keys[0]: values["missing"] for keys, values in panels.rows(layer, told) if values["missing"]}
    within = [one for one in demo.everything() if one[1]["event.id"] in demo.LOST and rfc3339(one[0]) >= since]
    assert lost == {demo.LOST_LIFE: len(within)}


def test_there_are_buckets_on_both_sides_of_what_the_digest_holds(both: Both) -> None:
    routes = result_of(both.reader, BY_NAME["slowest-routes"], within(""), demo.MINUTE)
    assert isinstance(routes, list)
    counts = [stat.count for stat in routes if isinstance(stat, Stat)]
    assert max(counts) > EXACT_VALUES > min(counts)


@pytest.mark.parametrize("narrowed", ["", WORKER], ids=["all", "one worker"])
@pytest.mark.parametrize("view", generate.SEARCHES, ids=lambda view: view.name)
def test_a_search_finds_what_the_embedded_store_finds(view: View, narrowed: str, both: Both) -> None:
    attributes = OBJECTS[f"logship-search-{view.name}"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    told = both.ask(discover([source["query"]["query"], narrowed], attributes))
    asked = Query(kql.every(kql.parse(source["query"]["query"]), kql.parse(narrowed)), demo.BEGIN, demo.END)
    if not view.needs_id:
        assert asked == query_of(view, within(narrowed))
    assert told["hits"]["total"]["value"] == both.reader.count(asked)
    page = Page(PAGE, not view.needs_id, None, (), view.greatest)
    assert [hit["_id"] for hit in told["hits"]["hits"]] == [
        row["event.id"] for row in both.reader.search(asked, page).records
    ]
    if not narrowed:
        assert told["hits"]["hits"], "nothing is found"
        present = {name for hit in told["hits"]["hits"] for name in hit.get("fields", {})}
        assert set(attributes["columns"]) - present == set()


def discover(queries: list[str], attributes: dict[str, Any]) -> dict[str, Any]:
    """The request that Discover sends for a saved search."""
    span = {"range": {"@timestamp": {"gte": SINCE, "lte": UNTIL, "format": "strict_date_optional_time"}}}
    asked = [as_query(kql.parse(text), TYPES) for text in queries if text]
    (field, way), *_ = attributes["sort"]
    nanos = {"format": "strict_date_optional_time_nanos"} if field == "@timestamp" else {}
    return {
        "size": PAGE,
        "track_total_hits": True,
        "sort": [{field: {"order": way, "unmapped_type": "boolean", **nanos}}, {"_doc": {"order": way}}],
        "_source": False,
        "fields": [{"field": name} for name in attributes["columns"]],
        "query": {"bool": {"must": [], "filter": [span, *asked], "should": [], "must_not": []}},
    }  # fmt: skip


@pytest.mark.parametrize("field", LINKS)
def test_a_click_on_a_value_finds_its_events(field: str, both: Both) -> None:
    formats = json.loads(OBJECTS["logship-events"]["fieldFormatMap"])
    address = formats[field]["params"]["urlTemplate"]
    value = both.reader.top(within(""), field, 1)[0].value if field != "http.request.id" else demo.STORY
    state = parse_qs(address.partition("?")[2].replace("{{value}}", value.replace("/", "%2F").replace("{", "%7B")))[
        "_a"
    ][0]
    asked = unquote(state.partition("query:'")[2].rpartition("'))")[0])
    told = both.ask(discover([asked], OBJECTS["logship-search-worker"]))
    assert told["hits"]["total"]["value"] == both.reader.count(within(asked)) > 0
    if field == "http.request.id":
        assert (
            both.reader.count(query_of(BY_NAME["story"], within(""), demo.STORY)) == told["hits"]["total"]["value"] > 1
        )


@pytest.mark.parametrize("name", [name for name in OBJECTS if name.startswith("logship-dash-")])
def test_a_control_offers_values(name: str, both: Both) -> None:
    controls = json.loads(OBJECTS[name]["controlGroupInput"]["panelsJSON"])
    for control in controls.values():
        field = control["explicitInput"]["fieldName"]
        terms = {"terms": {"field": field, "size": 10, "order": {"_count": "desc"}}}
        offered = both.ask({"size": 0, "aggs": {"suggestions": terms}})["aggregations"]["suggestions"]["buckets"]
        expected = [(share.value, share.events) for share in both.reader.top(within(""), field, 10)]
        assert [(one["key"], one["doc_count"]) for one in offered] == expected
        assert expected


def test_the_server_says_the_same_types_as_the_checker(both: Both) -> None:
    told = both.elastic.must("GET", f"/{both.stream}/_field_caps?fields=*")["fields"]
    for name, kind in TYPES.items():
        if kind == "object":
            continue
        assert set(told[name]) == {kind}, name
        assert told[name][kind]["aggregatable"] == panels.has_column(name, TYPES), name


def test_the_span_is_the_one_that_the_events_have() -> None:
    assert [rfc3339(at)[:23] + "Z" for at in (demo.BEGIN, demo.END)] == [SINCE, UNTIL]
    assert all(demo.BEGIN <= at < demo.END for at, _ in demo.entries())
