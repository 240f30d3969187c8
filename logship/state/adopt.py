"""Orphans: journals whose owner is gone. Whoever takes the lock ships the rest, reports the end, removes the directory.

An adopter locks first and then looks again whether the directory is still there: two may have seen the same orphan.
Only directories of our own user that nobody else may write are adopted, and only regular files in them are opened. What
cannot be read is counted in the report of the end, and the segments that hold it are set aside (`state/aside.py`).
"""

import errno
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from logship.errors import JournalUnreadable, StateUnusable
from logship.event import build, entry
from logship.event.fields import DROP_REASONS
from logship.state import aside, home, identity, inflight, journal, locks, processes, segment
from logship.state.identity import Cell, Facts, counted, drop_cell, mark_of, move_mark
from logship.state.inflight import Running
from logship.state.segment import Content, Gap

READ_RECORDS = 500
# `event.id` has room for twelve digits; a higher sequence is a damaged cell.
MOST_EVENTS = 10**12 - 1
_STATE_LIMIT = drop_cell("state_limit")
# What clears a cell of the in-flight table, a moment later.
ENDS = frozenset({"http-request", "ws-close"})
GOODBYE = "worker-closed"


@dataclass(frozen=True, slots=True)
class End:
    """What a dead incarnation left behind, for its report.

    `reported`: its own goodbye is in the journal and tells of every loss. `unreadable_events`, `unreadable_bytes`: what was
    in the journal, not acknowledged, and cannot be read."""

    incarnation: str
    facts: Facts
    slot: int | None
    generation: int
    sequence: int
    alive_ns: int
    closing: bool
    reported: bool
    in_flight: tuple[Running, ...]
    in_flight_overflow: int
    dropped: dict[str, int]
    acknowledged: int
    probes: int
    sampled_out: int
    unreadable_events: int = 0
    unreadable_bytes: int = 0


@dataclass(slots=True)
class _Written:
    """What the last records of a journal tell: `spans` whose end is written, and the fields of a goodbye and of the newest."""

    spans: set[str] = field(default_factory=set)
    sequence: int = 0
    time_ns: int = 0
    goodbye: Mapping[str, object] | None = None
    newest: Mapping[str, object] = field(default_factory=dict)


class Orphan:
    """A journal that we have adopted: its entries in order from the acknowledged mark, and its end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.snapshot = identity.read(directory)
        self.cells = identity.reopen(directory)
        self._gaps: dict[int, list[Gap]] = {}
        self._all_read = False
        if not self.cells[Cell.ADOPTED_FROM]:
            self.cells[Cell.ADOPTED_FROM] = 1 + mark_of(self.cells)

    @property
    def facts(self) -> Facts:
        return self.snapshot.facts

    def pending(self) -> Iterator[tuple[list[bytes], int]]:
        """Yield (entries, mark): at most 500 unacknowledged entries in order, and the mark that `advance` takes after.

        The entries of one batch lie side by side: a batch ends before a record that cannot be read."""
        mark = mark_of(self.cells)
        # What cannot be read counts from where the first adopter began: this one may be the second.
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
                some = _together(content.records, at)
                at += len(some) or 1
                if some:
                    yield some, number << 32 | at
        self._all_read = True

    def _content(self, number: int) -> Content:
        """A segment's records; one that cannot be read at all is one gap."""
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
        """(events, bytes) that were not acknowledged and cannot be read."""
        if not self._all_read:
            for _ in self.pending():
                pass
        gaps = [gap for some in self._gaps.values() for gap in some]
        return (
            counted(self.cells, Cell.UNREADABLE_EVENTS) + sum(gap.events for gap in gaps),
            counted(self.cells, Cell.UNREADABLE_BYTES) + sum(gap.size_bytes for gap in gaps),
        )

    def advance(self, mark: int, events: int) -> None:
        """Move the mark over `events` entries that are acknowledged."""
        move_mark(self.cells, mark)
        self.cells[Cell.ACKNOWLEDGED] += events

    def refuse(self) -> None:
        """Count one event that the agent will not have; it is lost."""
        self.cells[drop_cell("refused")] += 1

    def give_up(self) -> int:
        """Remove the segments and count what was pending as dropped for the total limit. Returns how many events are lost.

        The tables stay, so that whoever adopts the rest reports the end and the loss. Counted first: a kill in between
        leaves a loss that is told and did not happen, not one that happened and is not told."""
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
        """What to report. Requests whose end event is in the journal are not in flight: the kill came in between."""
        written = self._written()
        cells = self.cells
        claimed = counted(cells, Cell.SEQUENCE)
        facts = _recovered(self.facts, written.newest) if self.snapshot.damaged else self.facts
        dropped = identity.dropped(cells)
        unreadable_events, unreadable_bytes = self.unreadable()
        # The goodbye counts when it is there to be read, not because somebody meant to write it.
        told = None if written.goodbye is None else _dropped_in(written.goodbye)
        return End(
            incarnation=self.snapshot.incarnation,
            facts=facts,
            slot=self.snapshot.slot,
            generation=counted(cells, Cell.GENERATION),
            sequence=max(claimed if claimed < MOST_EVENTS else 0, written.sequence),
            alive_ns=max(min(cells[Cell.ALIVE_NS], time.time_ns()), written.time_ns, facts.started_ns),
            closing=cells[Cell.CLOSING] > 0,
            reported=told == dropped and not unreadable_bytes,
            in_flight=tuple(one for one in self._running() if one.span not in written.spans),
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

    def _written(self) -> _Written:
        """What the last two segments that hold anything tell."""
        found = _Written()
        held = 0
        for number in reversed(segment.numbers(self.directory)):  # those prepared ahead are empty
            records = [record for record in self._content(number).records if record is not None]
            held += bool(records)
            if held > 2:
                break
            for record in records:
                time_ns, fields = _unpacked(record)
                action, sequence = fields.get("event.action"), fields.get("event.sequence", 0)
                if action in ENDS:  # what the application logs on the way has the span as well
                    found.spans.add(fields.get("span.id", ""))
                if action == GOODBYE and fields.get("event.dataset") == build.WORKER:
                    found.goodbye = fields
                if sequence > found.sequence:
                    found.sequence, found.newest = sequence, fields
                found.time_ns = max(found.time_ns, time_ns)
        return found

    def set_aside(self) -> str:
        """Keep the segments that hold something unreadable, and say in a sentence what became of them; "" if there are none."""
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
        return f"{_so_many(events)} ({size_bytes} bytes) could not be read; set aside: {', '.join(kept) or 'nothing'}"

    def remove(self) -> None:
        """Remove the directory and free its lock: everything is shipped, reported or set aside."""
        journal.remove(self.directory)
        locks.release(self.directory / "lock")

    def release(self) -> None:
        """Leave the journal to another adopter."""
        locks.release(self.directory / "lock")


def _together(records: list[bytes | None], at: int) -> list[bytes]:
    """At most 500 records from place `at` on, up to the first that cannot be read."""
    some = []
    for record in records[at : at + READ_RECORDS]:
        if record is None:
            break
        some.append(record)
    return some


def _unpacked(record: bytes) -> tuple[int, dict[str, Any]]:
    """(time in ns, fields) of an entry; nothing of one that is no entry of ours, though its checksum is right."""
    try:
        return entry.unpack(record)
    except ValueError:
        return 0, {}


def _dropped_in(fields: Mapping[str, object]) -> dict[str, object]:
    return {reason: fields.get(f"logship.dropped.{reason}", 0) for reason in DROP_REASONS}


def _recovered(facts: Facts, fields: Mapping[str, object]) -> Facts:
    """Damaged facts as far as the newest event tells them."""
    named = {"service": "service.name", "version": "service.version", "environment": "service.environment", "host": "host.name"}
    texts = {name: str(fields.get(key, "")) for name, key in named.items()}
    pid, supervisor = fields.get("process.pid"), fields.get("process.parent.pid")
    return replace(
        facts,
        **texts,  # type: ignore[arg-type]
        pid=pid if isinstance(pid, int) else 0,
        supervisor=supervisor if isinstance(supervisor, int) else 0,
    )


def adopt(directory: Path) -> Orphan | None:
    """Take over the journal at `directory`; None if its owner lives or it is gone. JournalUnreadable: kept as it is.

    StateUnusable if others may write the state directory."""
    lock = directory / "lock"
    home.home_of(directory).check()
    if not home.is_ours(directory):
        if not os.path.lexists(directory):
            return None
        raise JournalUnreadable(f"{directory} is not a directory that only this user may write; it is left alone")
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


def known(directory: Path) -> Facts:
    """The facts of the journal at `directory`, to decide who adopts it. JournalUnreadable if they are damaged."""
    snapshot = identity.read(directory)
    if snapshot.damaged:
        raise JournalUnreadable(
            f"{directory / 'identity'} does not say whose it is or what its agent was (its checksum is wrong); "
            "to store its events: logship up --adopt"
        )
    return snapshot.facts


def owner(directory: Path) -> int | None:
    """The pid that owns the journal at `directory`, or None for an orphan."""
    return locks.holder(directory / "lock")


@dataclass(frozen=True, slots=True)
class Found:
    """A journal under a state directory: its table and whether its owner lives."""

    directory: Path
    snapshot: identity.Snapshot
    owner: int | None


def survey(state: Path) -> tuple[list[Found], list[str]]:
    """Every readable journal under the state directory, oldest first; and a sentence for each that is not."""
    found, problems = [], []
    here = home.Home(state)
    try:
        here.check()
        problems += [f"{path} is not a directory; it is left alone" for path in here.strangers()]
    except StateUnusable as error:
        problems.append(f"nothing is written or adopted here: {error}")
    except OSError:
        pass  # nothing there, or not for us to read
    for name in here.incarnations():
        directory = here.journal(name)
        try:
            known(directory)
            found.append(Found(directory, identity.read(directory), owner(directory)))
        except JournalUnreadable as error:
            if directory.exists():
                problems.append(str(error))
    return found, problems


def size_bytes(directory: Path) -> int:
    """Bytes that the journal at `directory` takes on the disk."""
    try:
        return sum(part.stat().st_size for part in directory.iterdir())
    except FileNotFoundError:
        return 0


def sweep_unfinished(state: Path, older_than_seconds: float = 3600.0) -> int:
    """Remove directories that a crash left half made or half removed. Returns how many."""
    removed = 0
    for path in home.Home(state).journals.glob(".*"):
        try:
            if time.time() - path.lstat().st_mtime >= older_than_seconds and home.is_ours(path):
                removed += journal.empty(path)
        except OSError:
            continue
    return removed


def report_of(end: End, finder: Facts) -> bytes | None:
    """The entry that reports how `end` came, as event of the dead incarnation; None if it said goodbye itself.

    `finder`: who found it; a supervisor that it shares with the dead one has survived it."""
    if end.sequence == 0 and not end.in_flight and not end.unreadable_bytes:
        return None
    if end.reported and not end.in_flight:
        return None
    facts = end.facts
    worker = build.Worker(
        incarnation=end.incarnation,
        service=facts.service,
        host=facts.host,
        pid=facts.pid,
        supervisor=facts.supervisor,
        instance=facts.instance,
        version=facts.version,
        environment=facts.environment,
        slot=end.slot,
        generation=end.generation or None,
        role=facts.role,
    )
    counters = build.Counters(
        emitted=end.sequence + 1,
        acknowledged=end.acknowledged,
        dropped=end.dropped,
        in_flight=len(end.in_flight) + end.in_flight_overflow,
        in_flight_overflow=end.in_flight_overflow,
        probes=end.probes,
        sampled_out=end.sampled_out,
    )
    if end.closing and not end.in_flight:
        fields = build.closed(counters)
    else:
        running = tuple(
            (one.request_id, one.method, one.path, max(0, end.alive_ns - one.started_ns) // 1_000_000)
            for one in end.in_flight
        )
        fields = build.ended(
            build.Death(
                found=build.time_text(time.time_ns()),
                in_flight=running,
                overflow=end.in_flight_overflow,
                evidence=_evidence(facts, finder),
                journal_end=counters,
            )
        )
    if end.unreadable_bytes:
        fields["message"] = f"{fields['message']}; {_so_many(end.unreadable_events)} in its journal could not be read"
        fields["logship.journal.unreadable_events"] = end.unreadable_events
        fields["logship.journal.unreadable_bytes"] = end.unreadable_bytes
    return entry.whole(end.alive_ns, worker.fields() | fields, end.incarnation, end.sequence + 1)


def _so_many(events: int) -> str:
    """In words; a segment without a readable index does not tell."""
    return f"{events} event{'s' if events != 1 else ''}" if events else "an unknown number of events"


def _evidence(dead: Facts, finder: Facts) -> str:
    if dead.boot and finder.boot and dead.boot != finder.boot:
        return "host_restarted"
    if not dead.tells_closing:
        return ""  # it could not have said that it was being shut down
    if dead.host == finder.host and (dead.supervisor == finder.supervisor or _supervisor_runs(dead)):
        return "supervisor_survived"
    return ""


def _supervisor_runs(facts: Facts) -> bool:
    return facts.supervisor > 1 and processes.is_running(facts.supervisor)
