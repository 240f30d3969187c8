"""The envelope of Kibana's saved objects: versions and references.

Each object has the oldest version that supports what it needs. Kibana 8.17 and newer migrate it to their own version, and
reject an object of a newer Kibana. Kibana would treat an object without a version as one of Kibana 6, and break it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

Body = dict[str, Any]

CORE_VERSION: Final = "8.8.0"
VERSIONS: Final = {"index-pattern": "8.0.0", "search": "10.1.0", "lens": "8.9.0", "dashboard": "10.2.0"}
# Prefixes of object ids. They are visible in the browser's address bar.
DATA_VIEW: Final = "logship-events"
SEARCH, LENS, DASHBOARD = "logship-search-", "logship-lens-", "logship-dash-"
SOURCE_INDEX: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"


def saved(kind: str, id: str, attributes: Body, references: Iterable[Body] = ()) -> Body:  # noqa: A002
    """Return one object as it is stored in a line of the file."""
    return {
        "type": kind,
        "id": id,
        "attributes": attributes,
        "references": list(references),
        "managed": False,  # users may edit the objects; set-up overwrites them
        "coreMigrationVersion": CORE_VERSION,
        "typeMigrationVersion": VERSIONS[kind],
    }


def reference(kind: str, id: str, name: str) -> Body:  # noqa: A002
    """Return a reference to another object, which the attributes use under `name`."""
    return {"type": kind, "id": id, "name": name}


def to_data_view(name: str) -> Body:
    """Return a reference to the data view."""
    return reference("index-pattern", DATA_VIEW, name)


def text(value: object) -> str:
    """Return `value` as canonical JSON: sorted keys, no spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def source(query: str, *, indexed: bool) -> Body:
    """Return the search source of an object. `indexed`: whether it has the reference SOURCE_INDEX; a dashboard has none."""
    body: Body = {"query": kuery(query), "filter": []}
    if indexed:
        body["indexRefName"] = SOURCE_INDEX
    return {"searchSourceJSON": text(body)}


def kuery(query: str) -> Body:
    """Return a KQL query as Kibana stores it."""
    return {"language": "kuery", "query": query}


def as_lines(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return the file for import: one object per line, ordered by type and id, and the summary that ends an export."""
    ordered = sorted(objects, key=lambda item: (item["type"], item["id"]))
    end = {
        "exportedCount": len(ordered),
        "missingRefCount": 0,
        "missingReferences": [],
        "excludedObjects": [],
        "excludedObjectsCount": 0,
    }
    return "".join(text(line) + "\n" for line in (*ordered, end))
