"""Worker slots: numbers 0 to N-1 that stay the same after a restart, for servers that do not number their workers.

    <slots>/<service>@<instance>/<n>.slot      generation u64 | pid u64 | supervisor u64 | claimed ns u64, little-endian

A slot is a lock file: it is freed when the process ends, even by SIGKILL, and is not inherited by fork. It is claimed by a
process when that begins to serve. During a rolling restart there are more workers than slots: a worker that finds all N
slots taken under its supervisor shares the slot of the oldest worker as its replacement, until a slot is freed. The
generation counts the claims of a slot.
"""

import os
import struct
import time
from dataclasses import dataclass, replace
from pathlib import Path

from logship.state import locks
from logship.state.home import make_directory, safe_name
from logship.state.processes import is_running

_RECORD = struct.Struct("<QQQQ")
MOST_SLOTS = 256
# Without a known number of workers a worker takes a lower free slot only during its first seconds: otherwise healthy workers
# changed their slot after the crash of another one (measured).
YOUNG_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The slot of this process. A replacement shares the number of a worker that is still running, until a lock is freed."""

    slot: int
    generation: int
    replacement: bool


class Slots:
    """The slots of one service instance. A process has one claim, and calls `poll` to improve it."""

    def __init__(self, folder: Path, service: str, instance: str, supervisor: int, workers: int | None) -> None:
        """`workers`: the number of workers of the server, None if unknown. OSError if the folder cannot be made."""
        self._folder = folder / safe_name(f"{service}@{instance}")
        make_directory(self._folder)
        self._supervisor = supervisor
        self._workers = workers
        self._began = time.monotonic()
        self._numbered = False
        self._stays = False
        self.claim: Claim | None = None

    def claim_one(self, preferred: int | None = None) -> Claim:
        """Claim the lowest free slot, or `preferred` (the number that the server assigned), or become a replacement."""
        self._numbered = preferred is not None
        if preferred is not None:
            generation = self._take(preferred)
            return self._keep(Claim(preferred, generation or self._generation(preferred) + 1, generation is None))
        for slot in range(self._workers or MOST_SLOTS):
            generation = self._take(slot)
            if generation is not None:
                return self._keep(Claim(slot, generation, replacement=False))
        return self._keep(self._inherit())

    def _inherit(self) -> Claim:
        count = self._workers or MOST_SLOTS
        kin = [
            (record[3], slot) for slot in range(count) if (record := self._read(slot)) and record[2] == self._supervisor
        ]
        if kin:
            oldest = min(kin)[1]
            return Claim(oldest, self._generation(oldest) + 1, replacement=True)
        # Workers of another supervisor hold all slots (two services with one name): take the next number, not one of theirs.
        return self._beyond(count)

    def _beyond(self, count: int) -> Claim:
        for slot in range(count, MOST_SLOTS + count):
            generation = self._take(slot)
            if generation is not None:
                return Claim(slot, generation, replacement=False)
        return Claim(MOST_SLOTS + count, 1, replacement=False)

    def stay(self) -> Claim:
        """Claim the next number permanently: no slot is freed, because this is an additional worker (SIGTTIN)."""
        self._stays = True
        return self._keep(self._beyond(self._workers or MOST_SLOTS))

    def poll(self) -> Claim | None:
        """Return a better claim if a slot was freed, else None. Call it every 0.2 s while `waiting`, otherwise every few
        seconds."""
        claim = self.claim
        if claim is None:
            return None
        if claim.replacement:
            others = [slot for slot in range(self._workers or MOST_SLOTS) if slot != claim.slot and not self._numbered]
            for slot in [claim.slot, *others]:
                generation = self._take(slot)
                if generation is not None:
                    return self._keep(Claim(slot, generation, replacement=False))
            return None
        if self._overflows():
            return self._come_down(claim)
        if self._compacts() and claim.slot and time.monotonic() - self._began < YOUNG_SECONDS:
            for slot in range(claim.slot):
                generation = self._take(slot)
                if generation is not None:
                    locks.release(self._path(claim.slot))
                    return self._keep(Claim(slot, generation, replacement=False))
        return None

    def _come_down(self, claim: Claim) -> Claim | None:
        """Claim a slot below N whose supervisor has ended (USR2 of gunicorn); a running supervisor will replace its worker."""
        for slot in range(self._workers or 0):
            record = self._read(slot)
            if record is not None and is_running(record[2]):
                continue
            generation = self._take(slot)
            if generation is not None:
                locks.release(self._path(claim.slot))
                return self._keep(Claim(slot, generation, replacement=False))
        return None

    def waiting(self) -> bool:
        """Return whether `poll` may change the claim within seconds."""
        claim = self.claim
        if claim is None:
            return False
        young = time.monotonic() - self._began < YOUNG_SECONDS
        return claim.replacement or (self._compacts() and claim.slot > 0 and young)

    def _overflows(self) -> bool:
        """Return whether the slot is N or higher because workers of another supervisor hold the slots below N."""
        claim = self.claim
        return claim is not None and not (self._stays or self._numbered) and claim.slot >= (self._workers or MOST_SLOTS)

    def _compacts(self) -> bool:
        return self._workers is None and not self._numbered

    def _keep(self, claim: Claim) -> Claim:
        self.claim = replace(claim)
        return claim

    def _path(self, slot: int) -> Path:
        return self._folder / f"{slot}.slot"

    def _read(self, slot: int) -> tuple[int, int, int, int] | None:
        # Closing a second descriptor would free a lock of this process: only slots that it does not hold are read.
        try:
            data = self._path(slot).read_bytes()
        except OSError:
            return None
        return _RECORD.unpack(data) if len(data) == _RECORD.size else None

    def _generation(self, slot: int) -> int:
        record = self._read(slot)
        return record[0] if record else 0

    def _take(self, slot: int) -> int | None:
        """Take the lock of `slot` and return the new generation; None if the lock is not free."""
        path = self._path(slot)
        if not locks.hold(path):
            return None
        descriptor = locks.descriptor(path)
        data = os.pread(descriptor, _RECORD.size, 0)
        generation = (_RECORD.unpack(data)[0] if len(data) == _RECORD.size else 0) + 1
        os.pwrite(descriptor, _RECORD.pack(generation, os.getpid(), self._supervisor, time.time_ns()), 0)
        return generation
