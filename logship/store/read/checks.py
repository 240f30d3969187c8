"""The checks of a reader: each segment is compared with its checksum before its first use.

That costs about 1.2 ms per MiB, once for each process. One query checks at most `CHECK_BYTES`, so the first query of a large
store reads some segments unchecked. The writer of the store checks all of them in the background."""

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path

from logship.search.query import SetAside
from logship.store import ids
from logship.store.damage import damage, damage_when_read
from logship.store.files import DAMAGED_LINES, Listing, Segment, log_name
from logship.store.lines import split
from logship.store.schema import connect

CHECK_BYTES = 512 * 2**20
_MEMORY_BYTES = 128 * 2**20


class Checks:
    """Which files are sound and which are damaged, as far as it is known. Any thread may use it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sound: set[Segment] = set()
        self._damaged: dict[Segment, str] = {}
        # By log: the number of damaged lines.
        self._lines: dict[int, int] = {}
        self._turn = threading.Lock()

    def known(self, listing: Listing) -> Listing:
        """Return the listing with the known damaged segments moved to `damaged`. Forgets files that were removed."""
        with self._turn:
            there = set(listing.segments)
            self._sound &= there
            self._damaged = {one: why for one, why in self._damaged.items() if one in there}
            self._lines = {log: lost for log, lost in self._lines.items() if log in listing.logs}
            bad = tuple(self._damaged)
        if not bad:
            return listing
        left = tuple(one for one in listing.segments if one not in bad)
        return Listing(left, listing.logs, listing.covered, (*listing.damaged, *bad))

    def sound(self, segment: Segment, budget: list[int]) -> bool:
        """Return whether a segment may be read. `budget`: bytes that this query may still check, counted down."""
        if segment in self._sound:
            return True
        if segment in self._damaged:
            return False
        size = (self._directory / segment.name).stat().st_size
        if size > budget[0]:
            return True
        budget[0] -= size
        return self._note(segment, damage(self._directory, segment))

    def see_log(self, number: int) -> None:
        """Count the damaged lines of a log when it is first read. Later lines are written by a running writer."""
        if number in self._lines:
            return
        data = (self._directory / log_name(number)).read_bytes()
        self._lines[number] = len(split(data[: data.rfind(b"\n") + 1])[1])

    def look_again(self, segments: Iterable[Segment]) -> bool:
        """Return whether one of these segments is damaged, after an error. Reads all of them."""
        found = False
        with contextlib.closing(connect(_MEMORY_BYTES, 1)) as database:
            for segment in segments:
                with contextlib.suppress(FileNotFoundError):
                    reason = damage_when_read(database, self._directory, segment)
                    found = not self._note(segment, reason) or found
        return found

    def set_aside(self, listing: Listing) -> list[SetAside]:
        """Return the damaged files that results leave out, as far as they are known."""
        listing = self.known(listing)
        found = [self._aside(segment) for segment in listing.damaged]
        kept = {int(match[1]): match[0] for path in self._directory.iterdir() if (match := DAMAGED_LINES.fullmatch(path.name))}
        for number, name in sorted(kept.items()):
            lost = (self._directory / name).read_bytes().count(b"\n")
            found.append(SetAside(name, f"{lost} damaged lines of {log_name(number)}", lost))
        for number, lost in sorted(self._lines.items()):
            if lost and number not in kept:  # else the writer took them out
                found.append(SetAside(log_name(number), f"{lost} of its lines are damaged", lost))
        return found

    def _note(self, segment: Segment, reason: str | None) -> bool:
        with self._turn:
            if reason is None:
                self._sound.add(segment)
            else:
                self._damaged[segment] = reason
        return reason is None

    def _aside(self, segment: Segment) -> SetAside:
        reason = self._damaged.get(segment)
        name = segment.bad_name if reason is None else segment.name
        lives = tuple(sorted(ids.read(self._directory, segment) or ()))
        why = reason or f"set aside; it was {segment.name}"
        return SetAside(name, why, segment.rows, segment.oldest_ns, segment.newest_ns, lives)
