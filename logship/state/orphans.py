"""Orphans: journals whose owner is gone. The process that takes the lock ships the rest, reports the end, removes the directory.

An adopter locks first and then checks again that the directory is still there: two processes may have seen the same orphan.
Only directories that belong to this user and that nobody else may write are adopted, and only regular files in them are
opened. What cannot be read is counted in the report of the end, and the segments that hold it are set aside
(`state/aside.py`).
"""

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from logship.errors import JournalUnreadable
from logship.event import build, entry
from logship.event.fields import DROP_REASONS
from logship.state import aside, home, identity, inflight, journal_directory, locks, metric_totals, segment
from logship.state.end_report import End, events_text
from logship.state.identity import Cell, Facts, counted, drop_cell, mark_of, move_mark
from logship.state.inflight import Running
from logship.state.segment import Content, Gap

READ_RECORDS = 500
# `event.id` has room for twelve digits; a higher sequence is a damaged cell.
MOST_EVENTS = 10**12 - 1
_STATE_LIMIT = drop_cell("state_limit")
# The events that remove a request from the in-flight table, a moment later.
ENDS = frozenset({"http-request", "ws-close"})
CLOSED = "worker-closed"


@dataclass(slots=True)
class _Tail:
    """What the last records of a journal say.

    `ended`: the span ids of requests whose end is written; `sequence`, `time_ns`: the highest; `closing`: the fields of
    the event of an orderly end, None without one; `newest`: the fields of the last event."""

    ended: set[str] = field(default_factory=set)
    sequence: int = 0
    time_ns: int = 0
    closing: Mapping[str, object] | None = None
    newest: Mapping[str, object] = field(default_factory=dict)


class Orphan:
    """A journal that this process has adopted: its entries in order from the acknowledged mark on, and its end."""

    def __init__(self, directory: Path) -> None:
        """Read the journal at `directory`, whose lock this process holds. JournalUnreadable for another version's."""
        self.directory = directory
        self.snapshot = identity.read(directory)
        self.cells = identity.reopen(directory)
        self._gaps: dict[int, list[Gap]] = {}
        self._all_read = False
        if not self.cells[Cell.ADOPTED_FROM]:
            self.cells[Cell.ADOPTED_FROM] = 1 + mark_of(self.cells)

    @property
    def facts(self) -> Facts:
        """Who wrote the journal; empty if its facts are damaged."""
        return self.snapshot.facts

    def pending(self) -> Iterator[tuple[list[bytes], int]]:
        """Yield (entries, mark): at most 500 unacknowledged entries in order, and the mark to pass to `advance` afterwards.

        The entries of one batch are contiguous: a batch ends before a record that cannot be read."""
        mark = mark_of(self.cells)
        # Unreadable records count from where the first adopter began: this may be the second one.
        begin = min(mark, max(0, self.cells[Cell.ADOPTED_FROM] - 1))
        self._gaps = {}
        for number in segment.numbers(self.directory):
            if number < begin >> 32:
                continue
            content = self._content(number)
            self._gaps[number] = [gap for gap in content.gaps if number << 32 | (gap.first + gap.events) > begin]
            if number < mark >> 32:
                continue
            at = mark & 0xFFFFFFFF if number == mark >> 32 else 0
            while at < len(content.records):
                batch = _contiguous(content.records, at)
                at += len(batch) or 1
                if batch:
                    yield batch, number << 32 | at
        self._all_read = True

    def _content(self, number: int) -> Content:
        """Return the records of a segment; a segment that cannot be read at all is one gap."""
        path = self.directory / segment.file_name(number)
        try:
            return segment.scan(path)
        except JournalUnreadable:
            return Content([], [Gap(0, 0, min(path.lstat().st_size, segment.SIZE_BYTES) or 1)])
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return Content([], [Gap(0, 0, segment.SIZE_BYTES)])

    def unreadable(self) -> tuple[int, int]:
        """Return (events, bytes) that were not acknowledged and cannot be read."""
        if not self._all_read:
            for _ in self.pending():
                pass
        gaps = [gap for of_segment in self._gaps.values() for gap in of_segment]
        return (
            counted(self.cells, Cell.UNREADABLE_EVENTS) + sum(gap.events for gap in gaps),
            counted(self.cells, Cell.UNREADABLE_BYTES) + sum(gap.size_bytes for gap in gaps),
        )

    def advance(self, mark: int, events: int) -> None:
        """Move the acknowledged mark to `mark`, past `events` acknowledged entries."""
        move_mark(self.cells, mark)
        self.cells[Cell.ACKNOWLEDGED] += events

    def refuse(self) -> None:
        """Count one event that the agent refused; it is lost."""
        self.cells[drop_cell("refused")] += 1

    def give_up(self) -> int:
        """Remove the segments, count their pending events as dropped, and return how many events are lost.

        The tables stay, so that the adopter of the rest reports the end and the loss. Events are counted before they are
        removed: a kill in between leaves a reported loss that did not happen, not an unreported one that did."""
        lost = 0
        for entries, mark in self.pending():
            lost += len(entries)
            self.cells[_STATE_LIMIT] += len(entries)
            move_mark(self.cells, mark)
        self.cells[Cell.UNREADABLE_EVENTS], self.cells[Cell.UNREADABLE_BYTES] = self.unreadable()
        self._gaps = {}
        for number in segment.numbers(self.directory):
            (self.directory / segment.file_name(number)).unlink(missing_ok=True)
        return lost

    def end(self) -> End:
        """Return what to report. A request whose end event is in the journal is not in flight: the kill came in between."""
        tail = self._tail()
        cells = self.cells
        claimed = counted(cells, Cell.SEQUENCE)
        facts = _recovered(self.facts, tail.newest) if self.snapshot.damaged else self.facts
        dropped = identity.dropped(cells)
        unreadable_events, unreadable_bytes = self.unreadable()
        # The closing event counts only if it can be read, whatever the table says.
        reported = None if tail.closing is None else _dropped_in(tail.closing)
        return End(
            incarnation=self.snapshot.incarnation,
            facts=facts,
            slot=self.snapshot.slot,
            generation=counted(cells, Cell.GENERATION),
            sequence=max(claimed if claimed < MOST_EVENTS else 0, tail.sequence),
            alive_ns=max(min(cells[Cell.ALIVE_NS], time.time_ns()), tail.time_ns, facts.started_ns),
            closing=cells[Cell.CLOSING] > 0,
            reported=reported == dropped and not unreadable_bytes,
            in_flight=tuple(request for request in self._running() if request.span not in tail.ended),
            in_flight_overflow=counted(cells, Cell.IN_FLIGHT_OVERFLOW),
            dropped=dropped,
            acknowledged=counted(cells, Cell.ACKNOWLEDGED),
            probes=counted(cells, Cell.PROBES),
            sampled_out=counted(cells, Cell.SAMPLED_OUT),
            unreadable_events=unreadable_events,
            unreadable_bytes=unreadable_bytes,
        )

    def _running(self) -> list[Running]:
        try:
            return inflight.read(self.directory)
        except JournalUnreadable:
            return []

    def _tail(self) -> _Tail:
        """Read the last two segments that hold any record."""
        tail = _Tail()
        segments = 0
        for number in reversed(segment.numbers(self.directory)):  # segments prepared ahead are empty
            records = [record for record in self._content(number).records if record is not None]
            segments += bool(records)
            if segments > 2:
                break
            for record in records:
                _note(tail, record)
        return tail

    def set_aside(self) -> str:
        """Move the segments with unreadable records out of the journal; return a sentence about them, "" if there are none."""
        events, size_bytes = self.unreadable()
        if not size_bytes:
            return ""
        folder = home.home_of(self.directory).unreadable
        kept = []
        for number in [number for number, gaps in self._gaps.items() if gaps]:
            name = segment.file_name(number)
            try:
                kept.append(str(aside.move(folder, f"{self.snapshot.incarnation}-{name}", self.directory / name)))
            except OSError as error:
                kept.append(f"{name} could not be kept: {error.strerror}")
        return f"{events_text(events)} ({size_bytes} bytes) could not be read; set aside: {', '.join(kept) or 'nothing'}"

    def remove(self) -> None:
        """Remove the directory and free its lock. Call this when everything is shipped, reported or set aside."""
        with contextlib.suppress(OSError):
            metric_totals.note_adopted(home.home_of(self.directory), self.snapshot.incarnation, self.cells)
        journal_directory.remove(self.directory)
        locks.release(self.directory / "lock")

    def release(self) -> None:
        """Free the lock, so that another process may adopt the journal."""
        locks.release(self.directory / "lock")


def adopt(directory: Path) -> Orphan | None:
    """Take over the journal at `directory`. None if its owner is alive or the journal is gone.

    JournalUnreadable if it cannot be adopted; it is then not changed. StateUnusable if others may write the state
    directory."""
    lock = directory / "lock"
    home.home_of(directory).check()
    if not home.is_ours(directory):
        if not os.path.lexists(directory):
            return None
        raise JournalUnreadable(f"{directory} is not a directory that only this user may write; it is not adopted")
    if not lock.exists() or not locks.hold(lock):
        return None
    if not locks.still_there(lock):
        locks.release(lock)
        return None
    try:
        return Orphan(directory)
    except (JournalUnreadable, OSError):
        locks.release(lock)
        raise


def _contiguous(records: list[bytes | None], at: int) -> list[bytes]:
    """Return at most 500 records from place `at` on, up to the first that cannot be read."""
    batch = []
    for record in records[at : at + READ_RECORDS]:
        if record is None:
            break
        batch.append(record)
    return batch


def _note(tail: _Tail, record: bytes) -> None:
    """Add one record to the tail. A record that is not an entry says nothing, although its checksum is right."""
    try:
        time_ns, fields = entry.unpack(record)
    except ValueError:
        return
    action, sequence = fields.get("event.action"), fields.get("event.sequence", 0)
    if action in ENDS:  # events that the application logs during the request have its span as well
        tail.ended.add(fields.get("span.id", ""))
    if action == CLOSED and fields.get("event.dataset") == build.WORKER:
        tail.closing = fields
    if sequence > tail.sequence:
        tail.sequence, tail.newest = sequence, fields
    tail.time_ns = max(tail.time_ns, time_ns)


def _dropped_in(fields: Mapping[str, object]) -> dict[str, object]:
    return {reason: fields.get(f"logship.dropped.{reason}", 0) for reason in DROP_REASONS}


def _recovered(facts: Facts, fields: Mapping[str, object]) -> Facts:
    """Return damaged facts completed from the fields of the newest event."""
    named = {"service": "service.name", "version": "service.version", "environment": "service.environment", "host": "host.name"}
    texts = {name: str(fields.get(key, "")) for name, key in named.items()}
    pid, supervisor = fields.get("process.pid"), fields.get("process.parent.pid")
    return replace(
        facts,
        **texts,  # type: ignore[arg-type]
        pid=pid if isinstance(pid, int) else 0,
        supervisor=supervisor if isinstance(supervisor, int) else 0,
    )
