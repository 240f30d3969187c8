"""The dashboard over Prometheus is what the builder makes; tests/worker/metrics/test_scraped.py runs its queries."""

import json
import re
from importlib.util import find_spec

import pytest

from compose import generate
from tests import needs
from tests.compose.stack import ROOT

NAME = "grafana/dashboards/logship-workers-prometheus.json"
TEXT = (ROOT / "compose" / NAME).read_text(encoding="utf-8")
BOARD = json.loads(TEXT)


@needs.program(
    "grafana-foundation-sdk", find_spec("grafana_foundation_sdk"), "grafana-foundation-sdk is not installed: make env"
)
def test_the_committed_dashboard_is_what_the_builder_makes() -> None:
    assert generate.built_files() == {NAME: TEXT}, "run python -m compose.generate"


def test_panels_have_places_queries_and_the_source_that_is_provisioned() -> None:
    provisioned = (ROOT / "compose/grafana/provisioning/datasources/logship.yaml").read_text(encoding="utf-8")
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]}
    assert len(places) == len(BOARD["panels"]) == len({panel["id"] for panel in BOARD["panels"]})
    for panel in [*BOARD["panels"], *BOARD["annotations"]["list"]]:
        assert f"uid: {panel['datasource']['uid']}\n    type: {panel['datasource']['type']}" in provisioned
    assert all(panel["targets"] and panel["description"].endswith(".") for panel in BOARD["panels"])


def test_every_query_is_limited_to_the_chosen_service() -> None:
    queries = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    for query in queries + [annotation["expr"] for annotation in BOARD["annotations"]["list"]]:
        selectors = re.findall(r"\b(?:http_server|logship|process|worker:)[\w:]*(\{[^}]*\})?", query)
        assert selectors
        assert all('service=~"$service"' in selector for selector in selectors), query
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == ["service", "worker"]


def test_the_page_names_the_dashboard() -> None:
    said = (ROOT / "docs/prometheus-grafana-splunk.md").read_text(encoding="utf-8")
    assert f"**{BOARD['title']}**" in said


@pytest.mark.parametrize("annotation", ["Crashes", "Restarts"])
def test_crashes_and_restarts_are_annotations(annotation: str) -> None:
    (shown,) = [entry for entry in BOARD["annotations"]["list"] if entry["name"] == annotation]
    assert shown["enable"]
    assert "increase(" in shown["expr"]
