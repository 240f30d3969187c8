"""The background check of segments against their checksums. Damaged segments are set aside, never deleted."""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from logship.store.damage import damage, damage_when_read, set_aside
from logship.store.files import Segment, new_spill, read_listing
from logship.store.schema import connect
from logship.store.write.parquet import MEMORY_LIMIT_BYTES
from logship.store.write.superseded import Superseded

# Read in one round: a quarter of a second.
CHECK_BYTES = 256 * 2**20
# Each segment is checked after the store is opened and then once a day.
CHECK_EVERY_SECONDS = 86_400.0

_logger = logging.getLogger("logship.store")


class IntegrityCheck:
    """Checks segments and sets damaged ones aside. Both background threads note new segments, one checks."""

    def __init__(self, directory: Path, superseded: Superseded) -> None:
        self._directory, self._superseded = directory, superseded
        self._next_check: dict[Segment, float] = {}

    def note_checked(self, segment: Segment) -> None:
        """Schedule the next check of a segment that was written or checked now."""
        self._next_check[segment] = time.monotonic() + CHECK_EVERY_SECONDS

    def forget(self) -> None:
        """Check every segment again in the next rounds."""
        self._next_check.clear()

    def check_some(self, stopping: Callable[[], bool]) -> None:
        """Check the segments that are due, newest first, up to CHECK_BYTES."""
        segments, left_bytes = read_listing(self._directory).segments, CHECK_BYTES
        self._next_check = {segment: self._next_check[segment] for segment in segments if segment in self._next_check}
        for segment in reversed(segments):
            if time.monotonic() < self._next_check.get(segment, 0.0) or left_bytes <= 0 or stopping():
                continue
            left_bytes -= (self._directory / segment.name).stat().st_size
            self.is_sound(segment)

    def is_sound(self, segment: Segment) -> bool:
        """Return whether a segment matches its checksum; otherwise it is set aside."""
        if reason := damage(self._directory, segment):
            self._set_aside(segment, reason)
            return False
        self.note_checked(segment)
        return True

    def set_aside_unreadable(self, group: tuple[Segment, ...]) -> bool:
        """Set the segments aside that cannot be decoded, and return whether there are any."""
        any_damaged = False
        for segment in group:
            # A new database for each: an error inside DuckDB can make one unusable.
            with contextlib.closing(connect(MEMORY_LIMIT_BYTES, 1, new_spill(self._directory))) as database:
                if reason := damage_when_read(database, self._directory, segment):
                    self._set_aside(segment, reason)
                    any_damaged = True
        return any_damaged

    def _set_aside(self, segment: Segment, reason: str) -> None:
        self._superseded.keep(segment)
        _logger.error("%s", set_aside(self._directory, segment, reason))
