"""A query, its results, and `Source`: the interface of all stores that can be queried."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from logship.search.kql import Node, equal, every
from logship.search.ranges import Ranges

# One event as stores give it back: flat ECS names, dates as RFC 3339 text with nine digits, absent fields absent.
Record: TypeAlias = dict[str, Any]

# The fields that identify a worker; the first that an event has is used.
WORKER_NAMES = ("service.node.name", "service.ephemeral_id", "service.name")
# Fields of a run that are in each of its events, and the events that have counters; after the first of them the run continues.
LIFE_NAMES = ("service.name", "service.node.name", "logship.worker.slot", "logship.worker.generation", "process.pid")
# How far the clock of a worker's machine may be ahead of ours.
CLOCK_AHEAD_NS = 5 * 60 * 10**9
BEAT_ACTIONS = ("worker-heartbeat", "worker-closed", "worker-lost", "worker-ended")


@dataclass(frozen=True, slots=True)
class Query:
    """Events for which `where` holds (None: all), from `since_ns` (included) to `until_ns` (excluded)."""

    where: Node | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    def narrowed(self, where: Node | None) -> "Query":
        """Return the query with a further condition; None adds none."""
        return replace(self, where=every(where, self.where))


def bounded(query: Query, now_ns: int) -> Query:
    """Return the query with an end if it has a beginning in the past and no end: a few minutes after `now_ns`.

    So an event with a time in the far future does not count in the last hour. Without `since_ns` it is found."""
    if query.until_ns is None and query.since_ns is not None and query.since_ns <= now_ns:
        return replace(query, until_ns=now_ns + CLOCK_AHEAD_NS)
    return query


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` rows; `after` is the `next` of the rows before, of the same order.

    `columns`: only these fields, `@timestamp` always; none: all. `greatest`: not by time, but by this number field,
    the greatest first; events without it are left out."""

    limit: int = 100
    newest_first: bool = True
    after: str | None = None
    columns: tuple[str, ...] = ()
    greatest: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """`next` continues after the last record; a search gives None there when nothing is left, a tail always a key."""

    records: list[Record]
    next: str | None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The events around an id. `cut`: whether some are missing because the result reached its size limit."""

    records: list[Record]
    cut: bool = False


class Bucket(NamedTuple):
    """`events` of `key` from `start_ns` on, for as long as was asked; 0 when it was not asked by time.

    `and_key`: the second field's value. `error`: by how many events it may be wrong, 0 where a store counts exactly."""

    start_ns: int
    key: str
    events: int
    and_key: str = ""
    error: int = 0


class Group(NamedTuple):
    """Events with these `keys`: one value per field that was asked for, "" where they have none.

    `counts`: their number in each bucket of time in which there are any, and `starts_ns`: the starts of these buckets, ascending.
    Without buckets, [0] and one number."""

    keys: tuple[str, ...]
    starts_ns: list[int]
    counts: list[int]

    @property
    def events(self) -> int:
        return sum(self.counts)


class Share(NamedTuple):
    """`events` have `value`, which is the part `share` of those that have the field at all; `error` as of a bucket."""

    value: str
    events: int
    share: float = 0.0
    error: int = 0


class FieldCount(NamedTuple):
    """A field with how many events have it; labels are named `labels.<key>` and `numeric_labels.<key>`."""

    name: str
    type: str
    events: int


@dataclass(frozen=True, slots=True)
class Stat:
    """A number field over the events of one key, and of one bucket of time if that was asked.

    Percentiles are interpolated. `error`: the part of its value by which one may be wrong, 0 where they are exact."""

    key: str
    count: int
    sum: float
    min: float
    max: float
    p50: float
    p95: float
    p99: float
    start_ns: int = 0
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One run of a worker as a store knows it. `stored`: sequences; `last_beat`: the newest heartbeat, closing or
    end record, None without any; `ended`: event.action of the end record; `duplicates`: rows beyond one a sequence;
    `conflicts`: events beside these whose sequence had arrived before with other content; `cut_ns`: the store may have
    removed events before this time, 0 where that is unknown. `damaged`: sequences in files that the store has set aside;
    `damaged_files`: the number of other such files that may hold events of this run."""

    id: str
    service: str = ""
    node: str = ""
    slot: int | None = None
    generation: int | None = None
    pid: int | None = None
    first_ns: int = 0
    last_ns: int = 0
    stored: Ranges = ()
    last_beat: Record | None = None
    ended: str | None = None
    duplicates: int = 0
    conflicts: int = 0
    cut_ns: int = 0
    damaged: Ranges = ()
    damaged_files: int = 0


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file of a store that is damaged: its `events` are missing in results, as many as it had.

    `oldest_ns`, `newest_ns` and `incarnations`: what it covered, None and () where that is not known."""

    name: str
    reason: str
    events: int
    oldest_ns: int | None = None
    newest_ns: int | None = None
    incarnations: tuple[str, ...] = ()

    def overlaps(self, query: Query) -> bool:
        """Whether it may have held events in the time of `query`."""
        return (
            query.since_ns is None or self.newest_ns is None or self.newest_ns >= query.since_ns
        ) and (query.until_ns is None or self.oldest_ns is None or self.oldest_ns < query.until_ns)


def around(
    source: "Source", id: str, before: int, after: int, everybody: bool, service: str = ""  # noqa: A002
) -> Excerpt:  # fmt: skip
    """Return `Source.context` from searches, for sources whose page keys continue any search by time.

    `service`: the others are of all workers of this service."""
    rows = source.search(Query(equal("event.id", id)), Page(1))
    if not rows.records:
        return Excerpt([])
    event = rows.records[0]
    name = next((name for name in WORKER_NAMES if event.get(name)), None)
    same = None if everybody or name is None else equal(name, str(event[name]))
    same = equal("service.name", service) if service else same
    earlier, later = (
        source.search(Query(same), Page(limit, newest_first, rows.next)) if limit else Rows([], None)
        for newest_first, limit in ((True, before), (False, after))
    )
    cut = any(
        side.next is not None and len(side.records) < limit for side, limit in ((earlier, before), (later, after))
    )
    return Excerpt([*reversed(earlier.records), event, *later.records], cut)


class Source(Protocol):
    """A source of events: the embedded store, a collector over HTTP, or Elasticsearch. Any thread may query it.

    QuestionError for an invalid query, SourceError when the source cannot be queried."""

    def search(self, query: Query, page: Page) -> Rows:
        """Return records by time, or by a number."""
        ...

    def tail(self, query: Query, after: str | None, limit: int = 1000) -> Rows:
        """Return what was stored after the key `after`, in order of arrival; for None a key from now on."""
        ...

    def get(self, id: str) -> Excerpt:  # noqa: A002 - the word people know
        """Return the records with this event id, request id or trace id, oldest first."""
        ...

    def context(self, id: str, before: int, after: int, everybody: bool = False) -> Excerpt:  # noqa: A002
        """Return the event with this event id between at most `before` and `after` others, by time; [] without it.

        The others are those of the same worker in all of its runs, or with `everybody` those of all workers."""
        ...

    def count(self, query: Query) -> int: ...

    def tally(self, query: Query, by: str | None, every_ns: int | None, and_by: str | None = None) -> list[Bucket]:
        """Count by the values of one field or two, in buckets that begin at multiples of `every_ns`; None: in one.

        Oldest first, without empty ones."""
        ...

    def groups(self, query: Query, by: Sequence[str], every_ns: int | None = None) -> list[Group]:
        """Count by the values of any number of fields, in buckets as in `tally`, and in the order of their values."""
        ...

    def top(self, query: Query, field: str, limit: int) -> list[Share]:
        """Return the most frequent values, most first."""
        ...

    def stats(self, query: Query, number_field: str, by: str | None, every_ns: int | None = None) -> list[Stat]:
        """Return one row for each bucket as in `tally` and value of `by`, in that order.

        Events without the number are not counted."""
        ...

    def incarnations(self, query: Query) -> list[Incarnation]:
        """Return the runs of workers with an event in `query`, oldest first, each with all the store holds of it."""
        ...

    def fields(self, query: Query | None = None) -> list[FieldCount]:
        """Return the fields that occur in the events of `query`, or in all events, by name."""
        ...

    def oldest_ns(self) -> int | None:
        """Return the time of the oldest event, None when there is none."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A source that can give everything in one go, which is cheaper than page after page."""

    def every(self, query: Query) -> Iterator[list[Record]]:
        """Yield the records of `query` that are stored now, oldest first as a search gives them, some at a time."""
        ...


@runtime_checkable
class Focusable(Protocol):
    """A source that answers many questions about one time window more quickly together than one by one."""

    def focused(self, window: Query, columns: Collection[str]) -> AbstractContextManager[Source]:
        """Return a source with the same answers, quicker for questions within the times of `window` about these columns."""
        ...


def focused(source: Source, window: Query, columns: Collection[str]) -> AbstractContextManager[Source]:
    """Return `source` for many questions about `window`, as a context manager. See `Focusable`."""
    return source.focused(window, columns) if isinstance(source, Focusable) else nullcontext(source)


@runtime_checkable
class Damageable(Protocol):
    """A source whose files can be damaged."""

    def set_aside(self) -> list[SetAside]:
        """Return the damaged files that are known by now: results leave out what they held."""
        ...


@dataclass(frozen=True, slots=True)
class Hour:
    """Totals of one hour of a service, which a store keeps for longer than the events.

    `start_ns`: when the hour began; `requests`: those that ended; `peak_requests`: those of its busiest minute; durations in
    nanoseconds. From heartbeats: `workers`: how many were seen; `cpu_ns`: their CPU time; `utilization`: the mean of
    their event loops, 0 to 1; `in_flight`: the most requests that ran in one of them. These are 0 without heartbeats."""

    start_ns: int
    service: str
    requests: int
    peak_requests: int
    duration_sum_ns: float
    duration_min_ns: float
    duration_max_ns: float
    p50_ns: float
    p95_ns: float
    p99_ns: float
    workers: int = 0
    cpu_ns: float = 0.0
    utilization: float = 0.0
    in_flight: int = 0


@runtime_checkable
class Hourly(Protocol):
    """A source that keeps totals of hours whose events may be gone."""

    def hours(self, since_ns: int, until_ns: int) -> list[Hour]:
        """Return the totals of the hours that begin in this time, oldest first. Hours without requests have none."""
        ...
