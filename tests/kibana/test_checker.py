"""The checker finds nothing in our file, and whatever is put wrong in it: one fault for each thing that must hold."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kibana.checker import converted, findings

FILE = (Path(__file__).parents[2] / "kibana/logship.ndjson").read_text(encoding="utf-8")
Objects = dict[str, dict[str, Any]]
TRAFFIC, SHARES, LATENCY, STORED = (
    "lens:logship-lens-requests",
    "lens:logship-lens-shares",
    "lens:logship-lens-latency-p95",
    "lens:logship-lens-stored",
)
SLOW, WORKERS, DATA_VIEW = (
    "search:logship-search-slow",
    "dashboard:logship-dash-workers",
    "index-pattern:logship-events",
)


def test_our_file_is_sound() -> None:
    assert findings(FILE) == []


class Fault:
    """One thing put wrong, and a word of the finding. `change` gets the attributes, or the whole with `whole`."""

    def __init__(
        self, name: str, where: str, change: Callable[[Any], object], says: str, *, whole: bool = False
    ) -> None:
        self.name, self.where, self.change, self.says, self.whole = name, where, change, says, whole

    def put(self) -> str:
        lines = [json.loads(line) for line in FILE.splitlines()]
        by_name: Objects = {f"{one['type']}:{one['id']}": one for one in lines if "type" in one}
        target = by_name[self.where]
        self.change(target if self.whole else target["attributes"])
        return "\n".join(map(json.dumps, lines))


def layer(attributes: Any) -> Any:
    return attributes["state"]["datasourceStates"]["formBased"]["layers"]["events"]


def column(attributes: Any, name: str) -> Any:
    return layer(attributes)["columns"][name]


def inside(path: str, change: Callable[[Any], object]) -> Callable[[Any], None]:
    """Change what is in a text of JSON."""

    def changed(attributes: Any) -> None:
        *above, last = path.split(".")
        for name in above:
            attributes = attributes[name]
        value = json.loads(attributes[last])
        change(value)
        attributes[last] = json.dumps(value)

    return changed


def panel(number: int, **changes: object) -> Callable[[Any], None]:
    return inside("panelsJSON", lambda panels: panels[number]["gridData"].update(changes))


def question(text: str) -> Callable[[Any], None]:
    return inside("kibanaSavedObjectMeta.searchSourceJSON", lambda source: source["query"].update(query=text))


CONTROL = "controlGroupInput.panelsJSON"
FORMATS = "fieldFormatMap"
FAULTS = (
    # 1: the envelope
    Fault("newer core", SLOW, lambda one: one.update(coreMigrationVersion="9.0.0"), "coreMigrationVersion", whole=True),
    Fault("no version", TRAFFIC, lambda one: one.pop("typeMigrationVersion"), "is missing", whole=True),
    Fault(
        "newer version", TRAFFIC, lambda one: one.update(typeMigrationVersion="10.1.0"), "than Kibana 8.17", whole=True
    ),
    Fault("unknown type", SLOW, lambda one: one.update(type="canvas"), "not known: canvas", whole=True),
    # 2: attributes
    Fault("stray attribute", SLOW, lambda told: told.update(tabs=[]), "unknown attribute tabs"),
    Fault("no title", TRAFFIC, lambda told: told.pop("title"), "lacks the attribute title"),
    Fault("torn JSON", WORKERS, lambda told: told.update(optionsJSON="{"), "optionsJSON is no text of JSON"),
    Fault("object for text", WORKERS, lambda told: told.update(panelsJSON=[]), "panelsJSON is no text of JSON"),
    # 3: references
    Fault(
        "dangling",
        WORKERS,
        lambda one: one["references"][0].update(id="logship-lens-x"),
        "which is not there",
        whole=True,
    ),
    Fault("doubled", WORKERS, lambda one: one["references"].append(one["references"][0]), "twice", whole=True),
    Fault("lost", TRAFFIC, lambda one: one["references"].clear(), "lacks the reference indexpattern", whole=True),
    Fault(
        "unused",
        SLOW,
        lambda one: one["references"].append({**one["references"][0], "name": "x"}),
        "used by nothing",
        whole=True,
    ),
    Fault(
        "other type",
        WORKERS,
        lambda one: one["references"][0].update(type="search", id="logship-search-slow"),
        "needed is a lens",
        whole=True,
    ),
    # 4: Lens
    Fault("column not in order", TRAFFIC, lambda told: layer(told)["columnOrder"].remove("events"), "order of columns"),
    Fault("metric first", TRAFFIC, lambda told: layer(told)["columnOrder"].reverse(), "comes after a metric"),
    Fault(
        "accessor",
        TRAFFIC,
        lambda told: told["state"]["visualization"]["layers"][0].update(xAccessor="x"),
        "draws the column x",
    ),
    Fault(
        "table column",
        SHARES,
        lambda told: told["state"]["visualization"]["columns"][0].update(columnId="x"),
        "draws the column x",
    ),
    Fault("layer", SHARES, lambda told: told["state"]["visualization"].update(layerId="x"), "draws the layer x"),
    Fault(
        "order by a bucket",
        TRAFFIC,
        lambda told: column(told, "split")["params"]["orderBy"].update(columnId="time"),
        "no metric",
    ),
    Fault(
        "order by nothing",
        TRAFFIC,
        lambda told: column(told, "split")["params"]["orderBy"].update(columnId="x"),
        "no metric",
    ),
    Fault("formula alone", SHARES, lambda told: column(told, "share").update(references=[]), "has none of its parts"),
    Fault("part lost", STORED, lambda told: column(told, "missing").update(references=["x"]), "computed from x"),
    Fault(
        "math of others",
        STORED,
        lambda told: column(told, "missingX3")["params"]["tinymathAst"].update(args=["a", "b"]),
        "names others than its parts",
    ),
    Fault(
        "own data view", TRAFFIC, lambda told: told["state"].update(adHocDataViews={"x": {}}), "data view of its own"
    ),
    Fault("unknown drawing", TRAFFIC, lambda told: told.update(visualizationType="lnsCloud"), "lnsCloud"),
    # 5: fields
    Fault(
        "field not mapped",
        TRAFFIC,
        lambda told: column(told, "split").update(sourceField="worker"),
        "worker is not mapped",
    ),
    Fault(
        "terms of text", TRAFFIC, lambda told: column(told, "split").update(sourceField="message"), "message is text"
    ),
    Fault(
        "time of a number",
        TRAFFIC,
        lambda told: column(told, "time").update(sourceField="event.duration"),
        "is no date",
    ),
    Fault(
        "percentile of text", LATENCY, lambda told: column(told, "p95").update(sourceField="http.route"), "is no number"
    ),
    Fault(
        "number as string",
        TRAFFIC,
        lambda told: column(told, "split").update(sourceField="process.pid"),
        "shown as string",
    ),
    Fault("search column", SLOW, lambda told: told["columns"].append("url.pathh"), "shows url.pathh"),
    Fault("sort by an id", SLOW, lambda told: told.update(sort=[["span.id", "desc"]]), "cannot be sorted by span.id"),
    Fault(
        "terms of an id",
        TRAFFIC,
        lambda told: column(told, "split").update(sourceField="http.request.id"),
        "http.request.id is only looked up",
    ),
    Fault("sort by text", SLOW, lambda told: told.update(sort=[["message", "desc"]]), "cannot be sorted by message"),
    Fault(
        "control of text",
        WORKERS,
        inside(CONTROL, lambda told: told["service"]["explicitInput"].update(fieldName="message")),
        "which has none to offer",
    ),
    Fault(
        "format of a stranger",
        DATA_VIEW,
        inside(FORMATS, lambda told: told.update(x={"id": "bytes"})),
        "names the field x",
    ),
    Fault(
        "bytes of a name",
        DATA_VIEW,
        inside(FORMATS, lambda told: told.update({"host.name": {"id": "bytes"}})),
        "is no number",
    ),
    Fault(
        "unknown format",
        DATA_VIEW,
        inside(FORMATS, lambda told: told.update({"host.name": {"id": "stars"}})),
        "has the format stars",
    ),
    Fault("time of no date", DATA_VIEW, lambda told: told.update(timeFieldName="message"), "message is no date"),
    # 6: dashboards
    Fault("place of another", WORKERS, panel(0, i="p9"), "its place has another name"),
    Fault("off the grid", WORKERS, panel(1, x=30), "off the grid"),
    Fault("flat", WORKERS, panel(1, h=0), "off the grid"),
    Fault("overlap", WORKERS, panel(1, x=23), "overlap"),
    Fault("two ways", WORKERS, inside("panelsJSON", lambda told: told[0].update(savedObjectId="x")), "in two ways"),
    Fault("no span", WORKERS, lambda told: told.pop("timeFrom"), "no span of time"),
    Fault("fifteen minutes", WORKERS, lambda told: told.update(timeRestore=False), "no span of time"),
    Fault(
        "control id",
        WORKERS,
        inside(CONTROL, lambda told: told["worker"]["explicitInput"].update(id="x")),
        "has another id",
    ),
    Fault("no workers", WORKERS, inside(CONTROL, lambda told: told.pop("worker")), "no control of workers"),
    # 7: KQL
    Fault("no KQL", SLOW, question("a: b c: d"), "is no KQL"),
    Fault("stranger in KQL", SLOW, question("http.status: 500"), "asks for http.status"),
    Fault("no KQL in a panel", TRAFFIC, lambda told: told["state"]["query"].update(query="(a"), "is no KQL"),
    Fault(
        "no KQL in a filter",
        TRAFFIC,
        lambda told: column(told, "events").update(filter={"language": "kuery", "query": ":"}),
        "the filter of events is no KQL",
    ),
    # 8: ids; the bytes are held by test_generate
    Fault("foreign id", SLOW, lambda one: one.update(id="slow"), "its id is not ours", whole=True),
    # 9: what Kibana 9.4 makes of a search
    Fault("no place later", SLOW, lambda told: told.update(version=1), "no place in Kibana 9.4"),
    # links from panels to searches
    Fault(
        "link to nothing",
        DATA_VIEW,
        inside(
            FORMATS,
            lambda told: told["http.route"]["params"].update(
                urlTemplate=told["http.route"]["params"]["urlTemplate"].replace("search-slow", "search-x")
            ),
        ),
        "leads to logship-search-x",
    ),
    Fault(
        "link of no question",
        DATA_VIEW,
        inside(
            FORMATS,
            lambda told: told["http.route"]["params"].update(
                urlTemplate=told["http.route"]["params"]["urlTemplate"].replace("http.route", "http.rout")
            ),
        ),
        "asks for http.rout",
    ),
    Fault(
        "link outside",
        DATA_VIEW,
        inside(FORMATS, lambda told: told["http.route"]["params"].update(urlTemplate="/x")),
        "leads nowhere",
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found(fault: Fault) -> None:
    found = findings(fault.put())
    assert any(fault.says in one for one in found), found


def test_faults_of_the_file_as_a_whole_are_found() -> None:
    first, *rest = FILE.splitlines(keepends=True)
    assert any("is there twice" in one for one in findings(first + first + "".join(rest)))
    assert any("the last line counts" in one for one in findings("".join(rest)))
    assert any("the last line counts None" in one for one in findings(first))
    assert any("line 1 is no JSON" in one for one in findings("{" + FILE))


def test_a_later_kibana_keeps_a_search_in_its_first_tab() -> None:
    for line in FILE.splitlines():
        one = json.loads(line)
        if one.get("type") == "search":
            later = converted(one["attributes"])
            assert set(later) == {"title", "description", "tabs"}
            assert later["tabs"][0]["attributes"]["columns"] == one["attributes"]["columns"]
