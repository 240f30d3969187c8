"""The one writer of a store."""

import errno
import fcntl
import logging
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from logship.errors import StoreError, StoreLocked
from logship.store.files import (
    DEAD_LETTERS,
    LOCK,
    OLD_DEAD_LETTERS,
    POSITION_BITS,
    log_name,
    sync_directory,
)
from logship.store.ids import CONFLICT, Fresh, Seen
from logship.store.lines import with_sum
from logship.store.read.contents import ContentLookup, content
from logship.store.write.maintenance import Maintenance
from logship.store.write.normalizer import Normalizer, Unstorable, dead_letter
from logship.store.write.recovery import recover
from logship.store.write.retention import Retention, room

# Every question reads the unsealed log again: 5,000 lines are a few milliseconds.
ROLL_RECORDS = 5_000
# Of large records as well: what has 950 KB would make a log of 5 GB.
ROLL_BYTES = 8 * 2**20
# An idle service's events are sealed after a minute as well.
ROLL_SECONDS = 60.0
# More unsealed logs than this hold up the next append, and so the acknowledgement.
UNSEALED_LOGS = 32
STALL_LIMIT_SECONDS = 30.0
# Somebody who sends nothing but hostile records must not fill the disk: one older file of letters is kept beside this.
DEAD_LETTERS_LIMIT_BYTES = 64 * 2**20

_logger = logging.getLogger("logship.store")


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch: every record is stored, or was stored before, or lies in the dead-letter file.

    `conflicts`: so many of those stored have an `event.id` that had other content before."""

    stored: int
    duplicates: int = 0
    dead: int = 0
    conflicts: int = 0


@dataclass(slots=True)
class _Sorted:
    """A batch on its way to the log. `again`: records whose id is there already, perhaps with other content."""

    lines: list[bytes] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)
    fresh: dict[str, Fresh] = field(default_factory=dict)
    again: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    duplicates: int = 0
    conflicts: int = 0


class Store:
    """The writer of the store in `directory`, which is made when it is missing.

    One process and one thread append; a thread of its own seals. Opening brings a store that was killed in order, and
    says in one line of the log what it found. StoreLocked when another process writes it, StoreError when it cannot be
    made."""

    def __init__(
        self,
        directory: str | Path,
        *,
        roll_records: int = ROLL_RECORDS,
        roll_seconds: float = ROLL_SECONDS,
        retention_days: float = 0,
        retention_bytes: int = 0,
        retention_disk_percent: float = 0,
    ) -> None:
        self.directory = Path(directory)
        self._roll_records, self._roll_seconds = roll_records, roll_seconds
        self._lock_file = _lock(self.directory)
        try:
            self._open(Retention(retention_days, retention_bytes, retention_disk_percent))
        except BaseException:
            os.close(self._lock_file)
            raise

    def _open(self, retention: Retention) -> None:
        found = recover(self.directory)
        _logger.info("%s", found.sentence)
        for one in found.damage:
            _logger.error("%s", one)
        self._seen = Seen(found.ids)
        self._normalizer = Normalizer()
        self._contents = ContentLookup(self.directory)
        self._told_conflicts = False
        self._full = list(found.full_logs)
        self._number, self._lines, self._size = found.active, found.active_lines, found.active_bytes
        self._log = self._open_log()
        self._began = time.monotonic()
        self._dead: int | None = None
        # After a write that failed positions begin anew in another log: a tail may have seen what was cut off again.
        self._cut = False
        self._broken: OSError | None = None
        self._refused: BaseException | None = None
        # Held while the active log changes hands: a background thread rolls a log that has become old.
        self._turn = threading.Lock()
        self._closed = False
        self._maintenance = Maintenance(self.directory, self._due, self._sealed, retention, self._in_place)

    def append(self, entries: list[tuple[int, dict[str, Any]]]) -> Appended:
        """Store (nanoseconds, record) pairs; they are durable when it returns. Belongs to one thread.

        OSError when the disk refuses: then none of them is stored, and they may be appended again. StoreError when
        logs can no longer be sealed, or the store is closed."""
        self._check()
        with self._turn:
            if self._cut:
                self._roll()
                self._cut = False
            position = (self._number << POSITION_BITS) + self._lines
            batch = self._sort(entries, position)
            if batch.again:
                self._compare(batch, position)
            if batch.letters:
                self._keep_dead(batch.letters)
            if batch.lines:
                self._write(b"".join(batch.lines))
                self._lines += len(batch.lines)
            self._seen.add(batch.fresh)
            if self._lines >= self._roll_records or self._size >= ROLL_BYTES:
                self._roll()
                self._maintenance.wake()
        return Appended(len(batch.lines), batch.duplicates, len(batch.letters), batch.conflicts)

    def seal(self, timeout_seconds: float = 60.0) -> None:
        """Return when everything that was appended is in Parquet. StoreError when it is not in time."""
        with self._turn:
            if self._lines:
                self._roll()
        self._maintenance.wake()
        if not self._maintenance.wait(lambda: not self._due(), timeout_seconds):
            raise StoreError(f"{self.directory}: logs were not sealed in {timeout_seconds} s: {self._maintenance.failed}")

    def health(self) -> dict[str, float]:
        """Numbers for a metrics page: unsealed logs, lines of the active one, and its age in seconds."""
        return {
            "unsealed_logs": len(self._full) + 1,
            "active_log_lines": self._lines,
            "active_log_age_seconds": time.monotonic() - self._began if self._lines else 0.0,
            "sealing_fails": float(self._maintenance.failed is not None),
        }

    def trouble(self) -> str | None:
        """Return why no events are accepted now, as a sentence with the next step; None while they are accepted.

        Checks the directory and the disk itself, so it is true without an append. Any thread may call it."""
        if self._closed:
            return f"{self.directory}: the store is closed"
        if self._broken is not None:
            return f"{self.directory}: a log could not be cut back, restart the collector: {self._broken}"
        if not self._maintenance.alive:
            return f"{self.directory}: sealing has ended, restart the collector: {self._maintenance.failed!r}"
        if not self._in_place():
            return f"{self.directory} was removed, moved or unmounted; put it back, or restart the collector"
        if len(self._full) >= UNSEALED_LOGS:
            return f"{self.directory}: {len(self._full)} logs wait to be sealed: {self._maintenance.failed}"
        if short := self._short_of_room():
            return short
        if self._refused is not None:
            return f"{self.directory}: the last write failed, it is tried again with the next events: {self._refused}"
        return None

    def close(self) -> None:
        """Stop sealing and let the next writer in. Everything appended stays; what is unsealed is sealed next time."""
        if self._closed:
            return
        self._closed = True
        self._maintenance.stop()
        self._contents.close()
        for handle in (self._log, self._dead, self._lock_file):
            if handle is not None:
                os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        """Raise StoreError when nothing can be accepted; wait a while where only sealing is behind."""
        if len(self._full) >= UNSEALED_LOGS and self._in_place():
            self._maintenance.wait(lambda: len(self._full) < UNSEALED_LOGS, STALL_LIMIT_SECONDS)
        # A write that failed is tried again.
        self._refused = None
        if trouble := self.trouble():
            raise StoreError(trouble)

    def _short_of_room(self) -> str | None:
        """The sentence when the disk is too full. Nothing is deleted then: others may have filled it for a moment."""
        try:
            free, floor = room(self.directory)
        except OSError as error:
            return f"{self.directory}: the disk cannot be asked for its free space: {error.strerror}"
        if free >= floor:
            return None
        have = f"the disk of {self.directory} has {free / 2**20:.1f} MiB free, {floor / 2**20:.1f} are needed"
        return f"{have}; free some, or lower retention_days, retention_bytes or retention_disk_percent"

    def _in_place(self) -> bool:
        """Whether the directory is still the one that was opened: what is written elsewhere is lost."""
        try:
            found, ours = os.stat(self.directory / LOCK), os.fstat(self._lock_file)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)

    def _sort(self, entries: list[tuple[int, dict[str, Any]]], position: int) -> _Sorted:
        """Lines of what is new, dead letters, and what has to be compared first."""
        batch = _Sorted()
        lines, fresh = batch.lines, batch.fresh
        line, take, keep = self._normalizer.line, self._seen.take, self._seen.keep
        for time_ns, record in entries:
            found = None
            if isinstance(record, dict):
                id_ = event_id(record)
                found = take(id_, fresh)
                if found is False:
                    batch.again.append((id_, time_ns, record))
                    continue
                if CONFLICT in record:  # it is for the store to say
                    record = without_conflict(record)  # noqa: PLW2901
            try:
                lines.append(with_sum(line(position, time_ns, record)))
            except Unstorable as reason:
                batch.letters.append(dead_letter(time_ns, record, str(reason)))
                continue
            position += 1
            if found:
                keep(*found)
        return batch

    def _compare(self, batch: _Sorted, position: int) -> None:
        """Store beside the first what comes under an id that is there, unless the content is the same."""
        wanted = {id_ for id_, _, _ in batch.again}
        known = self._contents.contents(sorted(wanted))
        for line in batch.lines:
            record = orjson.loads(line)
            if record.get("event.id") in wanted:
                known.setdefault(record["event.id"], set()).add(content(record))
        for id_, time_ns, record in batch.again:
            at = position + len(batch.lines)
            if CONFLICT in record:
                record = without_conflict(record)  # noqa: PLW2901
            try:
                line = self._normalizer.line(at, time_ns, record)
                hashed = content(orjson.loads(line))
                before = known.setdefault(id_, set())
                if before and hashed not in before:
                    line = self._normalizer.line(at, time_ns, record | {CONFLICT: hashed})
            except Unstorable as reason:
                batch.letters.append(dead_letter(time_ns, record, str(reason)))
                continue
            if hashed in before:
                batch.duplicates += 1
                continue
            batch.conflicts += bool(before)
            before.add(hashed)
            batch.lines.append(with_sum(line))
        if batch.conflicts:
            self._say_conflicts(batch.conflicts)

    def _say_conflicts(self, events: int) -> None:
        if not self._told_conflicts:
            self._told_conflicts = True
            kept = "%s: %d events have the event.id of an event with other content and are kept beside it"
            _logger.warning(kept + "; find them with: logship search '%s: *'", self.directory, events, CONFLICT)

    def _write(self, data: bytes) -> None:
        """Write and sync, or leave the log as it was."""
        try:
            _write_all(self._log, data)
            _sync(self._log)
            if not os.fstat(self._log).st_nlink or not self._in_place():
                raise FileNotFoundError(errno.ENOENT, "the store was removed while it was written", str(self.directory))
        except BaseException as error:
            self._cut, self._refused = True, error
            try:
                os.ftruncate(self._log, self._size)
            except OSError as uncut:
                # Nobody was told that these lines are stored, and they would be sealed: opening anew takes them in.
                self._broken = uncut
            raise
        self._size += len(data)

    def _keep_dead(self, letters: list[bytes]) -> None:
        path = self.directory / DEAD_LETTERS
        if self._dead is not None and os.fstat(self._dead).st_size > DEAD_LETTERS_LIMIT_BYTES:
            os.close(self._dead)
            self._dead = None
            path.replace(self.directory / OLD_DEAD_LETTERS)
            _logger.warning("%s was full and is now %s, in place of the one before", path, OLD_DEAD_LETTERS)
        if self._dead is None:
            self._dead = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            sync_directory(self.directory)
            _logger.warning("records that fit nowhere are kept in %s", path)
        _write_all(self._dead, b"".join(letters))
        _sync(self._dead)

    def _open_log(self) -> int:
        handle = os.open(self.directory / log_name(self._number), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        sync_directory(self.directory)
        return handle

    def _roll(self) -> None:
        """Begin the next log. If it cannot be made, the old one simply goes on."""
        old = self._log
        self._number += 1
        try:
            self._log = self._open_log()
        except OSError:
            self._number -= 1
            raise
        os.close(old)
        self._full.append(self._number - 1)
        self._lines = self._size = 0
        self._began = time.monotonic()

    def _due(self) -> list[int]:
        """Full logs, after rolling the active one if it has become old. Called by the sealing thread."""
        with self._turn:
            if not self._lines:
                self._began = time.monotonic()
            elif time.monotonic() - self._began >= self._roll_seconds and not self._closed:
                self._roll()
            return list(self._full)

    def _sealed(self, number: int) -> None:
        with self._turn:
            self._full.remove(number)


def event_id(record: dict[str, Any]) -> Any:
    """Return what the record will have as `event.id`: nested maps are joined by dots."""
    flat = record.get("event.id")
    if type(flat) is not str and isinstance(nested := record.get("event"), dict):
        return nested.get("id")
    return flat


def without_conflict(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record without what only a store says."""
    return {name: value for name, value in record.items() if name != CONFLICT}


def _lock(directory: Path) -> int:
    """Take the store for this process. The pid in the file is for people; the lock ends with the process."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreError(f"the store directory {directory} cannot be made or written: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise StoreLocked(
            f"the store in {directory} is being written by process {holder}; stop that one or choose another directory"
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def _sync(handle: int) -> None:
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(handle)
