"""The OpenAPI document of the HTTP API, as data: paths, parameters, and the schema of each response.

`queries.py` decides which parameters a path takes. Tests compare this document with it, and with real responses."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
HINT: Final[Schema] = {**TEXT, "description": "A field or label in the query that no event has, with a suggestion."}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def several(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def named(**fields: Schema) -> Schema:
    """Return the schema of an object with exactly these fields."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def result(**fields: Schema) -> Schema:
    """Return the schema of a query result: these fields, and hints if the query names something that no event has."""
    return {**named(**fields), "properties": {**fields, "hints": several(HINT)}}


def component(name: str) -> Schema:
    """Return a reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: Final[dict[str, Schema]] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {**TEXT, "description": "What is wrong, the value, and what to do."},
            "at": {**COUNT, "description": "For KQL: the position of the error, in characters."},
            "expected": TEXT,
        },
    },
    "Record": {
        "type": "object",
        "description": "One event with flat ECS field names; labels and numeric_labels hold the fields of the application.",
        "required": ["@timestamp"],
        "properties": {"@timestamp": {"type": "string", "format": "date-time"}, "labels": {"type": "object"}},
        "additionalProperties": True,
    },
    "Rows": result(records=several(component("Record")), next=maybe(TEXT)),
    "Bucket": named(start_ns=WHOLE, key=TEXT, events=COUNT, and_key=TEXT, error=COUNT),
    "Group": named(keys=several(TEXT), starts_ns=several(WHOLE), counts=several(COUNT)),
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
    "Integrity": result(
        finding={**TEXT, "enum": ["intact", "consistent", "changed", "unknown"]},
        sentence=TEXT, flaws=several(named(name=TEXT, reason=TEXT)), store=TEXT, began=TEXT, records=COUNT, segments=COUNT,
        read=COUNT, after_anchor=COUNT, removed_after_anchor=COUNT, before_chain=COUNT, not_recorded=COUNT,
        signed={"type": "boolean"}, anchored_to=maybe(COUNT),
    ),
    "FieldCount": named(name=TEXT, type=TEXT, events=COUNT),
    "Mark": named(
        time_ns=WHOLE,
        until_ns=WHOLE,
        kind={**TEXT, "enum": ["start", "deploy", "settings", "workers", "restart", "crash", "annotation"]},
        service=TEXT,
        workers=several(TEXT),
        sentence=TEXT,
        query=TEXT,
    ),
    "Reproduction": named(
        method=TEXT, url=TEXT, headers=several(named(name=TEXT, value=TEXT)), curl=TEXT, not_recorded=several(TEXT)
    ),
    "Object": {"type": "object", "additionalProperties": True},
}

TIME: Final = "14:03, yesterday 14:00, 15m (ago), now-1h, 2026-11-20T14:03Z, or seconds to nanoseconds since 1970"
BUCKET_WIDTH: Final[Schema] = {**WHOLE, "minimum": 10**6, "maximum": 10**18}
CONTEXT_EVENTS: Final[Schema] = {**WHOLE, "minimum": 0, "maximum": 1000, "default": 10}
PARAMETERS: Final[dict[str, tuple[Schema, str]]] = {
    "q": ({**TEXT, "maxLength": 20_000, "example": "http.response.status_code >= 500"}, "Query in KQL; default: all events."),
    "service": ({**TEXT, "example": "shop"}, "Only events of this service."),
    "since": ({**TEXT, "example": "yesterday 14:00"}, f"Start of the time range: {TIME}."),
    "until": ({**TEXT, "example": "now-1m"}, f"End of the time range, not included: {TIME}."),
    "last": ({**TEXT, "example": "15m"}, "Look back this far: 90s, 15m, 2h, 1d."),
    "since_ns": (WHOLE, "Start of the time range in nanoseconds since 1970."),
    "until_ns": (WHOLE, "End of the time range in nanoseconds since 1970, not included."),
    "limit": ({**WHOLE, "minimum": 1, "maximum": 10_000}, "Maximum number of rows."),
    "order": ({**TEXT, "enum": ["newest", "oldest"], "default": "newest"}, "Which events come first."),
    "after": (TEXT, "Continue after this key: `next` of the previous response."),
    "field": ({**TEXT, "minLength": 1, "example": "http.route"}, "A field or label."),
    "by": ({**TEXT, "example": "service.node.name"}, "Group by the values of this field."),
    "and_by": ({**TEXT, "example": "http.route"}, "Group by the values of this field as well."),
    "every_ns": (BUCKET_WIDTH, "Width of the time buckets in nanoseconds; default: one bucket."),
    "latency_every_ns": (BUCKET_WIDTH, "Width of the latency buckets in nanoseconds."),
    "columns": ({**TEXT, "example": "message,log.level"}, "Only these fields and the time; default: all fields."),
    "greatest": ({**TEXT, "example": "event.duration"}, "Order by this number, greatest first, instead of by time."),
    "id": ({**TEXT, "minLength": 1}, "An event id, request id or trace id."),
    "before_events": (CONTEXT_EVENTS, "Number of events before it."),
    "after_events": (CONTEXT_EVENTS, "Number of events after it."),
    "workers": ({**TEXT, "enum": ["same", "all"], "default": "same"}, "Events of the same worker, or of all workers."),
    "worker": (TEXT, "Only this worker: slot, node, pid or incarnation."),
    "baseline": (
        {**TEXT, "default": "preceding", "example": "yesterday"},
        "The time to compare with: preceding, yesterday, last-week, or SINCE..UNTIL.",
    ),
    "anchor": (TEXT, "Lines that `logship anchor` printed: compare the chain with them."),
    "latency": ({**TEXT, "default": "500ms"}, "p95 that the service must keep."),
    "target": ({**TEXT, "default": "70%"}, "Utilization of workers at the peak."),
    "report_format": ({**TEXT, "enum": ["html", "md"], "default": "html"}, "One HTML file, or Markdown."),
    "format": ({**TEXT, "enum": ["ndjson", "csv"], "default": "ndjson"}, "One JSON object per line, or CSV."),
}  # fmt: skip
REQUIRED: Final = {
    "/api/overview": ["every_ns", "latency_every_ns"],
    "/api/top": ["field"],
    "/api/stats": ["field"],
    "/api/context": ["id"],
}


class Operation(NamedTuple):
    """What a path returns, and its media type."""

    summary: str
    schema: Schema
    media_type: str = "application/json"


OBJECTS: Final = several(component("Object"))
EXCERPT: Final = named(records=several(component("Record")), cut={"type": "boolean"})
PATHS: Final[dict[str, Operation]] = {
    "/api/search": Operation("Events ordered by time, in pages.", component("Rows")),
    "/api/arrivals": Operation("Events stored after a key, in order of arrival; without one: the newest key.", component("Rows")),
    "/api/count": Operation("Number of events.", result(count=COUNT)),
    "/api/tally": Operation("Number of events per time bucket.", result(buckets=several(component("Bucket")))),
    "/api/groups": Operation(
        "Number of events by the values of several fields, which `by` names with commas.",
        result(groups=several(component("Group"))),
    ),
    "/api/top": Operation("Most frequent values of a field.", result(values=several(component("Share")))),
    "/api/stats": Operation(
        "Count, sum and percentiles of a number; `error`: the relative error of percentiles.",
        result(stats=several(component("Stat"))),
    ),
    "/api/context": Operation("Events before and after an event, ordered by time.", EXCERPT),
    "/api/events/{id}": Operation("Events with this event id, request id or trace id; 404 if there are none.", EXCERPT),
    "/api/incarnations": Operation("Runs of workers with the sequence ranges stored for each.", result(incarnations=OBJECTS)),
    "/api/workers": Operation(
        "Workers, by default of the last 15 minutes. `covered_ns`: for how long at least one was running.",
        result(workers=OBJECTS, covered_ns=COUNT),
    ),
    "/api/verify": Operation(
        "Delivery check: whether all emitted events are stored, for each run and in total; and the integrity of the store.",
        result(
            finding=TEXT, delivery=component("Object"), verdicts=OBJECTS, set_aside=OBJECTS, integrity=component("Integrity")
        ),
    ),
    "/api/integrity": Operation(
        "Whether the segments of the time range are what was recorded in the store's chain of digests.", component("Integrity")
    ),
    "/api/anchor": Operation(
        "The newest record of the store's chain of digests, to keep elsewhere.",
        named(store=TEXT, record=COUNT, digest=TEXT, time=TEXT),
    ),
    "/api/findings": Operation(
        "What stands out in the time range, most severe first; by default of the last 15 minutes.",
        result(findings=OBJECTS, balances=OBJECTS, not_judged=several(TEXT), sentence=TEXT),
    ),
    "/api/compare": Operation(
        "What differs from the time before, and which field values explain it; by default of the last 15 minutes.",
        result(
            window=several(WHOLE), baseline=several(WHOLE), requests_before=COUNT, requests_after=COUNT,
            differences=OBJECTS, not_compared=several(TEXT), sentence=TEXT,
        ),
    ),
    "/api/patterns": Operation(
        "Log messages grouped into patterns, with their change against the baseline; by default of the last 15 minutes.",
        result(
            patterns=OBJECTS, events=COUNT, baseline_events=COUNT, unread_events=COUNT, compared={"type": "boolean"},
            sentence=TEXT,
        ),
    ),
    "/api/errors": Operation(
        "Exceptions grouped by class and function, new ones first; by default of the last 15 minutes.",
        result(groups=OBJECTS, events=COUNT, unread_events=COUNT, sentence=TEXT),
    ),
    "/api/incident": Operation(
        "What happened in the time range, the likely cause first, without a query; by default of the last 15 minutes.",
        result(
            window=component("Object"), baseline=component("Object"), evidence=component("Object"), annotations=OBJECTS,
            levels=OBJECTS, findings=OBJECTS,
            sentence=TEXT,
        ),
    ),
    "/api/report": Operation("What happened in the time range, as a report in one file.", TEXT, "text/html"),
    "/api/marks": Operation(
        "Changes of versions, settings and the number of workers, restarts, crashes and annotations, for charts; oldest first.",
        result(marks=several(component("Mark"))),
    ),
    "/api/capacity": Operation(
        "How much traffic the workers of each service can carry, with the derivation of each number; by default of 30 days.",
        result(services=OBJECTS),
    ),
    "/api/overview": Operation("Workers, findings, traffic, latency and failures of a time range.", component("Object")),
    "/api/story/{id}": Operation(
        "All that is known of one request, also of a running or interrupted one; 404 for an unknown id.", component("Object")
    ),
    "/api/curl/{id}": Operation(
        "Requests with a request or trace id as curl commands, with what was not recorded; 404 for an unknown id.",
        named(requests=several(component("Reproduction"))),
    ),
    "/api/inflight": Operation(
        "Running and interrupted requests. `not_visible`: workers whose running requests cannot be seen from here.",
        result(requests=OBJECTS, not_visible=OBJECTS, sentence=TEXT),
    ),
    "/api/kql": Operation("The query as Kibana reads it: full field names, labels with their prefix.", named(kql=TEXT)),
    "/api/fields": Operation(
        "Fields that occur. `short_names`: other names of fields that queries accept.",
        named(fields=several(component("FieldCount")), short_names={"type": "object", "additionalProperties": TEXT}),
    ),
    "/api/views": Operation("Catalogue of views: query, grouping and shape of each.", named(views=OBJECTS)),
    "/api/oldest": Operation("Time of the oldest event.", named(oldest_ns=maybe(WHOLE))),
    "/api/set_aside": Operation("Damaged files of the store; all results lack their events.", named(files=OBJECTS)),
    "/api/hours": Operation(
        "Totals of each hour and service, kept for longer than the events. Times are in nanoseconds.", named(hours=OBJECTS)
    ),
    "/api/export": Operation("All matching events, oldest first.", TEXT, "application/x-ndjson"),
    "/api/tail": Operation("New events as server-sent events, resumable with Last-Event-ID.", TEXT, "text/event-stream"),
    "/api/health": Operation("Counters since the start, and current values.", component("Object")),
    "/api/openapi.json": Operation("This document.", component("Object")),
    "/metrics": Operation("Metrics of this process and of the workers of its machine, for Prometheus.", TEXT, "text/plain"),
    "/healthz": Operation("Liveness probe; needs no token, accepts any Host.", TEXT, "text/plain"),
    "/readyz": Operation("Readiness probe: 503 and the reason while events are not stored.", TEXT, "text/plain"),
}  # fmt: skip
OTHER_MEDIA: Final = {"/api/export": ["text/csv"], "/api/report": ["text/markdown"]}
ERRORS: Final = {
    "400": "Invalid query or parameter.",
    "401": "Token missing or wrong.",
    "404": "Unknown path or id.",
    "405": "Method not allowed: use GET.",
    "414": "Query too long.",
    "503": "The source failed or was too slow, or a limit is reached; retry.",
}


def document(version: str, names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the document. `names`: for each path the parameters that it takes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "logship",
            "version": version,
            "summary": "Query the requests and logs of every ASGI worker.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"token": []}],
        "paths": {path: {"get": _operation(path, operation, names.get(path, ()))} for path, operation in PATHS.items()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(path: str, operation: Operation, names: tuple[str, ...]) -> dict[str, Any]:
    parameters = [_parameter("id", "path", required=True)] if "{id}" in path else []
    parameters += [_parameter(name, "query", required=name in REQUIRED.get(path, ())) for name in names]
    content = {operation.media_type: {"schema": operation.schema}}
    content |= {media_type: {"schema": TEXT} for media_type in OTHER_MEDIA.get(path, ())}
    return {
        "operationId": path.removeprefix("/").removeprefix("api/").removesuffix(".json").replace("/{id}", "") or "start",
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {"200": {"description": operation.summary, "content": content}} | {
            status: {"description": text, "content": {"application/json": {"schema": component("Error")}}}
            for status, text in ERRORS.items()
        },
    }  # fmt: skip


def _parameter(name: str, place: str, *, required: bool) -> dict[str, Any]:
    schema, description = PARAMETERS[name]
    example = {"example": schema["example"]} if "example" in schema else {}
    plain = {key: value for key, value in schema.items() if key != "example"}
    return {"name": name, "in": place, "required": required, "description": description, "schema": plain, **example}
