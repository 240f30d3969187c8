"""The data view: which streams, what fields are called, how their values are shown, and where a click on one leads."""

from typing import Final

from kibana.objects import DATA_VIEW, SEARCH, Body, saved, text
from logship.elastic.mapping import PATTERN
from logship.event.fields import FIELDS
from logship.search.kql import Or, equal, text_of
from logship.search.views import LIFE, NODE

NAME: Final = "logship events"
DURATIONS: Final = ("event.duration", *(field.name for field in FIELDS if field.name.endswith("_ns")))
BYTES: Final = tuple(field.name for field in FIELDS if field.name.endswith(".bytes"))
# Numbers that are names: 8,080 is no port.
PLAIN: Final = ("process.pid", "process.parent.pid", "client.port", "server.port", "http.response.status_code", "event.sequence",
                "logship.worker.slot", "logship.worker.generation", "log.origin.file.line", "process.exit_code")  # fmt: skip
# In place of the field's own name, where columns and legends would be wide.
LABELS: Final = {
    NODE: "Worker",
    "event.duration": "Took",
    "http.response.status_code": "Status",
    "http.request.id": "Request",
    "http.route": "Route",
    LIFE: "Life",
    "logship.worker.slot": "Slot",
    "logship.worker.generation": "Generation",
    "log.level": "Level",
    "log.logger": "Logger",
    "error.type": "Error",
}
# A click on a value opens this search with these fields equal to it, from whatever panel or search shows the value.
LINKS: Final = {
    "http.request.id": ("story", ("http.request.id", "trace.id")),
    "trace.id": ("story", ("http.request.id", "trace.id")),
    NODE: ("worker", (NODE,)),
    LIFE: ("worker", (LIFE,)),
    "http.route": ("slow", ("http.route",)),
    "error.type": ("failures", ("error.type",)),
    "log.logger": ("app-errors", ("log.logger",)),
}
# A link opens with a span of its own, since a new tab would have Kibana's fifteen minutes.
SPAN: Final = "time:(from:now-7d,to:now)"
VALUE: Final = "{{value}}"


def data_view() -> Body:
    """The object."""
    formats: Body = {name: _duration() for name in DURATIONS}
    formats |= {name: {"id": "bytes"} for name in BYTES}
    formats |= {name: {"id": "number", "params": {"pattern": "0"}} for name in PLAIN}
    formats |= {name: {"id": "url", "params": _link(*LINKS[name])} for name in LINKS}
    told = {field.name: {"customDescription": field.sentence.replace("`", "")} for field in FIELDS}
    for name, label in LABELS.items():
        told[name]["customLabel"] = label
    attributes = {
        "title": PATTERN,
        "name": NAME,
        "timeFieldName": "@timestamp",
        "allowNoIndex": True,  # before the first event, too
        "fields": "[]",
        "fieldFormatMap": text(formats),
        "fieldAttrs": text(told),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
    }
    return saved("index-pattern", DATA_VIEW, attributes)


def _duration() -> Body:
    shown = {"inputFormat": "nanoseconds", "outputFormat": "humanizePrecise", "outputPrecision": 2}
    return {"id": "duration", "params": {**shown, "useShortSuffix": True, "showSuffix": True}}


def _link(search: str, fields: tuple[str, ...]) -> Body:
    """An address below Kibana's own, so that it holds in every space and behind every proxy."""
    # Kibana writes the value percent-encoded where {{value}} stands; the rest we encode.
    question = text_of(Or(tuple(equal(name, VALUE) for name in fields))) if len(fields) > 1 else ""
    question = question or text_of(equal(fields[0], VALUE))
    asked = question.replace('"', "%22").replace(" ", "%20").replace("\\", "")
    address = f"../app/discover#/view/{SEARCH}{search}?_g=({SPAN})&_a=(query:(language:kuery,query:'{asked}'))"
    return {"type": "a", "urlTemplate": address, "labelTemplate": VALUE, "openLinkInCurrentTab": False}
