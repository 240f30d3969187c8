"""Looking up ids in the filters of segments, which are too large to keep in memory."""

import mmap
import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from logship.store import ids, needles
from logship.store.files import Segment
from logship.store.needles import Span

_KNOWN_SEGMENTS = 10_000


class _Verified(NamedTuple):
    """A `.ids` file whose checksum is right: which file it is, and where its filters begin."""

    identity: tuple[int, int]
    at: int


class FilterLookup:
    """The filters of the store in `directory`. Any thread may use it.

    The checksum of each is verified before its first use. A lookup then reads some bytes of each piece."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._verified: dict[Segment, _Verified] = {}

    def spans(self, segment: Segment, wanted: Collection[str]) -> list[Span] | None:
        """Return the positions of rows that may have one of these ids; None if the segment has no filters."""
        known = self._verified.get(segment)
        try:
            if known is None:
                return self._first(segment, wanted)
            with (self._directory / segment.ids_name).open("rb") as file:
                if _identity(file.fileno()) != known.identity:
                    return self._first(segment, wanted)
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as filters:
                    return needles.spans(filters, wanted, known.at)
        except (OSError, ValueError):  # removed since it was listed; nothing that passed its checksum is invalid
            return None

    def _first(self, segment: Segment, wanted: Collection[str]) -> list[Span] | None:
        with (self._directory / segment.ids_name).open("rb") as file:
            identity = _identity(file.fileno())
        found = ids.read_filters(self._directory, segment)
        if found is None:
            return None
        spans = needles.spans(found[0], wanted)
        if len(self._verified) >= _KNOWN_SEGMENTS:
            self._verified.clear()
        self._verified[segment] = _Verified(identity, found[1])
        return spans


def _identity(handle: int) -> tuple[int, int]:
    # A file that is rebuilt is another one under the same name.
    status = os.fstat(handle)
    return status.st_ino, status.st_mtime_ns
