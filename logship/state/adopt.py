"""Orphans: journals whose owner is gone. Whoever takes the lock ships the rest, reports the end, removes the directory.

An adopter locks first and then looks again whether the directory is still there: two may have seen the same orphan.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ormsgpack

from logship.errors import JournalUnreadable
from logship.event import build, entry
from logship.state import home, identity, inflight, journal, locks, segment
from logship.state.identity import DROP_REASONS, Cell, Facts
from logship.state.inflight import Running

READ_RECORDS = 500
_STATE_LIMIT = Cell.DROPPED + DROP_REASONS.index("state_limit")
# What clears a cell of the in-flight table, a moment later.
ENDS = frozenset({"http-request", "ws-close"})


@dataclass(frozen=True, slots=True)
class End:
    """What a dead incarnation left behind, for its report."""

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


class Orphan:
    """A journal that we have adopted: its entries in order from the acknowledged mark, and its end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.snapshot = identity.read(directory)
        self.cells = identity.reopen(directory)

    @property
    def facts(self) -> Facts:
        return self.snapshot.facts

    def pending(self) -> Iterator[tuple[list[bytes], int]]:
        """Yield (entries, mark): at most 500 unacknowledged entries in order, and the mark that `advance` takes after."""
        mark = self.cells[Cell.MARK]
        for number in segment.numbers(self.directory):
            if number < mark >> 32:
                continue
            done = mark & 0xFFFFFFFF if number == mark >> 32 else 0
            records = segment.read(self.directory / segment.file_name(number), done)
            for at in range(0, len(records), READ_RECORDS):
                some = records[at : at + READ_RECORDS]
                yield some, number << 32 | (done + at + len(some))

    def advance(self, mark: int, events: int) -> None:
        """Move the mark over `events` entries that are acknowledged."""
        self.cells[Cell.MARK] = mark
        self.cells[Cell.ACKNOWLEDGED] += events

    def refuse(self) -> None:
        """Count one event that the agent will not have; it is lost."""
        self.cells[Cell.DROPPED + DROP_REASONS.index("refused")] += 1

    def give_up(self) -> int:
        """Remove the segments and count what was pending as dropped for the total limit. Returns how many events are lost.

        The tables stay, so that whoever adopts the rest reports the end and the loss."""
        lost = 0
        for entries, mark in self.pending():
            lost += len(entries)
            self.cells[Cell.MARK] = mark
        self.cells[_STATE_LIMIT] += lost
        for number in segment.numbers(self.directory):
            (self.directory / segment.file_name(number)).unlink(missing_ok=True)
        return lost

    def end(self) -> End:
        """What to report. Requests whose end event is in the journal are not in flight: the kill came in between."""
        ended, last, last_ns = self._written()
        cells = self.cells
        sequence = max(cells[Cell.SEQUENCE], last)
        running = tuple(one for one in inflight.read(self.directory) if one.span not in ended)
        return End(
            incarnation=self.snapshot.incarnation,
            facts=self.facts,
            slot=self.snapshot.slot,
            generation=cells[Cell.GENERATION],
            sequence=sequence,
            alive_ns=max(cells[Cell.ALIVE_NS], last_ns, self.facts.started_ns),
            closing=cells[Cell.CLOSING] > 0,
            # What was logged after the goodbye ("Finished server process") needs no second one, unless some of it is lost.
            reported=cells[Cell.CLOSING] > 1
            and (cells[Cell.CLOSING] - 1 >= sequence or not any(identity.dropped(cells).values()))
            and not cells[_STATE_LIMIT],
            in_flight=running,
            in_flight_overflow=cells[Cell.IN_FLIGHT_OVERFLOW],
            dropped=identity.dropped(cells),
            acknowledged=cells[Cell.ACKNOWLEDGED],
            probes=cells[Cell.PROBES],
            sampled_out=cells[Cell.SAMPLED_OUT],
        )

    def _written(self) -> tuple[set[str], int, int]:
        """Of the last two segments that hold any: spans whose end is written, the highest sequence, the newest time."""
        spans: set[str] = set()
        last = last_ns = held = 0
        for number in reversed(segment.numbers(self.directory)):  # those prepared ahead are empty
            records = segment.read(self.directory / segment.file_name(number))
            held += bool(records)
            if held > 2:
                break
            for record in records:
                time_ns, fields = ormsgpack.unpackb(record, ext_hook=_time, option=ormsgpack.OPT_NON_STR_KEYS)
                if fields.get("event.action") in ENDS:  # what the application logs on the way has the span as well
                    spans.add(fields.get("span.id", ""))
                last = max(last, fields.get("event.sequence", 0))
                last_ns = max(last_ns, time_ns)
        return spans, last, last_ns

    def remove(self) -> None:
        """Remove the directory and free its lock: everything is shipped and reported."""
        journal.remove(self.directory)
        locks.release(self.directory / "lock")

    def release(self) -> None:
        """Leave the journal to another adopter."""
        locks.release(self.directory / "lock")


def _time(tag: int, data: bytes) -> int:
    return int.from_bytes(data[:4], "big") * 1_000_000_000 + int.from_bytes(data[4:8], "big")


def adopt(directory: Path) -> Orphan | None:
    """Take over the journal at `directory`; None if its owner lives or it is gone. JournalUnreadable: kept as it is."""
    lock = directory / "lock"
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
    for name in home.incarnations(state):
        directory = state / "journals" / name
        try:
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
    folder = state / "journals"
    for path in folder.glob(".*"):
        try:
            if time.time() - path.stat().st_mtime < older_than_seconds:
                continue
            for part in path.iterdir():
                part.unlink()
            path.rmdir()
            removed += 1
        except OSError:
            continue
    return removed


def report_of(end: End, finder: Facts) -> bytes | None:
    """The entry that reports how `end` came, as event of the dead incarnation; None if it said goodbye itself.

    `finder`: who found it; a supervisor that it shares with the dead one has survived it."""
    if end.sequence == 0 and not end.in_flight:
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
    return entry.whole(end.alive_ns, worker.fields() | fields, end.incarnation, end.sequence + 1)


def _evidence(dead: Facts, finder: Facts) -> str:
    if dead.boot and finder.boot and dead.boot != finder.boot:
        return "host_restarted"
    if not dead.tells_closing:
        return ""  # it could not have said that it was being shut down
    if dead.host == finder.host and (dead.supervisor == finder.supervisor or _alive(dead.supervisor)):
        return "supervisor_survived"
    return ""


def _alive(pid: int) -> bool:
    if pid <= 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
