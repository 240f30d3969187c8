"""A question, its answers, and `Source`: whoever can answer."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from logship.search.kql import Node
from logship.search.ranges import Ranges

# One event as stores give it back: flat ECS names, dates as RFC 3339 text with nine digits, absent fields absent.
Record: TypeAlias = dict[str, Any]

NO_KEY = ""  # the key of rows that have no such field, in tallies and stats


@dataclass(frozen=True, slots=True)
class Query:
    """Events for which `where` holds (None: all), from `since_ns` (included) to `until_ns` (excluded)."""

    where: Node | None = None
    since_ns: int | None = None
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` rows; `after` is the `next` of the rows before."""

    limit: int = 100
    newest_first: bool = True
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """`next` continues after the last record; a search gives None there when nothing is left, a tail always a key."""

    records: list[Record]
    next: str | None


class Bucket(NamedTuple):
    """`events` of `key` from `start_ns` on, for as long as was asked."""

    start_ns: int
    key: str
    events: int


class Share(NamedTuple):
    value: str
    events: int


class FieldCount(NamedTuple):
    """A field with how many events have it; labels are named `labels.<key>` and `numeric_labels.<key>`."""

    name: str
    type: str
    events: int


@dataclass(frozen=True, slots=True)
class Stat:
    """A number field over the events of one key; the percentiles are exact and interpolated."""

    key: str
    count: int
    sum: float
    min: float
    max: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of one worker as a store knows it. `stored`: sequences; `last_beat`: the newest heartbeat, closing or
    end record, None without any; `ended`: event.action of the end record; `duplicates`: rows beyond one a sequence."""

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


class Source(Protocol):
    """Whoever answers questions: the embedded store, a collector over HTTP. Any thread may ask.

    QuestionError when the question makes no sense, SourceError when the source cannot answer at all."""

    def search(self, query: Query, page: Page) -> Rows:
        """Return whole records by time."""
        ...

    def tail(self, query: Query, after: str | None, limit: int = 1000) -> Rows:
        """Return what was stored after the key `after`, in order of arrival; for None a key from now on."""
        ...

    def get(self, id: str) -> list[Record]:  # noqa: A002 - the word people know
        """Return the records with this event id, request id or trace id, oldest first."""
        ...

    def count(self, query: Query) -> int: ...

    def tally(self, query: Query, by: str | None, every_ns: int) -> list[Bucket]:
        """Count by the values of `by` in buckets that begin at multiples of `every_ns`; oldest first, no empty ones."""
        ...

    def top(self, query: Query, field: str, limit: int) -> list[Share]:
        """Return the most frequent values, most first."""
        ...

    def stats(self, query: Query, number_field: str, by: str | None) -> list[Stat]:
        """Return one row for each value of `by`, in its order; rows without a number are not counted."""
        ...

    def incarnations(self, query: Query) -> list[Incarnation]:
        """Return the lives of workers with an event in `query`, oldest first, each with all the store holds of it."""
        ...

    def fields(self) -> list[FieldCount]:
        """Return the fields that occur, by name."""
        ...

    def oldest_ns(self) -> int | None:
        """Return the time of the oldest event, None when there is none."""
        ...
