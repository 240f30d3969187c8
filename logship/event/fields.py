"""Every field an event may have, once: the store's columns, the Elasticsearch mapping and the documentation read it.

Names and types are ECS 9.4; names ECS lacks are OpenTelemetry's (`http.route`), Elastic APM's (`parent.id`,
`numeric_labels`) or ours (`logship.*`). Application fields never become columns: they live in `labels` and
`numeric_labels`, so no application can change the type of a column.
"""

from dataclasses import dataclass
from typing import Final

ECS_VERSION: Final = "9.4.0"

# What a store without the type uses: the same questions work, only the index differs.
FALLBACK: Final = {"match_only_text": "text", "wildcard": "keyword"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its ECS type, what it says, and the type it is stored with when that differs.

    `ecs`: the name and type are ECS's own. `many`: the value is a list of texts."""

    name: str
    type: str
    sentence: str
    stored: str = ""
    ecs: bool = True
    many: bool = False

    @property
    def stored_type(self) -> str:
        """The type a store gives the field: `stored`, or else the fallback of `type`, or else `type`."""
        return self.stored or FALLBACK.get(self.type, self.type)


# Reasons why an event was numbered and not delivered; each has a counter `logship.dropped.<reason>`.
DROP_REASONS: Final = {
    "journal_full": "the journal had reached its limit.",
    "segment_late": "the next journal segment was not ready in time.",
    "refused": "the agent refused the record by itself.",
    "state_limit": "all journals together had reached their limit.",
    "internal_error": "logship failed while it recorded the event.",
}

_NANOS = "date_nanos"

FIELDS: Final[tuple[Field, ...]] = (
    # Every event.
    Field("@timestamp", "date", "When it happened: for a request its end, for a lost worker its last sign of life.", _NANOS),
    Field("message", "match_only_text", "What happened, in one line for people."),
    Field("ecs.version", "keyword", "Version of the Elastic Common Schema that the names follow."),
    Field("event.id", "keyword", "Incarnation and sequence; a store keeps each id once, unless the content differs."),
    Field("logship.conflict", "keyword", "The store had this `event.id` with other content. A hash of this content.", ecs=False),
    Field("event.sequence", "long", "Number of the event within its incarnation, from 1 without gaps."),
    Field("event.kind", "keyword", "Always `event`."),
    Field("event.category", "keyword", "Broad category: `web` for requests, `process` for workers.", many=True),
    Field("event.type", "keyword", "Sub-category: `access`, `error`, `start`, `end`, `info`.", many=True),
    Field("event.action", "keyword", "What was done: `http-request`, `ws-open`, `worker-lost` and so on."),
    Field("event.outcome", "keyword", "`success`, `failure` or `unknown`."),
    Field("event.reason", "keyword", "Why it ended as it did, for instance `client_disconnected`."),
    Field("event.dataset", "keyword", "Kind of event: `logship.request`, `logship.app` or `logship.worker`."),
    Field("event.module", "keyword", "Always `logship`."),
    Field("event.start", "date", "When the request began.", _NANOS),
    Field("event.created", "date", "When logship found out, if later than it happened.", _NANOS),
    Field("event.duration", "long", "Nanoseconds from first byte asked to last byte sent."),
    Field("log.level", "keyword", "Level of the event, in small letters."),
    Field("log.logger", "keyword", "Name of the logger."),
    Field("log.origin.file.name", "keyword", "Source file that logged the event."),
    Field("log.origin.file.line", "long", "Line of that file."),
    Field("log.origin.function", "keyword", "Function that logged the event."),
    Field("tags", "keyword", "Marks: `slow` (a slow request), `cut` (a value was shortened).", many=True),
    Field("labels", "object", "The application's own text and boolean fields, nested names joined by dots.", "flattened"),
    Field("numeric_labels", "object", "The application's own numbers, nested names joined by dots.", ecs=False),
    # Requests.
    Field("http.version", "keyword", "Protocol version, for instance `1.1`."),
    Field("http.request.method", "keyword", "Method in capitals."),
    Field("http.request.id", "keyword", "Id of the request, returned to the client in a header."),
    Field("http.request.body.bytes", "long", "Bytes of the request body that the application received."),
    Field("http.response.status_code", "long", "Status of the response."),
    Field("http.response.mime_type", "keyword", "Media type of the response, without parameters."),
    Field("http.response.body.bytes", "long", "Bytes of the response body that the application sent."),
    Field("http.route", "keyword", "Route template that matched, for instance `/orders/{id}`.", ecs=False),
    Field("url.path", "wildcard", "Path of the request, redacted."),
    Field("url.query", "keyword", "Query parameters allowed by name; the others are absent."),
    Field("url.scheme", "keyword", "`http`, `https`, `ws` or `wss`."),
    Field("url.domain", "keyword", "Host the client asked for."),
    Field("client.ip", "ip", "Address of the client; whole, truncated or absent as settings say."),
    Field("client.port", "long", "Port of the client."),
    Field("server.address", "keyword", "Address the server listens on; in `worker-started`."),
    Field("server.port", "long", "Port the server listens on; in `worker-started`."),
    Field("network.protocol", "keyword", "`http` or `websocket`."),
    Field("user_agent.original", "keyword", "User agent as the client named itself."),
    Field("trace.id", "keyword", "W3C trace id, continued from the client when it sent one."),
    Field("span.id", "keyword", "Id of this request's span."),
    Field("parent.id", "keyword", "Id of the caller's span.", ecs=False),
    Field("transaction.id", "keyword", "Id of the entry span; the same as `span.id` of the request."),
    Field("logship.ttfb_ns", "long", "Nanoseconds from first byte asked to first byte sent.", ecs=False),
    Field("logship.background_ns", "long", "Nanoseconds the application worked after the last byte.", ecs=False),
    # Failures.
    Field("error.type", "keyword", "Class of the exception."),
    Field("error.message", "match_only_text", "Text of the exception, redacted."),
    Field("error.stack_trace", "wildcard", "Stack trace with causes and groups, redacted; never local variables.", "text"),
    Field("error.id", "keyword", "Fingerprint of class and functions; the same bug has the same id."),
    # Who.
    Field("service.name", "keyword", "Name of the service."),
    Field("service.version", "keyword", "Version of the service."),
    Field("service.environment", "keyword", "Environment, for instance `production`."),
    Field("service.node.name", "keyword", "Host, instance and slot: stable over restarts."),
    Field("service.ephemeral_id", "keyword", "Incarnation: one life of one worker."),
    Field("process.pid", "long", "Process id of the worker."),
    Field("process.parent.pid", "long", "Process id of its supervisor."),
    Field("process.thread.name", "keyword", "Thread that logged, when it is not the main one."),
    Field("process.exit_code", "long", "Exit status of a worker process, negative for a signal; in the supervisor's events."),
    Field("host.name", "keyword", "Name of the host or pod."),
    Field("logship.worker.slot", "short", "Worker number, 0 to N-1; the same number after a restart.", ecs=False),
    Field("logship.worker.generation", "long", "How many lives the slot has had, this one included.", ecs=False),
    Field("logship.worker.role", "keyword", "Role of the process when it is no worker: `supervisor`.", ecs=False),
    Field("logship.server", "keyword", "Server the worker runs under, for instance `uvicorn`.", ecs=False),
    # How a worker is doing.
    Field("logship.emitted", "long", "Events numbered so far, this one included.", ecs=False),
    Field("logship.acknowledged", "long", "Events the agent has acknowledged so far.", ecs=False),
    *(
        Field(f"logship.dropped.{reason}", "long", f"Events lost so far because {why}", ecs=False)
        for reason, why in DROP_REASONS.items()
    ),
    Field("logship.journal.bytes", "long", "Bytes that wait in the journal.", ecs=False),
    Field("logship.journal.unreadable_bytes", "long", "Bytes of a dead worker's journal that could not be read.", ecs=False),
    Field("logship.journal.unreadable_events", "long", "Events in those bytes, when their number is known.", ecs=False),
    Field("logship.journal.durable", "boolean", "Whether the journal outlives the process.", ecs=False),
    Field("logship.requests.in_flight", "long", "Requests being served.", ecs=False),
    Field("logship.requests.in_flight_overflow", "long", "Those of them that had no room in the table.", ecs=False),
    Field("logship.requests.probes", "long", "Probe requests counted and not recorded, so far.", ecs=False),
    Field("logship.requests.sampled_out", "long", "Requests left out by sampling, so far.", ecs=False),
    Field("logship.loop_lag.mean_ns", "long", "Mean delay of the event loop since the last heartbeat, nanoseconds.", ecs=False),
    Field("logship.loop_lag.max_ns", "long", "Worst delay of the event loop since the last heartbeat, nanoseconds.", ecs=False),
    Field("logship.in_flight.ids", "keyword", "Ids of the requests cut off when the worker died.", ecs=False, many=True),
    Field("logship.in_flight.requests", "keyword", "The same requests as `GET /path 1234ms`.", ecs=False, many=True),
    Field("logship.in_flight.count", "long", "Number of requests cut off, named here or not.", ecs=False),
)  # fmt: skip

BY_NAME: Final[dict[str, Field]] = {field.name: field for field in FIELDS}
