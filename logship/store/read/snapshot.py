"""A store as it was listed for one query: its files, what is known about them, and a cursor to read them."""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

import duckdb
import orjson

from logship.search import sql
from logship.search.meaning import meaning
from logship.search.query import Query, Record, bounded
from logship.search.sql import Sql
from logship.store import ids
from logship.store.files import POSITION_BITS, Listing, Segment, log_name
from logship.store.needles import Span
from logship.store.read.checks import CHECK_BYTES, Checks
from logship.store.read.filters import FilterLookup
from logship.store.read.focus import Focus
from logship.store.read.pruning import Candidates, WantedId, wanted_ids
from logship.store.schema import COLUMNS, columns_in, relation

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
    filters: FilterLookup
    segment_ids: dict[str, ids.Ids] = field(default_factory=dict)
    beats: dict[tuple[str, int], Record] = field(default_factory=dict)
    segments_without: dict[str, set[str]] = field(default_factory=dict)


class Snapshot:
    """The files of a store for one query, and a cursor. Belongs to the thread of the query.

    `read`: the segments that were read; they are checked after an error. `focus`: events that are in memory."""

    def __init__(self, context: Context, cursor: duckdb.DuckDBPyConnection, listing: Listing) -> None:
        self._context, self.cursor, self.listing = context, cursor, context.checks.known(listing)
        self._budget = [CHECK_BYTES]
        self.read: set[Segment] = set()
        self.focus: Focus | None = None
        self.directory = context.directory
        self.beats = context.beats
        self._labels: dict[str, bool] = {}

    def all(self, text: str, *params: Any) -> list[Any]:
        """Return all rows of a statement."""
        return self.cursor.execute(text, list(params)).fetchall()

    def candidates(self, query: Query) -> Candidates:
        """Return the files that may hold events of the query, by their times and ids."""
        within = [
            segment
            for segment in self.listing.segments
            if (query.since_ns is None or segment.newest_ns >= query.since_ns)
            and (query.until_ns is None or segment.oldest_ns < query.until_ns)
        ]
        wanted = wanted_ids(meaning(query.where, self._context.clock_ns(), self._context.zone, self.is_label))
        if wanted is None:
            return Candidates(within, [*self.listing.logs])
        spans = {segment: spans for segment in within if (spans := self._spans(segment, wanted))}
        texts = [orjson.dumps(id_)[1:-1] for _, id_ in wanted]
        logs = [log for log in self.listing.logs if _has_any(self.log(log), texts)]
        return Candidates([*spans], logs, [span for found in spans.values() for span in found])

    def _spans(self, segment: Segment, wanted: frozenset[WantedId]) -> list[Span]:
        """The rows of a segment that may have one of these ids; all of them if that is not known."""
        whole = [(segment.first << POSITION_BITS, ((segment.last + 1) << POSITION_BITS) - 1)]
        own = [ids.parse(id_) if field == "event.id" else None for field, id_ in wanted]
        if self.holds_any(segment, filter(None, own)):
            return whole
        others = [id_ for (_, id_), identity in zip(wanted, own, strict=True) if identity is None]
        if not others:
            return []
        found = self._context.filters.spans(segment, others)
        return whole if found is None else found

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
        spans: list[Span] | None = None,
        columns: Collection[str] = COLUMNS.keys(),
    ) -> str:
        """Return a SELECT of these files; None means all.

        `spans`: of the segments, only rows with these positions. `columns` as in `schema.relation`."""
        chosen = self.sound(self.listing.segments if segments is None else segments)
        numbers = self.listing.logs if logs is None else logs
        for number in numbers:
            self._context.checks.see_log(number)
        written = [path for path in (self.log(number) for number in numbers) if path.stat().st_size]
        return relation(map(self.path, chosen), written, spans, columns)

    def matching(self, query: Query, columns: Collection[str] = COLUMNS.keys()) -> str:
        """Return a SELECT of the files and rows that may match the query."""
        if self.focus is not None and self.focus.covers(query, columns):
            return self.focus.select(columns)
        there = self.candidates(query)
        return self.relation(there.segments, there.logs, spans=there.spans, columns=columns)

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
        if self.all(
            f"SELECT 1 FROM ({self.relation(unread, columns=columns_in(has))}) WHERE {has} LIMIT 1", name, name
        ):
            return True
        if len(self._context.segments_without) > _KNOWN_NAMES:
            self._context.segments_without.clear()
        without.clear()  # segments that were merged away
        without.update(segment.stem for segment in self.listing.segments)
        return False

    def label_names(self) -> list[str]:
        """Return the names of labels, up to _LABEL_NAMES of them."""
        keys = "SELECT unnest(map_keys(labels)) FROM (SELECT * FROM rows) UNION SELECT unnest(map_keys(numeric_labels))"
        rows = self.relation(columns=columns_in(keys))
        text = f"WITH rows AS ({rows}) SELECT DISTINCT * FROM ({keys} FROM rows) LIMIT {_LABEL_NAMES}"
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


def _has_any(log: Path, texts: Sequence[bytes]) -> bool:
    """Whether a log contains one of these texts, as they are in JSON. Quicker than reading its events."""
    data = log.read_bytes()
    return any(text in data for text in texts)
