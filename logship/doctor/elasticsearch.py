"""The whole way of one event: from this machine through the agent into Elasticsearch."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from logship.connect.agent import AgentConnection
from logship.doctor.agent import doctor_event
from logship.doctor.check import Check
from logship.errors import ElasticError, LogshipError
from logship.search.query import Record
from logship.search.times import rfc3339
from logship.settings import Settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

ARRIVAL_SECONDS, POLL_SECONDS = 60.0, 0.25
ARRIVAL = "agent to elasticsearch"
DELAYED = (
    "the agent keeps it; its log has the reason (ES_HOST, ES_USER and ES_PASSWORD, ES_STREAM); logship dead-letter"
)
Send: TypeAlias = Callable[[int, Record], object]


def checks(settings: Settings) -> Iterator[Check]:
    """Yield a check for each hop of one test event, up to the first that fails."""

    def send(ns: int, event: Record) -> None:
        with contextlib.closing(AgentConnection(settings.agent, settings)) as agent:
            agent.put([(ns, event)])

    yield from follow(settings, send)


def follow(settings: Settings, send: Send, wait_seconds: float = ARRIVAL_SECONDS) -> Iterator[Check]:
    """Yield a check for each hop. `send` delivers a record with its time (ns) to the agent; LogshipError if that fails.

    The event must be searchable within `wait_seconds`. The reader role is sufficient."""
    from logship.elastic.client import connect
    from logship.elastic.setup import stream_name

    stream = stream_name(settings)
    with connect(settings) as client:
        readable = _readable(client, settings, stream)
        yield readable
        if readable.mark == "wrong":
            return
        yield _templates(client, settings, stream)
        now_ns, event = time.time_ns(), doctor_event()
        try:
            send(now_ns, event)
        except LogshipError as error:
            yield Check("wrong", "worker to agent", str(error), "start Fluent Bit, or set LOGSHIP_AGENT")
            return
        yield Check("good", "worker to agent", f"{settings.agent} acknowledged one event")
        yield _arrival(client, settings, event | {"@timestamp": rfc3339(now_ns)}, wait_seconds)


def _readable(client: "Elasticsearch", settings: Settings, stream: str) -> Check:
    from logship.elastic.client import translated

    try:
        with translated(settings, f"searching {stream}"):
            client.search(index=stream, size=0, ignore_unavailable=True, allow_no_indices=True)
    except ElasticError as error:
        return Check("wrong", "elasticsearch", str(error), "set LOGSHIP_ELASTIC_URL and the credentials")
    return Check("good", "elasticsearch", f"{settings.elastic_url} is reachable and {stream} is readable")


def _templates(client: "Elasticsearch", settings: Settings, stream: str) -> Check:
    from logship.elastic import hours
    from logship.elastic.setup import check

    try:
        check(client, settings)
    except ElasticError as error:
        if error.status == 403:
            return Check("good", "templates", "not checked: these credentials are read-only, as intended")
        return Check("wrong", "templates", str(error), "run: logship setup elastic")
    return Check("good", "templates", f"a new {stream} or {hours.stream(settings.elastic_namespace)} gets logship's mapping")


def _arrival(client: "Elasticsearch", settings: Settings, event: Record, wait_seconds: float) -> Check:
    from logship.elastic.client import translated
    from logship.elastic.setup import stream_name

    stream, start = stream_name(settings), time.monotonic()
    query = {"term": {"event.id": event["event.id"]}}
    while time.monotonic() < start + wait_seconds:
        hits = []
        try:
            with translated(settings, f"searching {stream}"):
                hits = client.search(index=stream, query=query, ignore_unavailable=True)["hits"]["hits"]
        except ElasticError as error:
            if error.status != 503:  # the event may be the first of its stream, which has no shard for a moment
                raise
        if hits:
            return _compared(hits[0]["_id"], hits[0]["_source"], event, time.monotonic() - start)
        time.sleep(POLL_SECONDS)
    found = f"the agent acknowledged the event, but {stream} does not have it after {wait_seconds:.0f} s"
    return Check("wrong", ARRIVAL, found, DELAYED)


def _compared(document_id: str, document: Record, event: Record, seconds: float) -> Check:
    from logship.elastic.source import as_record

    # An index that rebuilds `_source` (logsdb with a paid licence) returns dotted names as nested objects.
    if as_record(document) != as_record(event):
        return Check("look", ARRIVAL, f"the event arrived as {dict(document)}", "check filters and ingest pipelines")
    if document_id != event["event.id"]:
        found = f"its _id is {document_id}, so resent events are stored twice"
        return Check("wrong", ARRIVAL, found, "set id_key to event.id")
    return Check("good", ARRIVAL, f"the event was found {seconds:.1f} s after its acknowledgement")
