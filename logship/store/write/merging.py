"""Merging: ten neighbouring segments of similar size become one, so that queries open few files."""

import itertools
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from logship.store.chain.writer import Chain
from logship.store.files import Segment, read_listing
from logship.store.schema import as_stored
from logship.store.write.integrity import IntegrityCheck
from logship.store.write.parquet import is_of_the_disk, write_segment
from logship.store.write.retention import room
from logship.store.write.superseded import Superseded

MERGE_SEGMENTS = 10
MERGE_LIMIT_ROWS = 2_000_000
MERGE_LIMIT_BYTES = 2**30

_logger = logging.getLogger("logship.store")


class Merger:
    """Merges segments of one store. Belongs to one thread."""

    def __init__(self, directory: Path, superseded: Superseded, integrity: IntegrityCheck, chain: Chain) -> None:
        self._directory, self._superseded, self._integrity = directory, superseded, integrity
        self._chain = chain
        self._unmergeable: set[Segment] = set()

    def merge_once(self, database: duckdb.DuckDBPyConnection) -> bool:
        """Merge one group of segments; False if there is none. True means: call again."""
        group = mergeable(
            read_listing(self._directory).segments,
            lambda some: not self._unmergeable.intersection(some) and self._has_room(some),
        )
        if not group:
            return False
        # A damaged segment would pass its damage on under a new checksum.
        if [segment for segment in group if not self._integrity.is_sound(segment)]:
            return True
        if changed := tuple(segment for segment in group if not self._chain.matches(segment)):
            self._keep_evidence(changed)
            return True
        try:
            self._merge(database, group)
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            if not self._integrity.set_aside_unreadable(group):
                self._leave(group, error)
        return True

    def _merge(self, database: duckdb.DuckDBPyConnection, group: tuple[Segment, ...]) -> None:
        # Concatenated, not sorted: sorting millions of rows spills to disk, and segments hardly overlap in time.
        select = as_stored(self._directory / segment.name for segment in group)
        rows = sum(segment.rows for segment in group)
        span = group[0].first, group[-1].last
        announce = partial(self._chain.replacing, "merge", group)
        segment = write_segment(
            database, select, self._directory, span, parts=group, rows_wanted=rows, announce=announce
        )
        if segment is None:
            raise duckdb.DataError(f"the merged segment does not have the {rows} rows of its parts")
        self._integrity.note_checked(segment)
        for part in group:
            self._superseded.add(self._directory / part.name, self._directory / part.ids_name)

    def _keep_evidence(self, changed: tuple[Segment, ...]) -> None:
        """Set changed segments aside if one cannot be read; otherwise do not merge them."""
        if self._integrity.set_aside_unreadable(changed):
            return
        self._unmergeable.update(changed)
        for segment in changed:
            _logger.error("%s is not what was recorded; it is not merged", self._directory / segment.name)

    def _leave(self, group: tuple[Segment, ...], error: duckdb.Error) -> None:
        """Do not try to merge these segments again, unless the disk was the reason."""
        if is_of_the_disk(error):
            raise error
        self._unmergeable.update(group)
        stay = "%s: %s to %s cannot be merged and are kept unchanged: %s"
        _logger.error(stay, self._directory, group[0].name, group[-1].name, error)

    def _has_room(self, group: tuple[Segment, ...]) -> bool:
        """Whether the disk has room for the merged segment, and whether it is small enough for a query."""
        size = sum((self._directory / segment.name).stat().st_size for segment in group)
        free, floor = room(self._directory)
        return size <= MERGE_LIMIT_BYTES and size + floor < free


def mergeable(
    segments: tuple[Segment, ...], may: Callable[[tuple[Segment, ...]], bool] = lambda _: True
) -> tuple[Segment, ...]:
    """Return MERGE_SEGMENTS neighbours of similar size, the smallest first, or () if there are none.

    Sizes are compared by powers of ten of rows, so that each row is rewritten once for each power. `may`: whether a
    group may be merged."""
    magnitudes = [len(str(segment.rows)) for segment in segments]
    for magnitude in sorted(set(magnitudes)):
        for at in range(len(segments) - MERGE_SEGMENTS + 1):
            group = segments[at : at + MERGE_SEGMENTS]
            consecutive = all(left.last + 1 == right.first for left, right in itertools.pairwise(group))
            if (
                consecutive
                and max(magnitudes[at : at + MERGE_SEGMENTS]) == magnitude
                and sum(segment.rows for segment in group) <= MERGE_LIMIT_ROWS
                and may(group)
            ):
                return group
    return ()
