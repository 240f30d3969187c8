"""Whether Kibana can import a file of saved objects and show what is in it, as far as that can be known without a Kibana.

Kibana itself checks little: of a Lens panel nothing at all, and of references only those to data views and searches. So a
file may import well and show broken panels. `findings` says everything that would."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from logship.elastic.mapping import LOOKED_UP, mappings
from logship.errors import KqlError
from logship.search import kql
from tests.kibana import panels as lens

Body = dict[str, Any]
Key = tuple[str, str]

CORE = (8, 8, 0)
# The newest version that Kibana 8.17 takes; anything newer is refused with the whole file.
NEWEST = {
    "index-pattern": (8, 0, 0),
    "search": (10, 5, 0),
    "lens": (8, 9, 0),
    "dashboard": (10, 2, 0),
    "tag": (8, 0, 0),
}
# Kibana refuses an object with an attribute that its schema lacks.
TAB = set(
    "columns sort grid hideChart isTextBasedQuery kibanaSavedObjectMeta rowHeight rowsPerPage sampleSize breakdownField "
    "viewMode timeRestore timeRange refreshInterval density usesAdHocDataView".split()
)
KNOWN = {
    "index-pattern": set(
        "title name timeFieldName allowNoIndex allowHidden type typeMeta fields fieldFormatMap fieldAttrs runtimeFieldMap "
        "sourceFilters".split()
    ),
    "search": TAB | {"title", "description"},
    "lens": {"title", "description", "visualizationType", "state"},
    "dashboard": set(
        "title description version hits timeRestore timeFrom timeTo refreshInterval kibanaSavedObjectMeta panelsJSON "
        "optionsJSON controlGroupInput".split()
    ),
    "tag": {"name", "description", "color"},
}
NEEDED = {
    "index-pattern": {"title"},
    "search": {"title", "columns", "sort", "kibanaSavedObjectMeta"},
    "lens": {"title", "visualizationType", "state"},
    "dashboard": {"title", "panelsJSON", "optionsJSON", "kibanaSavedObjectMeta"},
    "tag": {"name"},
}
JSON_TEXTS = {
    "index-pattern": ("fields", "fieldFormatMap", "fieldAttrs", "runtimeFieldMap", "sourceFilters", "typeMeta"),
    "search": ("kibanaSavedObjectMeta.searchSourceJSON",),
    "lens": (),
    "dashboard": (
        "panelsJSON",
        "optionsJSON",
        "kibanaSavedObjectMeta.searchSourceJSON",
        "controlGroupInput.panelsJSON",
        "controlGroupInput.ignoreParentSettingsJSON",
    ),
    "tag": (),
}
SOURCE = "kibanaSavedObjectMeta.searchSourceJSON.index"
FORMATS = {
    "duration",
    "bytes",
    "number",
    "percent",
    "url",
    "color",
    "static_lookup",
    "string",
    "boolean",
    "date",
    "date_nanos",
}
GRID_WIDTH = 48


def findings(text: str, types: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with the file, one sentence each; empty when nothing is. `types`: of the fields, else our mapping's."""
    types = types or field_types()
    objects: dict[Key, Body] = {}
    found: list[str] = []
    end: Body | None = None
    for number, line in enumerate(text.splitlines(), 1):
        try:
            one = json.loads(line)
        except ValueError:
            found.append(f"line {number} is no JSON")
            continue
        if "exportedCount" in one:
            end = one
            continue
        key = (one["type"], one["id"])
        if key in objects:
            found.append(f"{key[0]}:{key[1]} is there twice")
        objects[key] = one
    if end is None or end["exportedCount"] != len(objects):
        found.append(f"the last line counts {end and end['exportedCount']} objects, there are {len(objects)}")
    for (kind, id_), one in objects.items():
        try:
            found += [f"{kind}:{id_}: {said}" for said in _object(one, objects, types)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            found.append(f"{kind}:{id_}: cannot be read ({error!r})")
    return found


def field_types() -> dict[str, str]:
    """Every field of our templates with its type, flattened."""
    found: dict[str, str] = {}
    for first, body in mappings()["properties"].items():
        if "type" in body:
            found[first] = body["type"]
        for rest, inner in body.get("properties", {}).items():
            found[f"{first}.{rest}"] = inner["type"]
    return found


def type_of(name: str, types: Mapping[str, str]) -> str | None:
    """The type of a field; labels have those of their map."""
    for root, kind in (("labels.", "flattened"), ("numeric_labels.", "double")):
        if name.startswith(root):
            return kind
    return types.get(name)


def converted(attributes: Body) -> Body:
    """A search as Kibana 9.4 keeps it: what was its own is that of its first tab."""
    own = {name: value for name, value in attributes.items() if name not in TAB}
    tab = {name: value for name, value in attributes.items() if name in TAB}
    return own | {"tabs": [{"id": "first", "label": "Untitled", "attributes": tab}]}


def _object(one: Body, objects: Mapping[Key, Body], types: Mapping[str, str]) -> Iterator[str]:
    kind, attributes = one["type"], one["attributes"]
    if kind not in KNOWN:
        yield f"is of a type that is not known: {kind}"
        return
    if not re.fullmatch(r"logship-[a-z0-9-]+", one["id"]):
        yield "its id is not ours: logship- and small letters"
    if _version(one.get("coreMigrationVersion", "")) > CORE or not one.get("coreMigrationVersion"):
        yield f"coreMigrationVersion {one.get('coreMigrationVersion')!r} is missing or newer than 8.8.0"
    version = one.get("typeMigrationVersion", "")
    if not version or _version(version) > NEWEST[kind]:
        yield f"typeMigrationVersion {version!r} is missing or newer than Kibana 8.17 takes"
    yield from (f"has the unknown attribute {name}" for name in attributes.keys() - KNOWN[kind])
    yield from (f"lacks the attribute {name}" for name in NEEDED[kind] - attributes.keys())
    for path in JSON_TEXTS[kind]:
        value: Any = attributes
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and not _is_json(value):
            yield f"{path} is no text of JSON"
            return
    needed: dict[str, str] = {}
    check = {"search": _search, "lens": _lens, "dashboard": _dashboard, "index-pattern": _data_view}.get(kind)
    if check is not None:
        yield from check(one, needed, objects, types)
    yield from _references(one, needed, objects)


def _references(one: Body, needed: Mapping[str, str], objects: Mapping[Key, Body]) -> Iterator[str]:
    names = Counter(reference["name"] for reference in one["references"])
    yield from (f"has the reference {name} twice" for name, times in names.items() if times > 1)
    for reference in one["references"]:
        name, target = reference["name"], (reference["type"], reference["id"])
        if target not in objects:
            yield f"the reference {name} leads to {':'.join(target)}, which is not there"
        if name in needed and needed[name] != reference["type"]:
            yield f"the reference {name} is a {reference['type']}, needed is a {needed[name]}"
        if name not in needed and not name.startswith("tag-ref-"):
            yield f"the reference {name} is used by nothing"
    yield from (f"lacks the reference {name}" for name in needed.keys() - names.keys())


def _data_view(one: Body, _: Body, objects: Mapping[Key, Body], types: Mapping[str, str]) -> Iterator[str]:
    attributes = one["attributes"]
    if type_of(attributes["timeFieldName"], types) not in ("date", "date_nanos"):
        yield f"{attributes['timeFieldName']} is no date"
    told = json.loads(attributes["fieldAttrs"])
    formats = json.loads(attributes["fieldFormatMap"])
    yield from (
        f"names the field {name}, which is not mapped" for name in {*told, *formats} if type_of(name, types) is None
    )
    for name, shown in formats.items():
        if shown["id"] not in FORMATS:
            yield f"{name} has the format {shown['id']}, which Kibana does not have"
        elif shown["id"] in ("duration", "bytes", "number") and type_of(name, types) not in lens.NUMBERS:
            yield f"{name} has the format {shown['id']} and is no number"
        elif shown["id"] == "url":
            yield from _link(name, shown["params"]["urlTemplate"], objects, types)


def _link(name: str, address: str, objects: Mapping[Key, Body], types: Mapping[str, str]) -> Iterator[str]:
    found = re.fullmatch(r"\.\./app/discover#/view/([a-z0-9-]+)\?(.*)", address)
    if found is None:
        yield f"the link of {name} leads nowhere: {address}"
        return
    if ("search", found[1]) not in objects:
        yield f"the link of {name} leads to {found[1]}, which is not there"
    state = parse_qs(found[2])["_a"][0]
    asked = re.fullmatch(r"\(query:\(language:kuery,query:'([^'!]*)'\)\)", state)
    if asked is None or "{{value}}" not in asked[1]:
        yield f"the link of {name} asks nothing: {state}"
    else:
        yield from _question(unquote(asked[1]).replace("{{value}}", "a value"), f"the link of {name}", types)


def _search(one: Body, needed: Body, _: object, types: Mapping[str, str]) -> Iterator[str]:
    attributes = one["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    needed[source["indexRefName"]] = "index-pattern"
    yield from _question(source["query"]["query"], "its query", types)
    for name in attributes["columns"]:
        if type_of(name, types) is None:
            yield f"shows {name}, which is not mapped"
    for name, way in attributes["sort"]:
        if type_of(name, types) not in lens.AGGREGATED or name in LOOKED_UP or way not in ("asc", "desc"):
            yield f"cannot be sorted by {name} {way}"
    later = converted(attributes)
    yield from (f"{name} has no place in Kibana 9.4" for name in later.keys() - {"title", "description", "tabs"})


def _lens(one: Body, needed: Body, _: object, types: Mapping[str, str]) -> Iterator[str]:
    state = one["attributes"]["state"]
    yield from _question(state["query"]["query"], "its query", types)
    if state.get("internalReferences") != [] or state.get("adHocDataViews") != {}:
        yield "has a data view of its own"
    layers = state["datasourceStates"]["formBased"]["layers"]
    columns: Body = {}
    for name, layer in layers.items():
        needed[f"indexpattern-datasource-layer-{name}"] = "index-pattern"
        columns |= layer["columns"]
        yield from lens.findings(layer, types, lambda text, where: _question(text, where, types))
    drawn = state["visualization"]
    for shown in drawn.get("layers", [drawn]):
        if shown["layerId"] not in layers:
            yield f"draws the layer {shown['layerId']}, which is not there"
        yield from (f"draws the column {name}, which is not there" for name in lens.drawn(shown) if name not in columns)
    kind = one["attributes"]["visualizationType"]
    if kind not in ("lnsXY", "lnsDatatable", "lnsHeatmap", "lnsMetric"):
        yield f"is drawn as {kind}, which is not known"


def _dashboard(one: Body, needed: Body, _: object, types: Mapping[str, str]) -> Iterator[str]:
    attributes = one["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    yield from _question(source["query"]["query"], "its query", types)
    placed: list[Body] = []
    for panel in json.loads(attributes["panelsJSON"]):
        name, place = panel["panelIndex"], panel["gridData"]
        if place["i"] != name or name in {other["i"] for other in placed}:
            yield f"the panel {name} is there twice, or its place has another name"
        if place["x"] < 0 or place["y"] < 0 or place["x"] + place["w"] > GRID_WIDTH or min(place["w"], place["h"]) <= 0:
            yield f"the panel {name} is off the grid"
        yield from (f"the panels {name} and {other['i']} overlap" for other in placed if _overlap(place, other))
        placed.append(place)
        if "savedObjectId" in panel or panel["panelRefName"] != f"panel_{name}":
            yield f"the panel {name} says where it comes from in two ways"
        needed[f"{name}:{panel['panelRefName']}"] = panel["type"]
    if not attributes.get("timeRestore") or not (attributes.get("timeFrom") and attributes.get("timeTo")):
        yield "has no span of time of its own"
    controls = json.loads(attributes.get("controlGroupInput", {}).get("panelsJSON", "{}"))
    fields = [control["explicitInput"]["fieldName"] for control in controls.values()]
    if "service.node.name" not in fields:
        yield "has no control of workers"
    for name, control in controls.items():
        needed[f"controlGroup_{name}:optionsListDataView"] = "index-pattern"
        given = control["explicitInput"]
        if given["id"] != name or "dataViewId" in given:
            yield f"the control {name} has another id, or names its data view"
        if not lens.has_column(given["fieldName"], types):
            yield f"the control {name} offers values of {given['fieldName']}, which has none to offer"


def _question(text: str, where: str, types: Mapping[str, str]) -> Iterator[str]:
    """KQL that does not parse, or that asks for a field there is not."""
    try:
        node = kql.parse(text)
    except KqlError as error:
        yield f"{where} is no KQL: {error}"
        return
    for name in names_in(node):
        if type_of(name, types) is None:
            yield f"{where} asks for {name}, which is not mapped"


def names_in(node: kql.Node | None) -> Iterator[str]:
    """The fields that a question names."""
    match node:
        case kql.Is(kql.Text(name)) | kql.Range(kql.Text(name)):
            yield name
        case kql.And(parts) | kql.Or(parts):
            for part in parts:
                yield from names_in(part)
        case kql.Not(part):
            yield from names_in(part)
        case kql.Is(None):
            yield "(no field)"


def _overlap(one: Body, other: Body) -> bool:
    beside = one["x"] >= other["x"] + other["w"] or other["x"] >= one["x"] + one["w"]
    above = one["y"] >= other["y"] + other["h"] or other["y"] >= one["y"] + one["h"]
    return not (beside or above)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part)


def _is_json(text: object) -> bool:
    try:
        return isinstance(text, str) and json.loads(text) is not None
    except ValueError:
        return False
