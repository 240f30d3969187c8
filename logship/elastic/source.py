"""Answers from Elasticsearch: a `Source` over the data streams of a namespace, with rights to read them and nothing else.

What is not as in the embedded store, because Elasticsearch cannot say it:

- Events of the same nanosecond come by `event.id`, not by arrival.
- A field of several values counts under each of them in a tally. Running text cannot be grouped by, nor dates.
- Buckets of time are whole milliseconds. Percentiles of 20,000 values and more are within one percent.
- Grouping by one of the ids in `mapping.LOOKED_UP` reads every event of the query, and takes that long.
- `labels` has no list of its names: those of the newest events that have any are known, `LABELS_LOOK` of them.
- Arrival is the order of each index of the stream; what two writers write at the same moment may be seen out of order.

Pages continue by key and not by a point in time, so that a key outlives the process, as it does elsewhere."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import cache
from typing import Any, Final

from elasticsearch import Elasticsearch

from logship.elastic import hours, lives, mapping
from logship.elastic.client import made, translated
from logship.errors import QuestionError
from logship.event.fields import BY_NAME
from logship.search import dsl
from logship.search.kql import And, Is, Node, Not, Or, Pattern, Range, Text, either, equal
from logship.search.names import check_known, check_names
from logship.search.query import (
    Bucket,
    Excerpt,
    FieldCount,
    Group,
    Hour,
    Incarnation,
    Page,
    Query,
    Record,
    Rows,
    Share,
    Stat,
    around,
    bounded,
)
from logship.search.shorthand import field_of
from logship.search.targets import KIND_OF, MAPS, Target, columns_of, targets
from logship.search.times import from_rfc3339, rfc3339
from logship.settings import Settings

Body = dict[str, Any]

PAGE_EVENTS: Final = 5000  # Elasticsearch's own limit is 10,000
BUCKETS: Final = 5000
SAME_ID_LIMIT: Final = 10_000
LABELS_LOOK: Final = 2000
# Below 20 times this many values a percentile is exact; 1000 costs no more time than the default of 100.
COMPRESSION: Final = 1000
EXACT_VALUES: Final = 20 * COMPRESSION
ERROR: Final = 0.01
NANOS: Final = "strict_date_optional_time_nanos"
MS: Final = 1_000_000
ORDER: Final = {name: number for number, name in enumerate(BY_NAME)}
DATES: Final = tuple(name for name, kind in KIND_OF.items() if kind == "date")


class ElasticSource:
    """A `Source` on Elasticsearch. Any number of threads may ask. ElasticError says what is wrong on the way there.

    A stream that does not exist yet has no events."""

    def __init__(self, settings: Settings, *, zone: tzinfo = UTC, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._settings, self._zone, self._clock_ns = settings, zone, clock_ns
        self._client: Elasticsearch = made(settings)
        self._stream = mapping.stream(settings.elastic_namespace)
        self._hours_stream = hours.stream(settings.elastic_namespace)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def search(self, query: Query, page: Page) -> Rows:
        page = replace(page, greatest=field_of(page.greatest))
        order = [{page.greatest: {"order": "desc"}}] if page.greatest else []
        if page.greatest and KIND_OF.get(page.greatest) not in ("integer", "number"):
            raise QuestionError(f"greatest needs a number field, and {page.greatest} is not one")
        way = "desc" if page.newest_first or page.greatest else "asc"
        first = order or [{"@timestamp": {"order": way, "format": NANOS}}]
        where = self._where(query)
        if page.greatest:
            where = {"bool": {"filter": [where, {"exists": {"field": page.greatest}}]}}
        body: Body = {"query": where, "sort": [*first, {"event.id": way}], "track_total_hits": False}
        chosen = ["@timestamp", *columns_of(page.columns)] if page.columns else []
        if chosen:
            body["_source"] = chosen
        records: list[Record] = []
        after = _key(page.after, by_time=not page.greatest) if page.after else None
        while len(records) < page.limit:
            size = min(PAGE_EVENTS, page.limit - len(records))
            more = {"search_after": after} if after else {}
            hits = self._ask(body | more | {"size": size})["hits"]["hits"]
            found = (as_record(hit["_source"]) for hit in hits)
            records += [{name: one[name] for name in chosen if name in one} for one in found] if chosen else found
            after = hits[-1]["sort"] if hits else after
            if len(hits) < size:
                return Rows(records, None)
        return Rows(records, _as_key(after, by_time=not page.greatest) if after and records else None)

    def tail(self, query: Query, after: str | None, limit: int = 1000) -> Rows:
        indices = self._indices()
        if after is None:
            check_names(query.where, self)
            return Rows([], f"{indices[-1]}|{self._last(indices[-1])}" if indices else "|-1")
        name, bar, number = after.rpartition("|")
        if not bar or not number.lstrip("-").isdecimal():
            raise QuestionError(f"invalid tail key {after!r}: pass `next` of the previous rows")
        # Its names were checked when the tail began; it may be asked several times a second.
        where, at = self._where(query, checked=True), int(number)
        records: list[Record] = []
        for index in indices:
            if index < name:
                continue
            seen = at if index == name else -1
            # What arrives while this is asked is for the next tail: else it could be passed over.
            last = self._last(index)
            within = {"range": {"_seq_no": {"gt": seen, "lte": last}}}
            body = {"query": {"bool": {"filter": [where, within]}}, "sort": [{"_seq_no": "asc"}]}
            hits = self._ask({**body, "size": min(limit - len(records), PAGE_EVENTS)}, index)["hits"]["hits"]
            records += [as_record(hit["_source"]) for hit in hits]
            full = len(records) >= limit or len(hits) == PAGE_EVENTS
            after = f"{index}|{hits[-1]['sort'][0] if full and hits else max(last, seen)}"
            if full:
                break
        return Rows(records, after)

    def get(self, id: str) -> Excerpt:  # noqa: A002 - the word people know
        same = either(*(equal(name, id) for name in ("event.id", "http.request.id", "trace.id")))
        rows = self.search(Query(same), Page(SAME_ID_LIMIT, newest_first=False))
        return Excerpt(rows.records, rows.next is not None)

    def context(self, id: str, before: int, after: int, everybody: bool = False) -> Excerpt:  # noqa: A002
        return around(self, id, before, after, everybody)

    def count(self, query: Query) -> int:
        found = self._ask({"query": self._where(query), "size": 0, "track_total_hits": True})
        return int(found["hits"]["total"]["value"])

    def tally(self, query: Query, by: str | None, every_ns: int | None, and_by: str | None = None) -> list[Bucket]:
        counts: defaultdict[tuple[int, str, str], int] = defaultdict(int)
        for bucket in self._buckets(query, every_ns, self._columns_of("k", by) | self._columns_of("j", and_by)):
            key = bucket["key"]
            counts[key.get("s", 0) * MS, _text(key, "k"), _text(key, "j")] += bucket["doc_count"]
        return [Bucket(start, key, events, and_key) for (start, key, and_key), events in sorted(counts.items())]

    def groups(self, query: Query, by: Sequence[str], every_ns: int | None = None) -> list[Group]:
        prefixes = [f"k{number}_" for number in range(len(by))]
        columns: dict[str, str] = {}
        for prefix, name in zip(prefixes, by, strict=True):
            columns |= self._columns_of(prefix, name)
        found: defaultdict[tuple[str, ...], Counter[int]] = defaultdict(Counter)
        for bucket in self._buckets(query, every_ns, columns):
            key = bucket["key"]
            found[tuple(_text(key, prefix) for prefix in prefixes)][key.get("s", 0) * MS] += bucket["doc_count"]
        return [Group(keys, *map(list, zip(*sorted(counts.items()), strict=True))) for keys, counts in sorted(found.items())]

    def top(self, query: Query, field: str, limit: int) -> list[Share]:
        columns = self._columns_of("k", field)
        aggregations = {name: {"terms": {"field": one, "size": max(limit, 1)}} for name, one in columns.items()}
        has = [{"exists": {"field": one}} for one in columns.values()]
        where = {"bool": {"filter": [self._where(query)], "should": has, "minimum_should_match": 1}}
        read = _read_from_source(columns.values())
        found = self._ask({"query": where, "size": 0, "track_total_hits": True, "aggs": aggregations} | read)
        total = int(found["hits"]["total"]["value"])
        shares: list[Share] = []
        for name in columns:
            told = found["aggregations"][name]
            for one in told["buckets"]:
                text = _text({name: one.get("key_as_string", one["key"])}, "k")
                error = int(told["doc_count_error_upper_bound"])
                shares.append(Share(text, one["doc_count"], one["doc_count"] / max(total, 1), max(error, 0)))
        return sorted(shares, key=lambda share: (-share.events, share.value))[:limit]

    def stats(self, query: Query, number_field: str, by: str | None, every_ns: int | None = None) -> list[Stat]:
        target = targets(Text(number_field))[0]
        if target.kind not in ("integer", "number", "label"):
            raise QuestionError(f"statistics need a number field, and {number_field} is not one")
        check_known(number_field, self)
        number = f"numeric_labels.{target.name}" if target.kind == "label" else target.name
        percents = {"field": number, "percents": [50, 95, 99], "keyed": False, "tdigest": {"compression": COMPRESSION}}
        inner = {"stats": {"stats": {"field": number}}, "percentiles": {"percentiles": percents}}
        found = []
        for bucket in self._buckets(query, every_ns, self._columns_of("k", by), inner, number):
            told = bucket["stats"]
            p50, p95, p99 = (float(one["value"]) for one in bucket["percentiles"]["values"])
            found.append(
                Stat(
                    _text(bucket["key"], "k"), told["count"], told["sum"], told["min"], told["max"], p50, p95, p99,
                    bucket["key"].get("s", 0) * MS, 0.0 if told["count"] < EXACT_VALUES else ERROR,
                )
            )  # fmt: skip
        return sorted(found, key=lambda stat: (stat.start_ns, stat.key))

    def incarnations(self, query: Query) -> list[Incarnation]:
        return lives.incarnations(self._ask, self._where(query), as_record)

    def fields(self, query: Query | None = None) -> list[FieldCount]:
        labels = {name: "keyword" if name.startswith("labels.") else "number" for name in self.label_names()}
        asked = [*KIND_OF.items(), *labels.items()]
        has = {str(number): {"filter": {"exists": {"field": name}}} for number, (name, _) in enumerate(asked)}
        where = self._where(query) if query is not None else dsl.ALL
        told = self._ask({"size": 0, "query": where, "aggs": has}).get("aggregations", {})
        counts = [int(told.get(str(number), {}).get("doc_count", 0)) for number in range(len(asked))]
        return sorted(FieldCount(name, kind, n) for (name, kind), n in zip(asked, counts, strict=True) if n)

    def oldest_ns(self) -> int | None:
        found = self.search(Query(), Page(1, newest_first=False, columns=("event.id",))).records
        return from_rfc3339(found[0]["@timestamp"]) if found else None

    def hours(self, since_ns: int, until_ns: int) -> list[Hour]:
        return hours.kept(self._ask, self._hours_stream, since_ns, until_ns)

    def newest_hour_ns(self) -> int | None:
        """Return when the newest hour with totals began, None without totals."""
        return hours.newest_ns(self._ask, self._hours_stream)

    def _where(self, query: Query, *, checked: bool = False) -> Body:
        if not checked:
            check_names(query.where, self)
        labels = self.label_names() if _asks_for_labels(query.where) else ()
        now_ns = self._clock_ns()
        return dsl.whole(bounded(query, now_ns), now_ns, self._zone, labels, cache(self.is_label))

    def is_label(self, name: str) -> bool:
        has = [{"exists": {"field": f"{root}.{name}"}} for root in MAPS]
        found = self._ask({"size": 0, "query": {"bool": {"should": has}}, "terminate_after": 1})
        return bool(found["hits"]["total"]["value"])

    def label_names(self) -> tuple[str, ...]:
        """Names of labels, with `labels.` or `numeric_labels.` before them."""
        names: set[str] = set()
        for root in MAPS:
            body = {"query": {"exists": {"field": root}}, "_source": [root], "size": LABELS_LOOK}
            if root == "numeric_labels":
                body["query"] = dsl.ALL
            for hit in self._ask({**body, "sort": [{"@timestamp": "desc"}]})["hits"]["hits"]:
                names.update(f"{root}.{key}" for key in as_record(hit["_source"]).get(root, {}))
        return tuple(sorted(names))

    def _columns_of(self, prefix: str, by: str | None) -> dict[str, str]:
        """What to group by, by a name for it: a label may be text in some events and a number in others."""
        if by is None:
            return {}
        check_known(by, self)
        target: Target = targets(Text(by))[0]
        if target.kind in ("text", "date"):
            raise QuestionError(f"Elasticsearch cannot group by {by}: its values are {target.kind}s")
        if target.kind == "label":
            return {f"{prefix}1": f"labels.{target.name}", f"{prefix}2": f"numeric_labels.{target.name}"}
        return {f"{prefix}1": target.name}

    def _buckets(
        self,
        query: Query,
        every_ns: int | None,
        columns: Mapping[str, str],
        inner: Body | None = None,
        needed: str = "@timestamp",
    ) -> Iterator[Body]:
        """Every bucket of these values and of time, each counted exactly, page by page."""
        if every_ns is not None and (every_ns < MS or every_ns % MS):
            raise QuestionError(
                f"invalid bucket width {every_ns} ns: Elasticsearch needs whole milliseconds, e.g. 1s, 1m"
            )
        sources: list[Body] = []
        if every_ns is not None:
            sources.append({"s": {"date_histogram": {"field": "@timestamp", "fixed_interval": f"{every_ns // MS}ms"}}})
        sources += [{name: {"terms": {"field": field, "missing_bucket": True}}} for name, field in columns.items()]
        where = {"bool": {"filter": [self._where(query), {"exists": {"field": needed}}]}}
        if not sources:
            told = self._ask({"size": 0, "query": where, "track_total_hits": True, "aggs": inner or {}})
            if told["hits"]["total"]["value"]:
                yield {"key": {}, "doc_count": told["hits"]["total"]["value"], **told.get("aggregations", {})}
            return
        composite: Body = {"size": BUCKETS, "sources": sources}
        while True:
            grouped = {"composite": composite} | ({"aggs": inner} if inner else {})
            body = {"size": 0, "query": where, "aggs": {"g": grouped}} | _read_from_source(columns.values())
            told = self._ask(body).get("aggregations", {}).get("g", {})
            yield from told.get("buckets", ())
            if "after_key" not in told:
                return
            composite = composite | {"after": told["after_key"]}

    def _indices(self) -> list[str]:
        """The indices of the stream that hold anything, oldest first."""
        body = {"size": 0, "aggs": {"i": {"terms": {"field": "_index", "size": 10_000}}}}
        told = self._ask(body).get("aggregations", {}).get("i", {})
        return sorted((one["key"] for one in told.get("buckets", ())), key=lambda name: name.rpartition("-")[2])

    def _last(self, index: str) -> int:
        hits = self._ask({"size": 1, "_source": False, "sort": [{"_seq_no": "desc"}]}, index)["hits"]["hits"]
        return int(hits[0]["sort"][0]) if hits else -1

    def _ask(self, body: Body, index: str = "") -> Body:
        """One search; an empty answer where there is no such stream."""
        with translated(self._settings, f"searching {index or self._stream}"):
            # By default Elasticsearch answers without the shards that it cannot read: a part that looks like everything.
            told = self._client.search(
                index=index or self._stream,
                body=body,
                ignore_unavailable=True,
                allow_no_indices=True,
                allow_partial_search_results=False,
            )
        return dict(told.body)


def _read_from_source(fields: Iterable[str]) -> Body:
    """What a search needs to group by fields that have no column: a runtime field of the same name reads `_source`."""
    read = {name: {"type": "keyword"} for name in fields if name in mapping.LOOKED_UP}
    return {"runtime_mappings": read} if read else {}


def as_record(source: Mapping[str, Any]) -> Record:
    """A document as stores give records back: flat, in the order of the fields, dates with nine digits, texts in labels,
    nothing empty."""
    found = dict(sorted(_flat(source), key=lambda one: ORDER.get(one[0], len(ORDER))))
    for name in DATES:
        if isinstance(found.get(name), str):
            try:
                found[name] = rfc3339(from_rfc3339(found[name]))
            except ValueError:
                del found[name]  # kept by Elasticsearch, and not indexed
    if "labels" in found:
        found["labels"] = {key: _label(value) for key, value in found["labels"].items() if value is not None}
    if "numeric_labels" in found:
        found["numeric_labels"] = {
            key: float(value) for key, value in found["numeric_labels"].items() if value is not None
        }
    return found


def _flat(source: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in source.items():
        if isinstance(value, Mapping) and before + name not in MAPS:
            yield from _flat(value, f"{before}{name}.")
        elif value is not None and value not in ([], {}):
            many = before + name in BY_NAME and BY_NAME[before + name].many
            yield before + name, [value] if many and not isinstance(value, list) else value


def _label(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _asks_for_labels(where: Node | None) -> bool:
    """Whether a field's name stands for any label, so that the names of labels are needed."""
    match where:
        case Is(field, _) | Range(field, _, _):
            return isinstance(field, Pattern) or (isinstance(field, Text) and field.text in MAPS)
        case Not(part):
            return _asks_for_labels(part)
        case And(parts) | Or(parts):
            return any(map(_asks_for_labels, parts))
    return False


def _text(key: Mapping[str, Any], prefix: str) -> str:
    """The value that an event is grouped under, as text: numbers without a needless `.0`."""
    for name in (f"{prefix}1", f"{prefix}2"):
        value = key.get(name)
        if isinstance(value, bool):
            return _label(value)
        if value is not None:
            return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return ""


def _as_key(sort: list[Any], by_time: bool) -> str:
    first, name = sort
    return f"{from_rfc3339(first) if by_time else repr(first)}:{name}"


def _key(text: str, by_time: bool) -> list[Any]:
    first, colon, name = text.partition(":")
    try:
        if not colon:
            raise ValueError
        number = int(first) if first.lstrip("-").isdecimal() else float(first)
    except ValueError:
        raise QuestionError(f"invalid page key {text!r}: pass `next` of the previous page") from None
    return [rfc3339(int(number)) if by_time else number, name]
