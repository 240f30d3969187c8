"""The writer of a store: `Store.append` makes records durable, a background thread seals them."""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from logship.errors import StoreError
from logship.store.chain.keys import Keys, read_keys
from logship.store.chain.writer import Chain
from logship.store.write.active_log import ActiveLog
from logship.store.write.batch import BatchBuilder
from logship.store.write.dead_letters import DeadLetters
from logship.store.write.lock import WriterLock
from logship.store.write.maintenance import Maintenance
from logship.store.write.recovery import recover
from logship.store.write.retention import Retention, room

# Every query reads the unsealed logs again: 5,000 lines take a few milliseconds.
ROLL_RECORDS = 5_000
# For large records: a log of 5,000 records of 950 KB would have 5 GB.
ROLL_BYTES = 8 * 2**20
# The events of an idle service are sealed after a minute.
ROLL_SECONDS = 60.0
# With more unsealed logs than this the next append waits, and so does the acknowledgement.
UNSEALED_LOGS = 32
STALL_LIMIT_SECONDS = 30.0

_logger = logging.getLogger("logship.store")


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch: every record is stored, is a duplicate, or is in the file of dead letters.

    `conflicts`: how many of the stored ones have the `event.id` of an event with other content."""

    stored: int
    duplicates: int = 0
    dead: int = 0
    conflicts: int = 0


class Store:
    """The writer of the store in `directory`, which is created if it is missing.

    One process and one thread append; background threads seal and merge. Opening repairs a store whose writer was killed, and
    logs in one line what it found. StoreLocked if another process writes it, StoreError if it cannot be created.
    `integrity_key_file`: keys that sign its chain, "" for none; SettingsError if they cannot be read."""

    def __init__(
        self,
        directory: str | Path,
        *,
        roll_records: int = ROLL_RECORDS,
        roll_seconds: float = ROLL_SECONDS,
        retention_days: float = 0,
        retention_bytes: int = 0,
        retention_disk_percent: float = 0,
        integrity_key_file: str = "",
    ) -> None:
        self.directory = Path(directory)
        self._roll_records, self._roll_seconds = roll_records, roll_seconds
        keys = read_keys(integrity_key_file)
        self._lock = WriterLock(self.directory)
        try:
            self._open(Retention(retention_days, retention_bytes, retention_disk_percent), keys)
        except BaseException:
            self._lock.close()
            raise

    def _open(self, retention: Retention, keys: Keys) -> None:
        recovered = recover(self.directory)
        _logger.info("%s", recovered.sentence)
        for sentence in recovered.damage:
            _logger.error("%s", sentence)
        self._batches = BatchBuilder(self.directory, recovered.ids)
        self._letters = DeadLetters(self.directory)
        self._full = list(recovered.full_logs)
        self._log = ActiveLog(self.directory, recovered.active, recovered.active_lines, recovered.active_bytes)
        # Held while the active log changes: the sealing thread rolls a log that has become old.
        self._turn = threading.Lock()
        self._closed = False
        self._chain = Chain(self.directory, keys)
        self._maintenance = Maintenance(
            self.directory, self._due, self._sealed, retention, self._chain, self._lock.in_place
        )

    def append(self, entries: list[tuple[int, dict[str, Any]]]) -> Appended:
        """Store (nanoseconds, record) pairs; they are durable when it returns. Belongs to one thread.

        OSError if the disk refuses: then none of them is stored, and they may be appended again. StoreError if logs cannot be
        sealed any more, or the store is closed."""
        self._check()
        with self._turn:
            if (completed := self._log.begin()) is not None:
                self._full.append(completed)
            batch = self._batches.build(entries, self._log.next_position)
            if batch.letters:
                self._letters.append(batch.letters)
            if batch.lines:
                self._log.write(batch.lines, self._lock.in_place)
            self._batches.stored(batch)
            if self._log.lines >= self._roll_records or self._log.size_bytes >= ROLL_BYTES:
                self._full.append(self._log.roll())
                self._maintenance.wake()
        return Appended(len(batch.lines), batch.duplicates, len(batch.letters), batch.conflicts)

    def seal(self, timeout_seconds: float = 60.0) -> None:
        """Return when everything that was appended is in Parquet. StoreError after the timeout."""
        with self._turn:
            if self._log.lines:
                self._full.append(self._log.roll())
        self._maintenance.wake()
        if not self._maintenance.wait(lambda: not self._due(), timeout_seconds):
            raise StoreError(
                f"{self.directory}: logs were not sealed within {timeout_seconds} s: {self._maintenance.failed}"
            )

    def health(self) -> dict[str, float]:
        """Return numbers for metrics: unsealed logs, lines and age in seconds of the active log, whether sealing fails."""
        return {
            "unsealed_logs": len(self._full) + 1,
            "active_log_lines": self._log.lines,
            "active_log_age_seconds": self._log.age_seconds,
            "sealing_fails": float(self._maintenance.failed is not None),
        }

    def trouble(self) -> str | None:
        """Return why no events are accepted now, with the next step; None while they are accepted.

        Checks the directory and the disk, so it is current without an append. Any thread may call it."""
        failed, waiting = self._maintenance.failed, len(self._full)
        if self._closed:
            return f"{self.directory}: the store is closed"
        if self._log.broken is not None:
            return f"{self.directory}: a log could not be truncated, restart the collector: {self._log.broken}"
        if not self._maintenance.alive:
            return f"{self.directory}: sealing has ended, restart the collector: {failed!r}"
        if not self._lock.in_place():
            return f"{self.directory} was removed, moved or unmounted: restore it, or restart the collector"
        if waiting >= UNSEALED_LOGS:
            return f"{self.directory}: {waiting} logs wait to be sealed: {failed}"
        if short := self._short_of_room():
            return short
        if self._log.refused is not None:
            return f"{self.directory}: the last write failed and is retried with the next events: {self._log.refused}"
        return None

    def close(self) -> None:
        """Stop sealing and let the next writer in. Everything appended stays; unsealed logs are sealed after opening."""
        if self._closed:
            return
        self._closed = True
        self._maintenance.stop()
        self._batches.close()
        self._log.close()
        self._chain.close()
        self._letters.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        """Raise StoreError if no events are accepted. If only sealing is behind, wait for it first."""
        if len(self._full) >= UNSEALED_LOGS and self._lock.in_place():
            self._maintenance.wait(lambda: len(self._full) < UNSEALED_LOGS, STALL_LIMIT_SECONDS)
        # A write that failed is retried.
        self._log.refused = None
        if trouble := self.trouble():
            raise StoreError(trouble)

    def _short_of_room(self) -> str | None:
        """Why the disk is too full, None if it is not. Nothing is deleted then: others may have filled it for a moment."""
        try:
            free, floor = room(self.directory)
        except OSError as error:
            return f"{self.directory}: the free space of the disk is unknown: {error.strerror}"
        if free >= floor:
            return None
        have = f"the disk of {self.directory} has {free / 2**20:.1f} MiB free, {floor / 2**20:.1f} are needed"
        return f"{have}; free some, or lower retention_days, retention_bytes or retention_disk_percent"

    def _due(self) -> list[int]:
        """The full logs, after rolling the active log if it is old. Called by the sealing thread."""
        with self._turn:
            if not self._log.lines:
                self._log.began = time.monotonic()
            elif self._log.age_seconds >= self._roll_seconds and not self._closed:
                self._full.append(self._log.roll())
            return list(self._full)

    def _sealed(self, number: int) -> None:
        with self._turn:
            self._full.remove(number)
