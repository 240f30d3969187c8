"""The mapping of our events in Elasticsearch: two component templates and one index template, made from the fields.

    logship@settings   one shard, compression, what is done with values that do not fit
    logship@mappings   every field of `event/fields.py` with its type
    logship@custom     yours: read last where it exists, never written by us
    logship.events     the data stream logs-logship.events-<namespace>, made of these three, with its retention

No document of ours is refused under this mapping (`tests/elastic/test_hostile.py` holds it to that):

- Unknown names are kept and not indexed (`dynamic: false`): an application cannot fill the mapping.
- Below the first word of a name nothing is an object (`subobjects: false`): {"service.name": {"x": 1}} is kept, where an
  object would refuse it. Not at the top, because there the whole tree has one `dynamic`, and `numeric_labels` needs another:
  Elasticsearch 8.19 refuses an object with `dynamic: true`, plain or `passthrough`, under `subobjects: false`.
- `numeric_labels` grow by themselves, as doubles, so that ranges and sums work and use an index. Beyond the limit of fields
  further ones are kept and not indexed. Runtime fields would do without a limit, and read every document for one range.
- Invalid numbers, dates and addresses are kept and not indexed (`ignore_malformed`), long texts too (`ignore_above`).
"""

from typing import Any, Final

from logship.event.entry import TAG
from logship.event.fields import FIELDS, Field
from logship.search.targets import BARE_TEXT_FIELDS

Body = dict[str, Any]

VERSION: Final = 2  # goes up with every change of what is below; `setup` tells an older one from a newer one by it
DATASET: Final = TAG
PATTERN: Final = f"logs-{DATASET}-*"
SETTINGS, MAPPINGS, CUSTOM, TEMPLATE = "logship@settings", "logship@mappings", "logship@custom", DATASET
# Above Elastic's own logs-*-* (100) and OpenTelemetry's (120), below what a user would choose to override ours.
PRIORITY: Final = 300
RETENTION_DAYS: Final = 30

# The mapping itself has about 100 fields; the rest is for numeric_labels.
FIELD_LIMIT: Final = 1000
KEYWORD_CHARACTERS: Final = 8191  # times 4 bytes: what Lucene takes as one term
LABEL_CHARACTERS: Final = 1024
# Ids that are looked up by value. Without the columns that sorting and grouping read (`doc_values`) an event takes 13 % less
# disk. No panel, saved search or sort uses them; `elastic/source.py` reads them from `_source` where it groups by one.
LOOKED_UP: Final = frozenset({"http.request.id", "span.id", "transaction.id", "parent.id"})

META: Final[Body] = {"logship": {"version": VERSION, "made_from": "logship/event/fields.py"}}


def stream(namespace: str) -> str:
    """The data stream of a namespace."""
    return f"logs-{DATASET}-{namespace}"


def documents(retention_days: float = RETENTION_DAYS) -> dict[str, Body]:
    """Every body under the path it is PUT to, in the order in which they must be put. `retention_days` 0: no limit."""
    return {
        f"_component_template/{SETTINGS}": component({"settings": settings()}),
        f"_component_template/{MAPPINGS}": component({"mappings": mappings()}),
        f"_index_template/{TEMPLATE}": index_template(retention_days),
    }


def component(template: Body) -> Body:
    """A component template of ours."""
    return {"version": VERSION, "_meta": META, "template": template}


def index_template(retention_days: float) -> Body:
    """What ties the components to the data streams."""
    return {
        "version": VERSION,
        "_meta": META,
        "index_patterns": [PATTERN],
        "priority": PRIORITY,
        "data_stream": {},
        "composed_of": [SETTINGS, MAPPINGS, CUSTOM],
        "ignore_missing_component_templates": [CUSTOM],
        "template": {
            "lifecycle": lifecycle(retention_days),
            # A failure store gives every rejected document a new id. Fluent Bit then resends the whole bulk without limit, and
            # each time the same failures are stored once more: 200 became 1,000.
            "data_stream_options": {"failure_store": {"enabled": False}},
        },
    }


def lifecycle(retention_days: float) -> Body:
    """Roll over automatically, and delete older data. In seconds where it is not a whole number of days."""
    whole = int(retention_days) == retention_days
    kept = f"{int(retention_days)}d" if whole else f"{max(int(retention_days * 86400), 1)}s"
    return {"data_retention": kept} if retention_days else {}


def settings() -> Body:
    """How the events lie on disk, and what is done with values that do not fit."""
    return {
        "index": {
            # One: rejections then concern a whole bulk or single documents, never the half of it that one shard took.
            "number_of_shards": 1,
            # From 9.0 on Elasticsearch makes new streams named logs-*-* logsdb by itself, which with a paid licence rebuilds
            # `_source` and rounds integers beyond 2^53. docs/elk.md says how to choose it.
            "mode": "standard",
            "auto_expand_replicas": "0-1",
            "codec": "best_compression",  # 366 bytes an event against 479
            "mapping": {
                "ignore_malformed": True,
                "ignore_above": KEYWORD_CHARACTERS,
                "total_fields": {"limit": FIELD_LIMIT, "ignore_dynamic_beyond_limit": True},
            },
            "query": {"default_field": list(BARE_TEXT_FIELDS)},
        }
    }


def mappings() -> Body:
    """Every field with its type, by name."""
    properties: Body = {}
    for one in sorted(FIELDS, key=lambda field: field.name):
        if one.name == "numeric_labels":
            properties[one.name] = {"type": "object", "dynamic": True, "subobjects": False}
            continue
        first, _, rest = one.name.partition(".")
        if not rest:
            properties[first] = kind(one)
        else:
            group = {"type": "object", "dynamic": False, "subobjects": False, "properties": {}}
            properties.setdefault(first, group)["properties"][rest] = kind(one)
    return {
        "_meta": META,
        "dynamic": False,
        "date_detection": False,
        "dynamic_templates": [{"numeric_labels": {"path_match": "numeric_labels.*", "mapping": {"type": "double"}}}],
        "properties": properties,
    }


def kind(field: Field) -> Body:
    """The mapping of one field: only types that every build of Elasticsearch has."""
    if field.stored_type == "flattened":
        return {"type": "flattened", "ignore_above": LABEL_CHARACTERS, "depth_limit": 64}
    if field.stored_type == "text":
        # Positions stay on: without them a quoted phrase is an error.
        return {"type": "text", "norms": False}
    return {"type": field.stored_type} | ({"doc_values": False} if field.name in LOOKED_UP else {})
