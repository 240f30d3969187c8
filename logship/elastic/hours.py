"""Totals of each hour and service in Elasticsearch, which are kept for longer than the events: their data stream and template.

    metrics-logship.hours-<namespace>   one document an hour and service: `logship.hour.<name>` for each number of `Hour`
    logship.hours                       its index template, with a retention of two years

The stream is named metrics-*, so that searches over logs-* do not return totals. A document's id is made from hour and service:
writing it again gives 409 and changes nothing. Ids are unique per index, so after a rollover two writers could store an hour
twice. Readers take one document for an hour and service."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any, Final

from logship.elastic.mapping import KEYWORD_CHARACTERS, PRIORITY, VERSION, Body, lifecycle
from logship.errors import QuestionError
from logship.search.hourly import KEPT_NS, hour_of
from logship.search.query import Hour, Record
from logship.search.times import from_rfc3339, rfc3339

DATASET: Final = "logship.hours"
TEMPLATE: Final = DATASET
PATTERN: Final = f"metrics-{DATASET}-*"
RETENTION_DAYS: Final = KEPT_NS // (24 * 3600 * 10**9)
PREFIX: Final = "logship.hour."
TIME, SERVICE, ID = "@timestamp", "service.name", "event.id"
PAGE: Final = 5000
MS: Final = 1_000_000
META: Final[Body] = {"logship": {"version": VERSION, "made_from": "logship/search/query.py"}}
# Of each field of `Hour` beside its time and service, which have names of ECS.
NUMBERS: Final = {
    field.name: {int: "long", float: "double"}[field.type]  # type: ignore[index] # they are types, not their names
    for field in fields(Hour)
    if field.name not in ("start_ns", "service")
}
Ask = Callable[[Body, str], Body]


def stream(namespace: str) -> str:
    """The data stream of a namespace."""
    return f"metrics-{DATASET}-{namespace}"


def index_template() -> Body:
    """The body of PUT _index_template/logship.hours."""
    return {
        "version": VERSION,
        "_meta": META,
        "index_patterns": [PATTERN],
        "priority": PRIORITY,
        "data_stream": {},
        "template": {
            "settings": {
                "index": {
                    "number_of_shards": 1,
                    "mode": "standard",
                    "auto_expand_replicas": "0-1",
                    "codec": "best_compression",
                }
            },
            "mappings": mappings(),
            "lifecycle": lifecycle(RETENTION_DAYS),
            # As for events: each rejected document would be stored once more at every retry.
            "data_stream_options": {"failure_store": {"enabled": False}},
        },
    }


def mappings() -> Body:
    """Every field with its type."""
    keyword = {"type": "keyword", "ignore_above": KEYWORD_CHARACTERS}
    return {
        "_meta": META,
        "dynamic": False,
        "date_detection": False,
        "properties": {
            TIME: {"type": "date"},
            "event": {"properties": {"id": keyword, "kind": keyword, "dataset": keyword}},
            "service": {"properties": {"name": keyword}},
            "logship": {"properties": {"hour": {"properties": {name: {"type": kind} for name, kind in NUMBERS.items()}}}},
        },
    }


def document(hour: Hour) -> Record:
    """The document of an hour. `event.id` is the same for the same hour and service."""
    named = hashlib.blake2b(f"{hour.start_ns}/{hour.service}".encode(), digest_size=16).hexdigest()
    own: Record = {TIME: rfc3339(hour.start_ns), ID: named, SERVICE: hour.service}
    own |= {"event.kind": "metric", "event.dataset": DATASET}
    return own | {PREFIX + name: getattr(hour, name) for name in NUMBERS}


def from_document(source: Record) -> Hour | None:
    """The hour of a document; None for one of another format."""
    try:
        start_ns = from_rfc3339(str(source.get(TIME)))
    except QuestionError:
        return None
    numbers = {name.removeprefix(PREFIX): value for name, value in source.items() if name.startswith(PREFIX)}
    return hour_of({**numbers, "start_ns": start_ns, "service": source.get(SERVICE)})


def kept(ask: Ask, where: str, since_ns: int, until_ns: int) -> list[Hour]:
    """The hours in the stream `where` that begin in this time, oldest first, and each once: that with the most requests."""
    hours: dict[tuple[int, str], Hour] = {}
    for hour in _stored(ask, where, since_ns, until_ns):
        place = hour.start_ns, hour.service
        if place not in hours or hours[place].requests < hour.requests:
            hours[place] = hour
    return [hours[place] for place in sorted(hours)]


def newest_ns(ask: Ask, where: str) -> int | None:
    """When the newest hour in the stream `where` began; None without any."""
    hits = ask({"size": 1, "_source": [TIME], "sort": [{TIME: "desc"}]}, where)["hits"]["hits"]
    return from_rfc3339(hits[0]["_source"][TIME]) if hits else None


def _stored(ask: Ask, where: str, since_ns: int, until_ns: int) -> Iterator[Hour]:
    within = {"gte": -(-since_ns // MS), "lt": -(-until_ns // MS), "format": "epoch_millis"}
    body: Body = {"size": PAGE, "query": {"range": {TIME: within}}, "sort": [{TIME: "asc"}, {ID: "asc"}]}
    while True:
        hits: list[dict[str, Any]] = ask(body | {"track_total_hits": False}, where)["hits"]["hits"]
        yield from _known(from_document(hit["_source"]) for hit in hits)
        if len(hits) < PAGE:
            return
        body = body | {"search_after": hits[-1]["sort"]}


def _known(hours: Iterable[Hour | None]) -> Iterator[Hour]:
    return (hour for hour in hours if hour is not None)
