"""Grafana's dashboards: every query is asked on a real Elasticsearch or names counters that there are. No Grafana runs here."""

import contextlib
import json
import math
import re
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from compose import generate
from compose.grafana_boards import LINE, NO_VALUE
from compose.lucene import condition, lucene
from logship.elastic import mapping
from logship.event.entry import TAG
from logship.page.api import metrics
from logship.page.context import PageContext
from logship.search import kql
from logship.search.query import Bucket, Query, Share, Stat
from logship.search.view_results import result_of
from logship.search.views import NODE, VIEWS, View
from tests.kibana import demo
from tests.kibana.stores import Both
from tests.pipelines import agent
from tests.pipelines.agent import Agent
from tests.proofs.scene import until

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
BOARDS = {path: json.loads(text) for path, text in generate.files().items() if path.endswith(".json")}
PANELS: list[dict[str, Any]] = BOARDS["grafana/dashboards/logship-workers.json"]["panels"]
COUNTED = [panel for panel in PANELS if panel["targets"][0]["metrics"][0]["type"] != "raw_data"]
WORKER = "host-1/shop@8000/w1"
EXACT_VALUES, EXACT, DIGEST = 2000, 1e-9, 0.05


@pytest.mark.parametrize("name", generate.files())
def test_the_committed_files_are_what_the_catalogue_says(name: str) -> None:
    said = (ROOT / "compose" / name).read_text(encoding="utf-8")
    assert said == generate.files()[name], "run python -m compose.generate"


def test_panels_have_places_and_sources_that_are_provisioned() -> None:
    provisioned = (ROOT / "compose/grafana/provisioning/datasources/logship.yaml").read_text(encoding="utf-8")
    for board in BOARDS.values():
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
        assert len(set(places)) == len(places) == len({panel["id"] for panel in board["panels"]})
        for panel in board["panels"]:
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
            assert f"uid: {panel['datasource']['uid']}\n    type: {panel['datasource']['type']}" in provisioned


def test_every_view_is_there_with_its_sentence() -> None:
    told = {panel["description"] for panel in PANELS}
    assert told == {view.sentence for view in VIEWS}


def asked(panel: dict[str, Any], worker: str) -> dict[str, Any]:
    """The request that Grafana sends for the first target of a panel."""
    target = panel["targets"][0]
    text = target["query"].replace("$worker", worker).replace("$request", demo.STORY)
    span = {"gte": demo.BEGIN // 10**6, "lte": demo.END // 10**6, "format": "epoch_millis"}
    body: dict[str, Any] = {
        "size": 0,
        "track_total_hits": True,
        "query": {
            "bool": {
                "filter": [
                    {"range": {"@timestamp": span}},
                    {"query_string": {"analyze_wildcard": True, "query": text}},
                ]
            }
        },
    }
    level = body
    for bucket in target["bucketAggs"]:
        settings = bucket["settings"]
        if bucket["type"] == "date_histogram":
            own: dict[str, Any] = {
                "field": bucket["field"], "fixed_interval": "60s", "min_doc_count": int(settings["min_doc_count"]),
                "extended_bounds": {"min": span["gte"], "max": span["lte"]}, "format": "epoch_millis",
            }  # fmt: skip
        else:
            own = {
                "field": bucket["field"],
                "size": int(settings["size"]),
                "order": {settings["orderBy"]: settings["order"]},
            }
            own |= {"missing": settings["missing"]} if "missing" in settings else {}
        level["aggs"] = {bucket["id"]: {bucket["type"]: own, "aggs": {}}}
        level = level["aggs"][bucket["id"]]
    for metric in target["metrics"]:
        if metric["type"] == "raw_data":
            body |= {"size": int(metric["settings"]["size"]), "sort": [{"@timestamp": {"order": "desc"}}]}
        elif metric["type"] == "percentiles":
            own = {"field": metric["field"], "percents": [float(one) for one in metric["settings"]["percents"]]}
            level["aggs"][metric["id"]] = {"percentiles": own}
        elif metric["type"] != "count":
            level["aggs"][metric["id"]] = {metric["type"]: {"field": metric["field"]}}
    return body


def leaves(level: dict[str, Any], names: list[str], keys: tuple[object, ...] = ()) -> Any:
    """Every innermost bucket with its keys."""
    if not names:
        yield keys, level
        return
    for bucket in level[names[0]]["buckets"]:
        yield from leaves(bucket, names[1:], (*keys, bucket["key"]))


@pytest.mark.parametrize("worker", ["*", f'"{WORKER}"'], ids=["all", "one worker"])
@pytest.mark.parametrize("panel", COUNTED, ids=lambda panel: panel["title"])
def test_a_panel_says_what_the_embedded_store_says(panel: dict[str, Any], worker: str, both: Both) -> None:
    target = panel["targets"][0]
    view = next(view for view in VIEWS if view.sentence == panel["description"])
    told = both.ask(asked(panel, worker))
    narrowed = f'{NODE}: "{WORKER}"' if worker != "*" and "$worker" in target["query"] else ""
    narrowed = narrowed or (f"{NODE}: *" if "$worker" in target["query"] else "")
    within = Query(kql.parse(narrowed), demo.BEGIN, demo.END)
    shown = {}
    for keys, leaf in leaves(told["aggregations"], [bucket["id"] for bucket in target["bucketAggs"]]):
        if leaf["doc_count"]:
            shown[tuple("" if key == NO_VALUE else key for key in keys)] = leaf
    if view.shape == "rows":
        rows = both.reader.search(
            Query(kql.every(kql.parse(view.where), within.where), demo.BEGIN, demo.END), greatest(view)
        )
        slowest = {row["event.id"]: row["event.duration"] for row in rows.records}
        assert {key[0]: leaf["greatest"]["value"] for key, leaf in shown.items()} == slowest
        return
    found = result_of(both.reader, view, within, demo.MINUTE, limit=1000)
    assert isinstance(found, list)
    hides = any("missing" not in bucket["settings"] for bucket in target["bucketAggs"] if bucket["type"] == "terms")
    expected = {keys_of(view, one): one for one in found if not hides or "" not in keys_of(view, one)}
    assert {tuple(map(str, keys)) for keys in shown} == {tuple(map(str, keys)) for keys in expected}
    assert shown
    by_text = {tuple(map(str, keys)): leaf for keys, leaf in shown.items()}
    for keys, one in expected.items():
        for metric in target["metrics"]:
            compare(by_text[tuple(map(str, keys))], one, metric["id"])


def greatest(view: View) -> Any:
    from logship.search.query import Page

    return Page(100, True, None, ("event.id", view.greatest), view.greatest)


def keys_of(view: View, one: Bucket | Share | Stat) -> tuple[object, ...]:
    if isinstance(one, Share):
        return (one.value,)
    inner = (one.and_key,) if isinstance(one, Bucket) and view.and_split else ()
    return (one.key, *inner, *((one.start_ns // 10**6,) if view.over_time else ()))


def compare(leaf: dict[str, Any], one: Any, metric: str) -> None:
    expected = getattr(one, metric)
    if metric in ("events", "count"):
        assert leaf["doc_count"] == expected
    elif metric.startswith("p"):
        (got,) = leaf[metric]["values"].values()
        assert math.isclose(got, expected, rel_tol=EXACT if one.count < EXACT_VALUES else DIGEST), (
            metric,
            got,
            expected,
        )
    else:
        assert leaf[metric]["value"] == expected


@pytest.mark.parametrize("panel", [panel for panel in PANELS if panel not in COUNTED], ids=lambda panel: panel["title"])
def test_rows_are_there_with_every_column(panel: dict[str, Any], both: Both) -> None:
    view = next(view for view in VIEWS if view.sentence == panel["description"])
    told = both.ask(asked(panel, "*"))
    expected = Query(condition(view, demo.STORY), demo.BEGIN, demo.END)
    if "$worker" in panel["targets"][0]["query"]:
        expected = Query(kql.every(expected.where, kql.existing(NODE)), demo.BEGIN, demo.END)
    assert told["hits"]["total"]["value"] == both.reader.count(expected) > 0
    seen = {name for hit in told["hits"]["hits"] for name in hit["_source"]}
    if not view.needs_id:
        assert set(panel["transformations"][0]["options"]["include"]["names"]) <= seen


def test_a_table_of_routes_is_ordered_by_what_it_measures() -> None:
    by_title = {panel["title"]: panel for panel in PANELS}
    assert by_title["Slowest routes"]["targets"][0]["bucketAggs"][0]["settings"]["orderBy"] == "p99[99.0]"


def test_nanoseconds_in_tables_have_their_unit() -> None:
    for panel in PANELS:
        view = next(view for view in VIEWS if view.sentence == panel["description"])
        if view.shape == "rows" and not view.greatest and "event.duration" in view.columns:
            unit = {"matcher": {"id": "byName", "options": "event.duration"}, "properties": [{"id": "unit", "value": "ns"}]}
            assert unit in panel["fieldConfig"]["overrides"], panel["title"]


def test_no_panel_groups_by_an_id_that_is_only_looked_up() -> None:
    grouped = {bucket["field"] for panel in PANELS for bucket in panel["targets"][0]["bucketAggs"]}
    assert grouped & mapping.LOOKED_UP == set()


def test_lucene_is_written_with_the_marks_that_it_needs() -> None:
    node = kql.parse('(a: "x \\" y" or b >= 5) and not c: * and d: (e or f)')
    assert lucene(node) == '(a:"x \\" y" OR b:>=5) AND NOT _exists_:c AND (d:"e" OR d:"f")'
    with pytest.raises(ValueError, match="cannot translate"):
        lucene(kql.parse("a: b*"))


NAMES = sorted(
    {
        name
        for _, _, queries in LINE
        for query, _ in queries
        for name in re.findall(r"\b(?:fluentbit|logship)_\w+", query)
    }
)


def test_collectors_count_what_the_dashboard_asks() -> None:
    told = {metric.key: 1 for metric in metrics.METRICS} | {metrics.ACK: {"le": {"1.0": 1, "+Inf": 1}, "sum": 0.5}}
    counted = set(re.findall(r"(?m)^(logship_\w+)", metrics.exposition(PageContext(lambda: told), "", "").body.decode()))
    assert {name for name in NAMES if name.startswith("logship_")} <= counted
    assert any(name.startswith("logship_") for name in NAMES)


@agent.needed
def test_fluent_bit_counts_what_the_dashboard_asks(tmp_path: Path) -> None:
    assert shutil.which("fluent-bit")
    with Agent(tmp_path, {"FLB_TO_FILE": TAG}) as fluent_bit:
        fluent_bit.wait_ready()
        url = f"http://127.0.0.1:{fluent_bit.http}/api/v2/metrics/prometheus"
        wanted = {name for name in NAMES if name.startswith("fluentbit_")}

        def counted() -> set[str]:
            # It answers 404 until it has counted for the first time.
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as told:
                return set(re.findall(r"(?m)^(fluentbit_\w+)", told.read().decode()))
            return set()

        until(lambda: wanted <= counted(), lambda: sorted(wanted - counted()))


def test_the_page_about_it_names_counters_that_there_are() -> None:
    said = (ROOT / "docs/prometheus-grafana-splunk.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:fluentbit|logship)_\w+", said)) - {"logship_reader", "logship_events"}
    assert named
    assert named <= set(NAMES) | {"logship_events_dropped_total"}
    for board in BOARDS.values():
        assert f"**{board['title']}**" in said
