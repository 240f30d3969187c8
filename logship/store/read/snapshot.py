"""A store as it was listed for one query: its files, what is known about them, and a cursor to read them."""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

import duckdb

from logship.search import sql
from logship.search.query import Query, Record, bounded
from logship.search.sql import Sql
from logship.store import ids
from logship.store.files import Listing, Segment, log_name
from logship.store.read.checks import CHECK_BYTES, Checks
from logship.store.read.pruning import wanted_ids
from logship.store.schema import relation

_KNOWN_SEGMENTS = 1_000
_KNOWN_NAMES = 100
_LABEL_NAMES = 10_000


@dataclass(slots=True)
class Context:
    """What all queries of one reader share: settings, and what is known about files, which never change.

    `beats`: heartbeats and last reports by run and sequence; `segments_without`: by label name, the segments without it."""

    directory: Path
    zone: tzinfo
    clock_ns: Callable[[], int]
    checks: Checks
    segment_ids: dict[str, ids.Ids] = field(default_factory=dict)
    beats: dict[tuple[str, int], Record] = field(default_factory=dict)
    segments_without: dict[str, set[str]] = field(default_factory=dict)


class Snapshot:
    """The files of a store for one query, and a cursor. Belongs to the thread of the query.

    `read`: the segments that were read; they are checked after an error."""

    def __init__(self, context: Context, cursor: duckdb.DuckDBPyConnection, listing: Listing) -> None:
        self._context, self.cursor, self.listing = context, cursor, context.checks.known(listing)
        self._budget = [CHECK_BYTES]
        self.read: set[Segment] = set()
        self.directory = context.directory
        self.beats = context.beats
        self._labels: dict[str, bool] = {}

    def all(self, text: str, *params: Any) -> list[Any]:
        """Return all rows of a statement."""
        return self.cursor.execute(text, list(params)).fetchall()

    def segments(self, query: Query) -> list[Segment]:
        """Return the segments that may hold events of the query, by their times and event ids."""
        within = [
            segment
            for segment in self.listing.segments
            if (query.since_ns is None or segment.newest_ns >= query.since_ns)
            and (query.until_ns is None or segment.oldest_ns < query.until_ns)
        ]
        wanted = wanted_ids(query.where)
        if wanted is None:
            return within
        parsed = [identity for identity in map(ids.parse, wanted) if identity]
        if len(parsed) < len(wanted):
            return within
        return [segment for segment in within if self.holds_any(segment, parsed)]

    def holds_any(self, segment: Segment, identities: Iterable[tuple[str, int]]) -> bool:
        """Return whether the segment has an event with one of these (run, sequence); True if that is not known."""
        known = self.ids(segment)
        return known is None or any(known[run].holds(sequence) for run, sequence in identities if run in known)

    def ids(self, segment: Segment) -> ids.Ids | None:
        """Return the event ids of a segment, None if its sidecar cannot be read."""
        known = self._context.segment_ids.get(segment.stem)
        if known is None and (known := ids.read(self.directory, segment)) is not None:
            if len(self._context.segment_ids) >= _KNOWN_SEGMENTS:
                self._context.segment_ids.clear()
            self._context.segment_ids[segment.stem] = known
        return known

    def relation(
        self,
        segments: Iterable[Segment] | None = None,
        logs: Collection[int] | None = None,
        rows: Mapping[Path, list[int]] | None = None,
    ) -> str:
        """Return a SELECT of these files; None means all. `rows`: in addition, numbers of rows by file."""
        chosen = self.sound(self.listing.segments if segments is None else segments)
        numbers = self.listing.logs if logs is None else logs
        for number in numbers:
            self._context.checks.see_log(number)
        written = [path for path in (self.log(number) for number in numbers) if path.stat().st_size]
        return relation(map(self.path, chosen), written, rows)

    def sound(self, segments: Iterable[Segment]) -> list[Segment]:
        """Return the segments that are not damaged."""
        sound = [segment for segment in segments if self._context.checks.sound(segment, self._budget)]
        self.read.update(sound)
        return sound

    def row_numbers(self, segment: Segment, positions: Iterable[int]) -> list[int]:
        """Return the numbers of the rows with these positions in a segment."""
        listed = ", ".join(map(str, positions))
        text = f"SELECT file_row_number FROM read_parquet(?, file_row_number = true) WHERE _n IN ({listed})"
        return [number for (number,) in self.all(text, str(self.path(segment)))]

    def path(self, segment: Segment) -> Path:
        """Return the path of a segment."""
        return self.directory / segment.name

    def log(self, number: int) -> Path:
        """Return the path of a log."""
        return self.directory / log_name(number)

    def is_label(self, name: str) -> bool:
        """Return whether some event has a label of this name. Each segment is searched once for a name."""
        if name not in self._labels:
            self._labels[name] = self._find_label(name)
        return self._labels[name]

    def _find_label(self, name: str) -> bool:
        without = self._context.segments_without.setdefault(name, set())
        unread = [segment for segment in self.listing.segments if segment.stem not in without]
        has = "map_contains(labels, ?) OR map_contains(numeric_labels, ?)"
        if self.all(f"SELECT 1 FROM ({self.relation(unread)}) WHERE {has} LIMIT 1", name, name):
            return True
        if len(self._context.segments_without) > _KNOWN_NAMES:
            self._context.segments_without.clear()
        without.clear()  # segments that were merged away
        without.update(segment.stem for segment in self.listing.segments)
        return False

    def label_names(self) -> list[str]:
        """Return the names of labels, up to _LABEL_NAMES of them."""
        keys = "SELECT unnest(map_keys(labels)) FROM (SELECT * FROM rows) UNION SELECT unnest(map_keys(numeric_labels))"
        text = f"WITH rows AS ({self.relation()}) SELECT DISTINCT * FROM ({keys} FROM rows) LIMIT {_LABEL_NAMES}"
        return [name for (name,) in self.all(text)]

    def condition(self, query: Query) -> Sql:
        """Return the condition for `where` and the times of a query."""
        now_ns = self._context.clock_ns()
        where = sql.where(query.where, now_ns, self._context.zone, self.is_label)
        text, params = where.text, where.params
        for limit_ns, operator in ((query.since_ns, ">="), (bounded(query, now_ns).until_ns, "<")):
            if limit_ns is not None:
                text += f' AND "@timestamp" {operator} make_timestamp_ns(?)'
                params += (limit_ns,)
        return Sql(f"({text})", params)
