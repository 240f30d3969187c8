"""Removing what retention does not keep: whole segments, oldest first, and parts of segments with implausible times."""

import contextlib
import logging
from functools import partial
from pathlib import Path

from logship.store.chain.writer import Chain
from logship.store.files import Segment, new_spill, read_listing
from logship.store.plausible import plausible
from logship.store.schema import as_stored, connect
from logship.store.write.parquet import MEMORY_LIMIT_BYTES, write_segment
from logship.store.write.retention import Retention
from logship.store.write.superseded import Superseded

_logger = logging.getLogger("logship.store")


class Remover:
    """Removes segments by retention; nothing else deletes events. Belongs to one thread."""

    def __init__(self, directory: Path, retention: Retention, superseded: Superseded, chain: Chain) -> None:
        self._directory, self._superseded, self._chain = directory, superseded, chain
        self.retention = retention
        # By segment: its newest plausible time.
        self._newest: dict[Segment, int | None] = {}

    def remove(self, now_ns: int) -> list[Segment]:
        """Remove segments that are too old or beyond the size limit, and return them."""
        before_ns, limit_bytes = self.retention.before_ns(now_ns), self.retention.most_bytes(self._directory)
        segments = read_listing(self._directory).segments
        self._newest = {segment: self._newest[segment] for segment in segments if segment in self._newest}
        left_bytes = sum(map(self._size, segments))
        removed: list[Segment] = []
        oldest = True
        for segment in segments:
            size = self._size(segment)
            old = before_ns is not None and self._is_old(segment, before_ns, now_ns)
            if not old and not (oldest and limit_bytes and left_bytes > limit_bytes):
                oldest = False
                continue
            if segment.rows or oldest:
                removed.append(segment)
            # The remaining log numbers must be consecutive: only the oldest segments can go, others become empty.
            if oldest:
                self._delete(segment)
            elif segment.rows:
                self._reduce(segment, "false")
            left_bytes -= size
        self._log_removed(removed, before_ns is not None, limit_bytes)
        return removed

    def _delete(self, segment: Segment) -> None:
        # Without the segment, the files that it superseded would count again.
        self._superseded.remove_all()
        self._chain.removing(segment)
        (self._directory / segment.name).unlink(missing_ok=True)
        (self._directory / segment.ids_name).unlink(missing_ok=True)

    def _log_removed(self, removed: list[Segment], by_age: bool, limit_bytes: int) -> None:
        events = sum(segment.rows for segment in removed)
        if not events:
            return
        limits = [f"{self.retention.days:g} days"] * by_age + [f"{limit_bytes // 2**20} MiB"] * bool(limit_bytes)
        gone = "%s: retention (%s) removed %d events in %d segments"
        _logger.warning(gone, self._directory, " and ".join(limits), events, len(removed))

    def _is_old(self, segment: Segment, before_ns: int, now_ns: int) -> bool:
        """Whether the whole segment is too old. If all but the events with implausible times are, only those are kept."""
        first_ns, last_ns = plausible(now_ns)
        if not segment.rows or (first_ns <= segment.oldest_ns and segment.newest_ns <= last_ns):
            return segment.newest_ns < before_ns
        times = f'"@timestamp" BETWEEN make_timestamp_ns({first_ns}) AND make_timestamp_ns({last_ns})'
        newest_ns = self._newest_plausible(segment, times)
        if newest_ns is not None and newest_ns >= before_ns:
            return False
        if (self._directory / segment.name).stat().st_mtime_ns < before_ns:
            return True
        if newest_ns is not None:
            self._reduce(segment, f'NOT ({times}) OR "@timestamp" >= make_timestamp_ns({before_ns})')
        return False

    def _newest_plausible(self, segment: Segment, times: str) -> int | None:
        if segment not in self._newest:
            with contextlib.closing(connect(MEMORY_LIMIT_BYTES, 1)) as database:
                newest = f'SELECT epoch_ns(max("@timestamp")) FROM read_parquet(?) WHERE {times}'  # noqa: S608
                self._newest[segment] = database.execute(newest, [str(self._directory / segment.name)]).fetchall()[0][0]
        return self._newest[segment]

    def _reduce(self, segment: Segment, where: str) -> None:
        """Replace a segment by one with the rows for which the condition `where` holds.

        Nothing is done if it has to keep rows and is not what was recorded."""
        if where != "false" and not self._chain.matches(segment):
            _logger.error("%s is not what was recorded; retention does not reduce it", self._directory / segment.name)
            return
        announce = partial(self._chain.replacing, "reduce", [segment])
        kept = f"SELECT * FROM ({as_stored([self._directory / segment.name])}) WHERE {where}"  # noqa: S608
        with contextlib.closing(connect(MEMORY_LIMIT_BYTES, 1, new_spill(self._directory))) as database:
            reduced = write_segment(database, kept, self._directory, (segment.first, segment.last), announce=announce)
        (self._directory / segment.name).unlink(missing_ok=True)
        (self._directory / segment.ids_name).unlink(missing_ok=True)
        if where != "false":
            rows = reduced.rows if reduced else 0
            part = "%s: retention removed %d events of %s; %d with implausible times are kept"
            _logger.warning(part, self._directory, segment.rows - rows, segment.name, rows)

    def _size(self, segment: Segment) -> int:
        return (self._directory / segment.name).stat().st_size
