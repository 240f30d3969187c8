"""Kibana's saved objects: the envelope, the versions, the references.

Every object is written in the oldest version that has what we need: Kibana 8.17 and newer bring it up to their own, and
refuse one from a newer Kibana. An object without a version would be taken for one of Kibana 6, and break."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

Body = dict[str, Any]

CORE_VERSION: Final = "8.8.0"
VERSIONS: Final = {"index-pattern": "8.0.0", "search": "10.1.0", "lens": "8.9.0", "dashboard": "10.2.0"}
# Elastic's users know these words from the address bar: links to our objects begin with them.
DATA_VIEW: Final = "logship-events"
SEARCH, LENS, DASHBOARD = "logship-search-", "logship-lens-", "logship-dash-"
SOURCE_INDEX: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"


def saved(kind: str, id: str, attributes: Body, references: Iterable[Body] = ()) -> Body:  # noqa: A002
    """One object as a line of the file holds it."""
    return {
        "type": kind,
        "id": id,
        "attributes": attributes,
        "references": list(references),
        "managed": False,  # people may change what they see; set-up writes it anew
        "coreMigrationVersion": CORE_VERSION,
        "typeMigrationVersion": VERSIONS[kind],
    }


def reference(kind: str, id: str, name: str) -> Body:  # noqa: A002
    """Say that the object needs another one, where its attributes have `name`."""
    return {"type": kind, "id": id, "name": name}


def to_data_view(name: str) -> Body:
    """The reference to the one data view."""
    return reference("index-pattern", DATA_VIEW, name)


def text(value: object) -> str:
    """JSON of which there is one form: keys in order, no blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def source(query: str, *, indexed: bool) -> Body:
    """What an object searches. `indexed`: by the reference SOURCE_INDEX; a dashboard has none."""
    body: Body = {"query": kuery(query), "filter": []}
    if indexed:
        body["indexRefName"] = SOURCE_INDEX
    return {"searchSourceJSON": text(body)}


def kuery(query: str) -> Body:
    """A question in KQL."""
    return {"language": "kuery", "query": query}


def as_lines(objects: Iterable[Mapping[str, Any]]) -> str:
    """The file that Kibana imports: one object a line in the order of type and id, and the line an export ends with."""
    ordered = sorted(objects, key=lambda one: (one["type"], one["id"]))
    end = {
        "exportedCount": len(ordered),
        "missingRefCount": 0,
        "missingReferences": [],
        "excludedObjects": [],
        "excludedObjectsCount": 0,
    }
    return "".join(text(line) + "\n" for line in (*ordered, end))
