"""The runs of workers in Elasticsearch: which sequences of each are stored, and its newest counters.

Sequences are counted in blocks of a thousand: a full block with the right sum is a range, and only the other blocks are read
one by one. A million events take some requests, and every gap is exact."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from logship.search import dsl
from logship.search.query import BEAT_ACTIONS, LIFE_NAMES, Incarnation, Record
from logship.search.ranges import Ranges

Body = dict[str, Any]
Ask = Callable[[Body], Body]

LIFE: Final = "service.ephemeral_id"
SEQUENCE: Final = "event.sequence"
# What `logship replay` keeps beside an event with the same id.
CONFLICT: Final[Body] = {"exists": {"field": "logship.conflict"}}
LIVES_AT_ONCE: Final = 100
THOUSAND: Final = 1000
PAGE: Final = 5000


def incarnations(ask: Ask, where: Body, as_record: Callable[[Body], Record]) -> list[Incarnation]:
    """The runs with an event in `where`, oldest first, each with all that is stored of it."""
    names = sorted(_names(ask, where))
    found: list[Incarnation] = []
    for first in range(0, len(names), LIVES_AT_ONCE):
        found += (_life(ask, bucket, as_record) for bucket in _told(ask, names[first : first + LIVES_AT_ONCE]))
    return sorted(found, key=lambda life: (life.first_ns, life.id))


def _names(ask: Ask, where: Body) -> Iterator[str]:
    composite: Body = {"size": PAGE, "sources": [{"life": {"terms": {"field": LIFE}}}]}
    while True:
        body = {"size": 0, "query": where, "aggs": {"lives": {"composite": composite}}}
        told = ask(body).get("aggregations", {}).get("lives", {})
        yield from (bucket["key"]["life"] for bucket in told.get("buckets", ()))
        if "after_key" not in told:
            return
        composite = composite | {"after": told["after_key"]}


def _told(ask: Ask, names: list[str]) -> list[Body]:
    """For each life: its first and last time (as sort values, nanoseconds), its newest event, with a slot, and beat."""

    def hit(field: str, order: str, source: list[str] | bool = False) -> Body:
        return {"top_hits": {"size": 1, "_source": source, "sort": [{field: {"order": order}}]}}

    inner = {
        "first": hit("@timestamp", "asc"),
        "last": hit("@timestamp", "desc"),
        "newest": hit(SEQUENCE, "desc", list(LIFE_NAMES)),
        "claimed": {
            "filter": {"exists": {"field": "logship.worker.slot"}},
            "aggs": {"hit": hit(SEQUENCE, "desc", list(LIFE_NAMES))},
        },
        "beat": {
            "filter": {"bool": {"filter": [{"terms": {"event.action": list(BEAT_ACTIONS)}}], "must_not": [CONFLICT]}},
            "aggs": {"hit": hit(SEQUENCE, "desc", True)},
        },
        "conflicts": {"filter": CONFLICT},
    }
    lives = {"terms": {"field": LIFE, "size": len(names)}, "aggs": inner}
    told = ask({"size": 0, "query": {"terms": {LIFE: names}}, "aggs": {"lives": lives}})
    buckets: list[Body] = told.get("aggregations", {}).get("lives", {}).get("buckets", [])
    return buckets


def _life(ask: Ask, bucket: Body, as_record: Callable[[Body], Record]) -> Incarnation:
    who = as_record(_hit(bucket["newest"])["_source"])
    who |= as_record(_hit(bucket["claimed"]["hit"]).get("_source", {}))
    beat = as_record(_hit(bucket["beat"]["hit"]).get("_source", {})) or None
    action = beat["event.action"] if beat else None
    stored, rows = _sequences(ask, bucket["key"])
    return Incarnation(
        id=bucket["key"],
        service=who.get("service.name", ""),
        node=who.get("service.node.name", ""),
        slot=who.get("logship.worker.slot"),
        generation=who.get("logship.worker.generation"),
        pid=who.get("process.pid"),
        first_ns=int(_hit(bucket["first"])["sort"][0]),
        last_ns=int(_hit(bucket["last"])["sort"][0]),
        stored=stored,
        last_beat=beat,
        ended=None if action == BEAT_ACTIONS[0] else action,
        duplicates=rows - sum(high - low + 1 for low, high in stored),
        conflicts=bucket["conflicts"]["doc_count"],
    )


def _hit(told: Body) -> Body:
    hits: list[Body] = told["hits"]["hits"]
    return hits[0] if hits else {}


def _sequences(ask: Ask, life: str) -> tuple[Ranges, int]:
    """The ranges of sequences that are stored, and how many events carry them."""
    thousands = {
        "histogram": {"field": SEQUENCE, "interval": THOUSAND, "min_doc_count": 1},
        "aggs": {"sum": {"sum": {"field": SEQUENCE}}},
    }
    told = ask({"size": 0, "query": _of(life), "aggs": {"t": thousands}})["aggregations"]["t"]["buckets"]
    ranges: list[tuple[int, int]] = []
    rows = 0
    doubtful: list[tuple[int, int]] = []
    for bucket in told:
        low = int(bucket["key"])
        rows += bucket["doc_count"]
        if bucket["doc_count"] == THOUSAND and bucket["sum"]["value"] == THOUSAND * low + THOUSAND * (THOUSAND - 1) / 2:
            ranges.append((low, low + THOUSAND - 1))
        else:
            doubtful.append((low, low + THOUSAND))
    # Thousands that follow each other are asked in one.
    for low, high in _joined(doubtful, touching=0):
        ranges += ((number, number) for number in _one_by_one(ask, life, low, high))
    return tuple(_joined(sorted(ranges), touching=1)), rows


def _one_by_one(ask: Ask, life: str, low: int, high: int) -> Iterator[int]:
    composite: Body = {"size": PAGE, "sources": [{"n": {"terms": {"field": SEQUENCE}}}]}
    within = {"range": {SEQUENCE: {"gte": low, "lt": high}}}
    while True:
        query = {"bool": {"filter": [_of(life), within]}}
        told = ask({"size": 0, "query": query, "aggs": {"n": {"composite": composite}}})["aggregations"]["n"]
        yield from (int(bucket["key"]["n"]) for bucket in told["buckets"])
        if "after_key" not in told:
            return
        composite = composite | {"after": told["after_key"]}


def _of(life: str) -> dsl.Dsl:
    return {"bool": {"filter": [{"term": {LIFE: life}}], "must_not": [CONFLICT]}}


def _joined(ranges: list[tuple[int, int]], touching: int) -> Iterator[tuple[int, int]]:
    """Neighbours as one: where the next begins at the end of the one before plus `touching`."""
    begun: tuple[int, int] | None = None
    for low, high in ranges:
        if begun is not None and low == begun[1] + touching:
            begun = begun[0], high
            continue
        if begun is not None:
            yield begun
        begun = low, high
    if begun is not None:
        yield begun
