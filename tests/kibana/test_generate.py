"""The files of `kibana/`: what the catalogue says, the same bytes each time, whole, and where an installed logship finds it."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from kibana import generate
from kibana.lens import SPLIT_SIZE, TABLE_SIZE, panels
from logship.search.views import VIEWS, View
from tests.elastic import node

ROOT = Path(__file__).parents[2]
OBJECTS = {(one["type"], one["id"]): one for one in generate.objects()}


@pytest.mark.parametrize("name", generate.files())
def test_the_committed_files_are_what_the_catalogue_says(name: str) -> None:
    said = (ROOT / "kibana" / name).read_text(encoding="utf-8")
    assert said == generate.files()[name], "run python -m kibana.generate"


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    generate.write(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    generate.write(tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(first) == {"logship.ndjson", "logship.md"}


def test_lines_are_in_order_and_the_last_one_counts_them() -> None:
    *lines, end = map(json.loads, generate.files()["logship.ndjson"].splitlines())
    assert [(one["type"], one["id"]) for one in lines] == sorted(OBJECTS)
    assert end["exportedCount"] == len(lines)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_view_is_in_kibana(view: View) -> None:
    if view.shape == "rows":
        one = OBJECTS["search", f"logship-search-{view.name}"]
        assert one["attributes"]["description"].startswith(view.sentence)
        return
    drawn = [OBJECTS["lens", f"logship-lens-{panel.name}"]["attributes"] for panel in panels(view)]
    columns = {
        name for one in drawn for name in one["state"]["datasourceStates"]["formBased"]["layers"]["events"]["columns"]
    }
    assert set(view.metrics) <= columns
    assert all(one["description"] == f"{view.sentence} Unit: {view.unit}." for one in drawn)


def test_every_panel_and_search_stands_on_a_dashboard() -> None:
    placed = {
        (one["type"], one["id"])
        for key, found in OBJECTS.items()
        if key[0] == "dashboard"
        for one in found["references"]
    }
    alone = {key for key in OBJECTS if key[0] in ("lens", "search")} - placed
    # These are for people to put where they like; a story is opened by a click on a request.
    assert alone == {("search", "logship-search-story")}


def test_the_five_dashboards() -> None:
    titles = [one["attributes"]["title"] for key, one in OBJECTS.items() if key[0] == "dashboard"]
    assert titles == [f"logship: {name}" for name in ("Workers", "One worker", "Failures", "Latency", "Trust")]


def test_an_installed_logship_has_the_file() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert told["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {
        "kibana/logship.ndjson": "logship/elastic/logship.ndjson"
    }
    assert "/kibana" in told["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]


def test_the_page_about_kibana_names_every_dashboard() -> None:
    said = (ROOT / "docs/kibana.md").read_text(encoding="utf-8")
    titles = re.findall(r"(?m)^\| (logship: [^|]*?) \|", said)
    assert titles == [one["attributes"]["title"] for key, one in OBJECTS.items() if key[0] == "dashboard"]
    assert f"show {SPLIT_SIZE} values and tables {TABLE_SIZE}" in said
    assert node.VERSION in said
