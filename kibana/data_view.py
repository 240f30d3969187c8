"""The data view: its streams, the labels and formats of fields, and the searches that a click on a value opens."""

from typing import Final

from kibana.objects import DATA_VIEW, SEARCH, Body, saved, text
from logship.elastic.mapping import PATTERN
from logship.event.fields import FIELDS
from logship.search.kql import Or, equal, text_of
from logship.search.views import LIFE, NODE

NAME: Final = "logship events"
DURATIONS: Final = ("event.duration", *(field.name for field in FIELDS if field.name.endswith("_ns")))
BYTES: Final = tuple(field.name for field in FIELDS if field.name.endswith(".bytes"))
# Numbers shown without digit grouping: port 8080, not 8,080.
PLAIN: Final = ("process.pid", "process.parent.pid", "client.port", "server.port", "http.response.status_code", "event.sequence",
                "logship.worker.slot", "logship.worker.generation", "log.origin.file.line", "process.exit_code")  # fmt: skip
# Short labels, because field names would make columns and legends wide.
LABELS: Final = {
    NODE: "Worker",
    "event.duration": "Duration",
    "http.response.status_code": "Status",
    "http.request.id": "Request",
    "http.route": "Route",
    LIFE: "Run",
    "logship.worker.slot": "Slot",
    "logship.worker.generation": "Generation",
    "log.level": "Level",
    "log.logger": "Logger",
    "error.type": "Error",
}
# A click on a value opens this search, with one of these fields equal to the value.
LINKS: Final = {
    "http.request.id": ("story", ("http.request.id", "trace.id")),
    "trace.id": ("story", ("http.request.id", "trace.id")),
    NODE: ("worker", (NODE,)),
    LIFE: ("worker", (LIFE,)),
    "http.route": ("slow", ("http.route",)),
    "error.type": ("failures", ("error.type",)),
    "log.logger": ("app-errors", ("log.logger",)),
}
# Links set a time range, because a new tab defaults to fifteen minutes.
SPAN: Final = "time:(from:now-7d,to:now)"
VALUE: Final = "{{value}}"


def data_view() -> Body:
    """Return the saved object of the data view."""
    formats: Body = {name: _duration() for name in DURATIONS}
    formats |= {name: {"id": "bytes"} for name in BYTES}
    formats |= {name: {"id": "number", "params": {"pattern": "0"}} for name in PLAIN}
    formats |= {name: {"id": "url", "params": _link(*LINKS[name])} for name in LINKS}
    attributes_of = {field.name: {"customDescription": field.sentence.replace("`", "")} for field in FIELDS}
    for name, label in LABELS.items():
        attributes_of[name]["customLabel"] = label
    attributes = {
        "title": PATTERN,
        "name": NAME,
        "timeFieldName": "@timestamp",
        "allowNoIndex": True,  # so that it can be imported before the first event
        "fields": "[]",
        "fieldFormatMap": text(formats),
        "fieldAttrs": text(attributes_of),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
    }
    return saved("index-pattern", DATA_VIEW, attributes)


def _duration() -> Body:
    params = {"inputFormat": "nanoseconds", "outputFormat": "humanizePrecise", "outputPrecision": 2}
    return {"id": "duration", "params": {**params, "useShortSuffix": True, "showSuffix": True}}


def _link(search: str, fields: tuple[str, ...]) -> Body:
    """Return URL parameters relative to Kibana's address, so that links work in every space and behind every proxy."""
    # Kibana replaces {{value}} with the percent-encoded value; the rest is encoded here.
    query = text_of(Or(tuple(equal(name, VALUE) for name in fields))) if len(fields) > 1 else ""
    query = query or text_of(equal(fields[0], VALUE))
    encoded = query.replace('"', "%22").replace(" ", "%20").replace("\\", "")
    address = f"../app/discover#/view/{SEARCH}{search}?_g=({SPAN})&_a=(query:(language:kuery,query:'{encoded}'))"
    return {"type": "a", "urlTemplate": address, "labelTemplate": VALUE, "openLinkInCurrentTab": False}
