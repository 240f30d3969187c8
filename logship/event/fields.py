"""Every field that an event can have. The store's columns, the Elasticsearch mapping and the documentation are made from it.

Names and types are ECS 9.4; names ECS lacks are OpenTelemetry's (`http.route`), Elastic APM's (`parent.id`,
`numeric_labels`) or ours (`logship.*`). Application fields never become columns: they are stored in `labels` and
`numeric_labels`, so no application can change the type of a column.
"""

from dataclasses import dataclass
from typing import Final

ECS_VERSION: Final = "9.4.0"

# The type that a store without the ECS type uses: the same queries work, only the index differs.
FALLBACK: Final = {"match_only_text": "text", "wildcard": "keyword"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its ECS type, its meaning, and the type it is stored with if that differs.

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


# Reasons for which an emitted event is dropped; each has a counter `logship.dropped.<reason>`.
# Their order is that of the counters in a journal (`state/identity.py`): new ones go to the end.
DROP_REASONS: Final = {
    "journal_full": "the journal had reached its size limit.",
    "segment_late": "the next journal segment was not ready in time, or the disk had no room for it.",
    "refused": "the agent refused the record, sent alone.",
    "state_limit": "all journals together had reached their size limit.",
    "internal_error": "logship failed to record the event (internal error).",
}

_NANOS = "date_nanos"

FIELDS: Final[tuple[Field, ...]] = (
    # Every event.
    Field("@timestamp", "date", "Time of the event: for a request its end, for a crashed worker its last sign of life.", _NANOS),
    Field("message", "match_only_text", "The event in one line."),
    Field("ecs.version", "keyword", "Version of the Elastic Common Schema (ECS) of the field names."),
    Field("event.id", "keyword", "Incarnation and sequence number; a store keeps one event per id."),
    Field("logship.conflict", "keyword", "Hash of the content, if the store has this `event.id` with other content.", ecs=False),
    Field("event.sequence", "long", "Sequence number of the event in its incarnation, from 1 without gaps."),
    Field("event.kind", "keyword", "Always `event`."),
    Field("event.category", "keyword", "Broad category: `web` for requests, `process` for workers.", many=True),
    Field("event.type", "keyword", "Subcategory: `access`, `error`, `start`, `end`, `info`.", many=True),
    Field("event.action", "keyword", "Action: `http-request`, `ws-open`, `worker-lost` and others."),
    Field("event.outcome", "keyword", "`success`, `failure` or `unknown`."),
    Field("event.reason", "keyword", "Reason of the outcome, for instance `client_disconnected`."),
    Field("event.dataset", "keyword", "Kind of event: `logship.request`, `logship.app`, `logship.worker`, `logship.annotation`."),
    Field("event.module", "keyword", "Always `logship`."),
    Field("event.start", "date", "Start of the request, of the stall.", _NANOS),
    Field("event.created", "date", "Time at which logship learned of the event, if that was later.", _NANOS),
    Field("event.duration", "long", "Nanoseconds from the start of a request to its response's last byte; length of a stall."),
    Field("log.level", "keyword", "Log level, in lowercase."),
    Field("log.logger", "keyword", "Name of the logger."),
    Field("logship.message.template", "keyword", "Message before its arguments were inserted, if it had any.", ecs=False),
    Field("log.origin.file.name", "keyword", "Source file that logged the event; of a stall, the file that caused it."),
    Field("log.origin.file.line", "long", "Line of that file."),
    Field("log.origin.function", "keyword", "Function that logged the event; of a stall, the function that caused it."),
    Field("tags", "keyword", "Marks: `slow` (a slow request), `cut` (a value was shortened).", many=True),
    Field("labels", "object", "Text and boolean fields of the application; nested names are joined by dots.", "flattened"),
    Field("numeric_labels", "object", "Numeric fields of the application; nested names are joined by dots.", ecs=False),
    # Requests.
    Field("http.version", "keyword", "Protocol version, for instance `1.1`."),
    Field("http.request.method", "keyword", "HTTP method, in upper case."),
    Field("http.request.id", "keyword", "Request id, returned to the client in a header."),
    Field("http.request.body.bytes", "long", "Bytes of the request body that the application received."),
    Field("http.response.status_code", "long", "Status of the response."),
    Field("http.response.mime_type", "keyword", "Media type of the response, without parameters."),
    Field("http.response.body.bytes", "long", "Bytes of the response body that the application sent."),
    Field("http.route", "keyword", "Route template that matched, for instance `/orders/{id}`.", ecs=False),
    Field("url.path", "wildcard", "Path of the request, redacted."),
    Field("url.query", "keyword", "Query parameters that are allowed by name."),
    Field("url.scheme", "keyword", "`http`, `https`, `ws` or `wss`."),
    Field("url.domain", "keyword", "Host name in the request."),
    Field("client.ip", "ip", "Address of the client: complete, truncated or absent, see `client_ip`."),
    Field("client.port", "long", "Port of the client."),
    Field("server.address", "keyword", "Address the server listens on; in `worker-started`."),
    Field("server.port", "long", "Port the server listens on; in `worker-started`."),
    Field("network.protocol", "keyword", "`http` or `websocket`."),
    Field("user_agent.original", "keyword", "User agent of the client."),
    Field("trace.id", "keyword", "W3C trace id; taken from the client if it sent one."),
    Field("span.id", "keyword", "Span id of the request."),
    Field("parent.id", "keyword", "Span id of the caller.", ecs=False),
    Field("transaction.id", "keyword", "Id of the entry span, equal to `span.id` of the request."),
    Field("logship.ttfb_ns", "long", "Nanoseconds from the start of the request to the first byte of the response.", ecs=False),
    Field("logship.background_ns", "long", "Nanoseconds that the application ran after the response.", ecs=False),
    # Failures.
    Field("error.type", "keyword", "Class of the exception."),
    Field("error.message", "match_only_text", "Message of the exception, redacted."),
    Field("error.stack_trace", "wildcard", "Stack trace with causes and groups, redacted; the stack of a stall.", "text"),
    Field("error.id", "keyword", "Fingerprint of the class and the functions, or of the line of a stall."),
    # Service, process and host.
    Field("service.name", "keyword", "Name of the service."),
    Field("service.version", "keyword", "Version of the service."),
    Field("service.environment", "keyword", "Deployment environment, for instance `production`."),
    Field("service.node.name", "keyword", "Host, instance and slot; the same after a restart."),
    Field("service.ephemeral_id", "keyword", "Incarnation: one run of one worker."),
    Field("process.pid", "long", "Process id of the worker."),
    Field("process.parent.pid", "long", "Process id of its supervisor."),
    Field("process.thread.name", "keyword", "Thread that logged, if it is not the main thread."),
    Field("process.exit_code", "long", "Exit status of a worker process, negative for a signal; in events of the supervisor."),
    Field("host.name", "keyword", "Name of the host or pod."),
    Field("logship.worker.slot", "short", "Worker number, 0 to N-1; the same number after a restart.", ecs=False),
    Field("logship.worker.generation", "long", "Number of the run in its slot, from 1.", ecs=False),
    Field("logship.worker.role", "keyword", "Role of the process if it is not a worker: `supervisor`.", ecs=False),
    Field("logship.server", "keyword", "Server that runs the worker, for instance `uvicorn`.", ecs=False),
    Field(
        "logship.settings", "keyword", "Settings that do not have their default, as name=value; in `worker-started`.",
        ecs=False, many=True,
    ),
    # State of a worker, in heartbeats and when it ends.
    Field("logship.emitted", "long", "Events emitted so far, including this one.", ecs=False),
    Field("logship.acknowledged", "long", "Events acknowledged by the agent so far.", ecs=False),
    *(
        Field(f"logship.dropped.{reason}", "long", f"Events dropped so far because {why}", ecs=False)
        for reason, why in DROP_REASONS.items()
    ),
    Field("logship.journal.bytes", "long", "Bytes in the journal that are not acknowledged.", ecs=False),
    Field("logship.journal.unreadable_bytes", "long", "Bytes of the journal that could not be read after the end.", ecs=False),
    Field("logship.journal.unreadable_events", "long", "Events in those bytes, if their number is known.", ecs=False),
    Field("logship.journal.durable", "boolean", "Whether the journal survives the process.", ecs=False),
    Field("logship.requests.in_flight", "long", "Requests that are running.", ecs=False),
    Field("logship.requests.in_flight_overflow", "long", "Running requests without room in the in-flight table.", ecs=False),
    Field("logship.requests.ended", "long", "Requests that ended so far, also those that were not logged.", ecs=False),
    Field("logship.requests.probes", "long", "Requests to probe paths so far, counted and not logged.", ecs=False),
    Field("logship.requests.sampled_out", "long", "Requests left out by sampling so far.", ecs=False),
    Field("logship.loop_lag.mean_ns", "long", "Mean event loop lag since the last heartbeat, nanoseconds.", ecs=False),
    Field("logship.loop_lag.max_ns", "long", "Maximum event loop lag since the last heartbeat, nanoseconds.", ecs=False),
    Field("logship.thread_pool.size", "long", "Threads that AnyIO's pool may have.", ecs=False),
    Field("logship.thread_pool.waiting", "long", "Calls that waited for a thread of the pool, at most.", ecs=False),
    Field("logship.process.cpu_ns", "long", "CPU time of the worker since its start, nanoseconds.", ecs=False),
    Field("logship.process.cpus", "keyword", "CPU cores that the worker may use, as a list: `0-3,6`.", ecs=False),
    Field("logship.process.cpu_quota", "double", "CPU cores that the control group of the worker may use at once.", ecs=False),
    Field("logship.process.rss_bytes", "long", "Resident memory of the worker.", ecs=False),
    Field("logship.process.open_fds", "long", "Open file descriptors of the worker.", ecs=False),
    Field("logship.process.threads", "long", "Python threads of the worker.", ecs=False),
    Field(
        "logship.loop.utilization", "double",
        "Share of time, 0 to 1, in which the thread of the event loop used CPU or was blocked, since the last heartbeat.",
        ecs=False,
    ),
    Field("logship.accept_queue.connections", "long", "Connections that waited to be accepted.", ecs=False),
    Field("logship.accept_queue.limit", "long", "Connections that may wait.", ecs=False),
    Field("logship.thread_pool.busy", "long", "Threads of AnyIO's pool that ran a call.", ecs=False),
    Field("logship.in_flight.ids", "keyword", "Ids of the requests interrupted by the crash.", ecs=False, many=True),
    Field("logship.in_flight.requests", "keyword", "The interrupted requests as `GET /path 1234ms`.", ecs=False, many=True),
    Field("logship.in_flight.count", "long", "Number of interrupted requests, listed or not.", ecs=False),
)  # fmt: skip

BY_NAME: Final[dict[str, Field]] = {field.name: field for field in FIELDS}
