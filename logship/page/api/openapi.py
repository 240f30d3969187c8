"""The OpenAPI document of the HTTP interface, as data: what may be asked, and the shape of each answer.

`answers.py` decides which parameters a question takes; a test holds this document to it, and to what is really sent."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
HINT: Final[Schema] = {**TEXT, "description": "A name of the query that no event has, and the one that was meant."}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def several(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def named(**fields: Schema) -> Schema:
    """Return the schema of an object with exactly these fields."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def found(**fields: Schema) -> Schema:
    """Return the schema of an answer to a query: these fields, and hints where it names what no event has."""
    return {**named(**fields), "properties": {**fields, "hints": several(HINT)}}


def component(name: str) -> Schema:
    """Return a reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: Final[dict[str, Schema]] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {**TEXT, "description": "What is wrong and what was expected, as a sentence."},
            "at": {**COUNT, "description": "Of KQL: the character where it is."},
            "expected": TEXT,
        },
    },
    "Record": {
        "type": "object",
        "description": "One event: flat ECS names; labels and numeric_labels hold what the application named itself.",
        "required": ["@timestamp"],
        "properties": {"@timestamp": {"type": "string", "format": "date-time"}, "labels": {"type": "object"}},
        "additionalProperties": True,
    },
    "Rows": found(records=several(component("Record")), next=maybe(TEXT)),
    "Bucket": named(start_ns=WHOLE, key=TEXT, events=COUNT, and_key=TEXT, error=COUNT),
    "Share": named(value=TEXT, events=COUNT, share=NUMBER, error=COUNT),
    "Stat": named(
        key=TEXT,
        count=COUNT,
        sum=NUMBER,
        min=NUMBER,
        max=NUMBER,
        p50=NUMBER,
        p95=NUMBER,
        p99=NUMBER,
        start_ns=WHOLE,
        error=NUMBER,
    ),
    "FieldCount": named(name=TEXT, type=TEXT, events=COUNT),
    "Object": {"type": "object", "additionalProperties": True},
}

TIME: Final = "14:03, yesterday 14:00, 15m (ago), now-1h, 2026-11-20T14:03Z, or seconds to nanoseconds since 1970."
PARAMETERS: Final[dict[str, tuple[Schema, str]]] = {
    "q": ({**TEXT, "maxLength": 20_000, "example": "http.response.status_code >= 500"}, "The question in KQL; else all events."),
    "service": ({**TEXT, "example": "shop"}, "Only events of this service."),
    "since": ({**TEXT, "example": "yesterday 14:00"}, f"From then: {TIME}"),
    "until": ({**TEXT, "example": "now-1m"}, f"Up to then: {TIME}"),
    "last": ({**TEXT, "example": "15m"}, "As far back: 90s, 15m, 2h, 1d."),
    "since_ns": (WHOLE, "From these nanoseconds since 1970 on."),
    "until_ns": (WHOLE, "Up to these nanoseconds since 1970, which are not included."),
    "limit": ({**WHOLE, "minimum": 1, "maximum": 10_000}, "At most so many."),
    "order": ({**TEXT, "enum": ["newest", "oldest"], "default": "newest"}, "Which come first."),
    "after": (TEXT, "Go on after this: the `next` of the answer before."),
    "field": ({**TEXT, "minLength": 1, "example": "http.route"}, "A field, or a label."),
    "by": ({**TEXT, "example": "service.node.name"}, "One row, or one series, for each of its values."),
    "and_by": ({**TEXT, "example": "http.route"}, "And for each value of this one."),
    "every_ns": ({**WHOLE, "minimum": 10**6, "maximum": 10**18}, "Buckets of time of this width; all in one without."),
    "latency_every_ns": ({**WHOLE, "minimum": 10**6, "maximum": 10**18}, "Width of the buckets of latency."),
    "columns": ({**TEXT, "example": "message,log.level"}, "Only these fields and the time; all without."),
    "greatest": ({**TEXT, "example": "event.duration"}, "Not by time, but by this number, the greatest first."),
    "id": ({**TEXT, "minLength": 1}, "An event id, a request id or a trace id."),
    "before_events": ({**WHOLE, "minimum": 0, "maximum": 1000, "default": 10}, "So many events before it."),
    "after_events": ({**WHOLE, "minimum": 0, "maximum": 1000, "default": 10}, "So many events after it."),
    "workers": ({**TEXT, "enum": ["same", "all"], "default": "same"}, "Of its own worker, or of all."),
    "worker": (TEXT, "Only of this one: slot, node, pid or incarnation."),
    "format": ({**TEXT, "enum": ["ndjson", "csv"], "default": "ndjson"}, "One JSON object a line, or CSV."),
}  # fmt: skip
REQUIRED: Final = {
    "/api/overview": ["every_ns", "latency_every_ns"],
    "/api/top": ["field"],
    "/api/stats": ["field"],
    "/api/context": ["id"],
}


class Path(NamedTuple):
    """One address: what it answers, and as what."""

    sentence: str
    answer: Schema
    media: str = "application/json"


OBJECTS: Final = several(component("Object"))
EXCERPT: Final = named(records=several(component("Record")), cut={"type": "boolean"})
PATHS: Final[dict[str, Path]] = {
    "/api/search": Path("Events by time, a page at a time.", component("Rows")),
    "/api/arrivals": Path("What was stored after a key, as it arrived; without one a key from now on.", component("Rows")),
    "/api/count": Path("How many events.", found(count=COUNT)),
    "/api/tally": Path("How many events in each bucket of time.", found(buckets=several(component("Bucket")))),
    "/api/top": Path("The most frequent values of a field.", found(values=several(component("Share")))),
    "/api/stats": Path("Count, sum and exact percentiles of a number.", found(stats=several(component("Stat")))),
    "/api/context": Path("What happened before and after an event, by time.", EXCERPT),
    "/api/events/{id}": Path("The events with this event id, request id or trace id; 404 without any.", EXCERPT),
    "/api/incarnations": Path("The lives of workers, with the ranges of sequences that are stored.", found(incarnations=OBJECTS)),
    "/api/workers": Path(
        "The table of workers, by default of the last 15 minutes; `covered_ns`: for how long at least one was there.",
        found(workers=OBJECTS, covered_ns=COUNT),
    ),
    "/api/verify": Path(
        "Whether all emitted events are stored: a verdict on each run of each worker, and one for all of them.",
        found(finding=TEXT, delivery=component("Object"), verdicts=OBJECTS, set_aside=OBJECTS),
    ),
    "/api/findings": Path(
        "What stands out in the window, the most severe first; the last 15 minutes by default.",
        found(findings=OBJECTS, balances=OBJECTS, not_judged=several(TEXT), sentence=TEXT),
    ),
    "/api/overview": Path("Workers, findings, traffic, latency, heartbeats and failures of a window.", component("Object")),
    "/api/story/{id}": Path(
        "Everything known of one request, also a running or an interrupted one; 404 for an unknown id.", component("Object")
    ),
    "/api/inflight": Path(
        "Requests that run now, or ended with their worker; `not_visible`: workers whose running requests are not seen.",
        found(requests=OBJECTS, not_visible=OBJECTS, sentence=TEXT),
    ),
    "/api/kql": Path("The query in full, as Kibana reads it: no short names, labels with their map.", named(kql=TEXT)),
    "/api/fields": Path("The fields that occur.", named(fields=several(component("FieldCount")))),
    "/api/views": Path("The catalogue of views: what each asks, and how its answer is shown.", named(views=OBJECTS)),
    "/api/oldest": Path("When the oldest event happened.", named(oldest_ns=maybe(WHOLE))),
    "/api/set_aside": Path("Damaged files of the store, whose events are missing in all results.", named(files=OBJECTS)),
    "/api/export": Path("Every event that matches, oldest first, without a limit.", TEXT, "application/x-ndjson"),
    "/api/tail": Path("Each event as it arrives, as server-sent events with Last-Event-ID.", TEXT, "text/event-stream"),
    "/api/health": Path("Counters since the start, and how it is now.", component("Object")),
    "/api/openapi.json": Path("This document.", component("Object")),
    "/metrics": Path("The same numbers for Prometheus.", TEXT, "text/plain"),
    "/healthz": Path("Liveness: the process runs; needs no token, any Host.", TEXT, "text/plain"),
    "/readyz": Path("Readiness: events are stored, else 503 and why not; needs no token, any Host.", TEXT, "text/plain"),
}  # fmt: skip
ERRORS: Final = {
    "400": "The question makes no sense as it was put.",
    "401": "A token is needed.",
    "404": "There is no such thing.",
    "405": "This interface only answers questions: use GET.",
    "414": "The question is too long.",
    "503": "The source cannot answer, or not in time; or too many ask at once.",
}


def document(version: str, names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the document. `names`: for each path the parameters that it takes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "logship",
            "version": version,
            "summary": "What every worker of an ASGI service did.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"token": []}],
        "paths": {path: {"get": _operation(path, one, names.get(path, ()))} for path, one in PATHS.items()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(path: str, one: Path, names: tuple[str, ...]) -> dict[str, Any]:
    inside = ["id"] if "{id}" in path else []
    parameters = [_parameter(name, "path", required=True) for name in inside]
    parameters += [_parameter(name, "query", required=name in REQUIRED.get(path, ())) for name in names]
    media = {one.media: {"schema": one.answer}}
    if path == "/api/export":
        media["text/csv"] = {"schema": TEXT}
    return {
        "operationId": path.removeprefix("/").removeprefix("api/").removesuffix(".json").replace("/{id}", "") or "start",
        "summary": one.sentence,
        "parameters": parameters,
        "responses": {"200": {"description": one.sentence, "content": media}} | {
            status: {"description": said, "content": {"application/json": {"schema": component("Error")}}}
            for status, said in ERRORS.items()
        },
    }  # fmt: skip


def _parameter(name: str, place: str, *, required: bool) -> dict[str, Any]:
    schema, sentence = PARAMETERS[name]
    example = {"example": schema["example"]} if "example" in schema else {}
    plain = {key: value for key, value in schema.items() if key != "example"}
    return {"name": name, "in": place, "required": required, "description": sentence, "schema": plain, **example}
