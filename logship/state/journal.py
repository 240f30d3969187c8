"""The journal of one incarnation: queue, spool and black box at once.

    <24 hex>/lock              held by the owner, or by who has adopted the journal
    <24 hex>/identity          `state/identity.py`
    <24 hex>/inflight          `state/inflight.py`
    <24 hex>/00000001.segment  `state/segment.py`, ascending; the highest number is being written

The request path appends: it copies bytes into a mapping and publishes them by one store; it makes no system call but
one wake-up a segment. The shipping thread prepares segments, reads entries in order, and moves the acknowledged mark.
"""

import asyncio
import os
import secrets
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

from logship.event.entry import ID_KEY, SEQUENCE_KEY
from logship.state import locks, segment
from logship.state.identity import DROP_REASONS, Cell, Facts, Identity
from logship.state.inflight import InFlight
from logship.state.segment import DATA_BYTES, INDEX_COUNT, Segment

# Heartbeats every 10 s of about 1 KB: ten minutes of them fit when nothing else does any more.
RESERVE_BYTES = 64 * 1024
AHEAD = 2
# A thread that serves no event loop waits this long at most, once, for a segment that the shipping thread is making:
# a tight loop of log calls can outrun the two that lie ready, because both threads share one interpreter lock.
PATIENCE_MILLISECONDS = 20

_running_loop = asyncio._get_running_loop
_crc = zlib.crc32
_DROP_CELL = {reason: Cell.DROPPED + place for place, reason in enumerate(DROP_REASONS)}


class Journal:
    """Appends are safe from any thread, signal handler and finaliser; everything else belongs to the shipping thread."""

    __slots__ = (
        "_acquire",
        "_busy",
        "_current",
        "_id_key",
        "_lock",
        "_ready",
        "_release",
        "_room",
        "_segments",
        "_sequence",
        "_side",
        "_stalled",
        "cells",
        "directory",
        "identity",
        "incarnation",
        "inflight",
        "limit_segments",
        "made",
        "wake",
    )

    def __init__(self, home: Path | None, facts: Facts, limit_bytes: int) -> None:
        """Make a new incarnation under the journals directory `home`, or in memory. OSError if the disk is full."""
        self.incarnation = secrets.token_hex(12)
        self.directory: Path | None = None
        making = None if home is None else home / f".{self.incarnation}"
        if making is not None:
            making.mkdir(mode=0o700)
            if not locks.hold(making / "lock"):
                raise OSError(f"{making / 'lock'} cannot be locked")
        try:
            self.identity = Identity(self.incarnation, facts, making and making / "identity")
            self.inflight = InFlight(making and making / "inflight")
            self._current = Segment(1, making and making / segment.file_name(1))
        except OSError:
            if making is not None:
                remove(making)
                locks.release(making / "lock")
            raise
        self.cells = self.identity.cells
        self.limit(limit_bytes)
        self._lock = threading.RLock()
        self._acquire = self._lock.acquire
        self._release = self._lock.release
        self._busy = False
        self._side: deque[tuple[tuple[bytes, ...], bool]] = deque()
        self._id_key = ID_KEY + self.incarnation.encode() + b"-"
        self._sequence = 0
        self._ready: deque[Segment] = deque()
        self.made = 1
        self._segments = deque([self._current])
        self._room = DATA_BYTES
        self._stalled = False
        self.wake: Callable[[], object] = int
        if making is not None and home is not None:
            self.directory = home / self.incarnation
            making.rename(self.directory)
            locks.renamed(making / "lock", self.directory / "lock")
            self._current.path = self.directory / segment.file_name(1)

    def limit(self, limit_bytes: int) -> None:
        """Set how much the journal may hold from now on. What it holds already stays."""
        self.limit_segments = max(2, limit_bytes // segment.SIZE_BYTES)

    # The request path.

    def append(self, parts: tuple[bytes, ...], reserved: bool = False) -> bool:
        """Keep one entry: `parts` end to end, and the stamp behind them. False: refused, and counted.

        The next sequence is taken and the entry published (or counted as dropped) under one lock. A call from inside
        another (signal handler, finaliser) is kept aside and written before that one returns: then True means accepted."""
        while True:
            self._acquire()
            if self._busy:
                self._side.append((parts, reserved))
                self._release()
                return True
            self._busy = True
            current = self._current
            number = self._sequence + 1
            end = 0
            try:
                record = b"".join(parts + (SEQUENCE_KEY, number.to_bytes(8, "big"), self._id_key, b"%012d" % number))  # noqa: RUF005  unpacking takes a fifth longer
                at = current.position
                end = at + len(record)
                kept: bool | None
                count = current.count
                if end <= self._room and count < INDEX_COUNT:
                    current.view[at:end] = record
                    self._sequence = number
                    current.index[count] = _crc(record) << 32 | end
                    current.position = end
                    current.count = count + 1
                    self.cells[0] = number
                    kept = True
                else:
                    kept = self._place(record, reserved)
                self._busy = False
                while self._side:
                    self._busy = True
                    self._drain()
                    self._busy = False
            except BaseException:
                self._mend(current, number, end)
                raise
            finally:
                self._busy = False
                self._release()
            if kept is not None:
                return kept
            self._wait_for_segment()

    def _drain(self) -> None:
        while self._side:
            parts, reserved = self._side.popleft()
            number = self._sequence + 1
            record = b"".join((*parts, SEQUENCE_KEY, number.to_bytes(8, "big"), self._id_key, b"%012d" % number))
            self._place(record, reserved, may_wait=False)

    def _mend(self, current: Segment, number: int, end: int) -> None:
        """An exception came in the middle (a signal handler's): what is published counts, the rest never was."""
        before = current.count
        current.recount()
        if current.count == before and current.position != end and self._sequence == number:
            self._sequence = number - 1

    def _wait_for_segment(self) -> None:
        for _ in range(PATIENCE_MILLISECONDS):
            if self._ready:
                return
            time.sleep(0.001)
        self._stalled = True

    def _place(self, record: bytes, reserved: bool, may_wait: bool = True) -> bool | None:
        """Publish or count a record that does not simply fit; None if the caller should wait for a segment and come again."""
        number = self._sequence + 1
        current = self._current
        end = current.position + len(record)
        if end > (DATA_BYTES if reserved else self._room) or current.count == INDEX_COUNT:
            reason = self._rotate(len(record))
            if reason:
                if reason == "segment_late" and may_wait and not (reserved or self._stalled or _running_loop()):
                    return None
                self.cells[_DROP_CELL[reason]] += 1
                self._sequence = self.cells[Cell.SEQUENCE] = number
                return False
            current = self._current
            end = len(record)
        current.view[end - len(record) : end] = record
        self._sequence = number
        current.index[current.count] = _crc(record) << 32 | end
        current.position = end
        current.count += 1
        self.cells[Cell.SEQUENCE] = number
        return True

    def _rotate(self, size_bytes: int) -> str:
        """Make the next prepared segment the current one; otherwise the reason why there is none."""
        if size_bytes > DATA_BYTES - RESERVE_BYTES:
            return "internal_error"
        if len(self._segments) >= self.limit_segments:
            return "journal_full"
        try:
            fresh = self._ready.popleft()
        except IndexError:
            self.wake()
            return "segment_late"
        self._segments.append(fresh)
        self._current = fresh
        self._room = DATA_BYTES - RESERVE_BYTES if len(self._segments) >= self.limit_segments else DATA_BYTES
        self.wake()
        return ""

    def drop(self, reason: str, events: int = 1) -> None:
        """Count events that were never given to the journal or left it unshipped, without a sequence of their own."""
        with self._lock:
            self.cells[_DROP_CELL[reason]] += events

    def refuse(self, reason: str) -> None:
        """Count an event that could not be made: it takes a sequence, so that it is not lost silently."""
        with self._lock:
            if not self._busy:
                self.cells[_DROP_CELL[reason]] += 1
                self._sequence = self.cells[Cell.SEQUENCE] = self._sequence + 1

    def locked(self) -> threading.RLock:
        """The lock of the append: who holds it reads counters that cover exactly the sequences so far."""
        return self._lock

    # The shipping thread.

    def _make(self) -> Segment:
        number = self.made + 1
        path = None if self.directory is None else self.directory / segment.file_name(number)
        fresh = Segment(number, path)
        self.made = number
        return fresh

    def prepare(self) -> None:
        """Have two segments ready, within the limit. OSError if the disk is full: the caller says so and tries again."""
        while len(self._ready) < AHEAD and len(self._segments) + len(self._ready) < self.limit_segments:
            self._ready.append(self._make())
            self._stalled = False
        if len(self._segments) < self.limit_segments:
            self._room = DATA_BYTES

    def is_current(self, part: Segment) -> bool:
        """Whether `part` is the one being written."""
        return part is self._current

    def segment_after(self, number: int) -> Segment | None:
        """The oldest segment with a higher number than `number`, or None."""
        for candidate in list(self._segments):
            if candidate.number > number:
                return candidate
        return None

    def acknowledge(self, at: Segment, count: int, events: int) -> None:
        """Move the mark: everything up to the first `count` records of `at` is acknowledged. Frees what is behind it."""
        self.cells[Cell.MARK] = at.number << 32 | count
        self.cells[Cell.ACKNOWLEDGED] += events
        while self._segments[0] is not self._current and self._segments[0].number < at.number:
            self._segments.popleft().remove()
        if at is not self._current and count >= at.count and self._segments[0] is at:
            self._segments.popleft().remove()

    def written(self) -> int:
        """The mark that `acknowledge` reaches when everything appended by now is acknowledged."""
        last = self._current
        return last.number << 32 | last.count if last.count else 0

    def backlog_bytes(self) -> int:
        """Bytes of entries that are not acknowledged yet."""
        mark = self.cells[Cell.MARK]
        parts = [part for part in list(self._segments) if part.number >= mark >> 32]
        done = parts[0].end((mark & 0xFFFFFFFF) - 1) if parts and parts[0].number == mark >> 32 else 0
        return sum(part.position for part in parts) - done

    def pending_events(self) -> int:
        """Events in the journal that are not acknowledged yet."""
        mark = self.cells[Cell.MARK]
        parts = [part for part in list(self._segments) if part.number >= mark >> 32]
        done = mark & 0xFFFFFFFF if parts and parts[0].number == mark >> 32 else 0
        return sum(part.count for part in parts) - done


def remove(directory: Path) -> None:
    """Remove a journal's directory: the name first (under a dot, so that no reader takes half of it for a journal)."""
    doomed = directory.with_name(f".{directory.name}.gone")
    try:
        directory.rename(doomed)
    except OSError:
        return
    for name in os.listdir(doomed):
        (doomed / name).unlink(missing_ok=True)
    doomed.rmdir()
