"""Group commit: batches of all connections go to the store together, and only then is each acknowledged, in order."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from logship.collector.health import Health
from logship.errors import StoreError
from logship.store.write.store import Appended
from logship.wire.entries import Entries
from logship.wire.receive import Batch

# What one append takes at most: a commit of this size is on disk in tens of milliseconds, so that acks keep coming.
GROUP_BYTES = 4 * 2**20
GROUP_RECORDS = 5_000
# Python's objects take more room than the bytes they came from: this is the least a record, and a value, is counted with.
RECORD_BYTES = 512
VALUE_BYTES = 64

_logger = logging.getLogger("logship.collector")


class Sender(Protocol):
    """Whoever sent a batch: a connection."""

    def acknowledge(self, chunk: str | bytes | None) -> None: ...

    def refuse(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pending:
    """One batch that is received and not yet stored."""

    batch: Batch
    sender: Sender
    cost_bytes: int
    since: float
    """Monotonic second in which its last byte came."""


class Committer:
    """Stores what is offered, in one thread, and answers the senders. All methods belong to the event loop's thread.

    Senders ask for room twice: before they read (`room`), and before they decode what they have read (`turn`), because a
    frame of 1 KB can become 100 MB. Those who wait to decode go first, one at a time, in their order."""

    def __init__(self, append: Callable[[Entries], Appended], health: Health, limit_bytes: int) -> None:
        self._append, self._health, self._limit_bytes = append, health, limit_bytes
        self._pending: deque[Pending] = deque()
        self._work, self._idle = asyncio.Event(), asyncio.Event()
        self._room, self._readable = asyncio.Event(), asyncio.Event()
        self._line = asyncio.Lock()
        self._in_line = 0
        self._idle.set()
        self._account(0)
        self.trouble = ""
        """Why the store did not take what was last offered, as a sentence; empty if it did."""
        # The store has one writer; a thread of its own also keeps fdatasync away from the event loop.
        self._thread = ThreadPoolExecutor(1, "logship-store")

    def offer(self, batch: Batch, sender: Sender) -> None:
        """Queue a batch. Never refuses: senders wait for their `turn()` before they decode."""
        objects = max(RECORD_BYTES * len(batch.entries), VALUE_BYTES * batch.values)
        cost = max(batch.wire_bytes, batch.inflated_bytes, objects)
        self._pending.append(Pending(batch, sender, cost, time.monotonic()))
        self._account(cost)
        self._idle.clear()
        self._work.set()

    async def room(self) -> None:
        """Return when less than the limit is received and not yet stored, and nobody waits to decode more.

        Not reading is the back-pressure."""
        while not self._readable.is_set():
            await self._readable.wait()

    async def turn(self) -> None:
        """Return when the caller may decode one frame, which it must offer without waiting for anything else."""
        if self._readable.is_set():
            return
        self._in_line += 1
        self._account(0)
        try:
            async with self._line:  # in the order of arrival
                while not self._room.is_set():
                    await self._room.wait()
        finally:
            self._in_line -= 1
            self._account(0)

    async def idle(self) -> None:
        """Return when nothing is pending."""
        await self._idle.wait()

    async def run(self) -> None:
        """Store and acknowledge until cancelled."""
        while True:
            await self._work.wait()
            group = self._next_group()
            await self._commit(group)
            self._account(-sum(one.cost_bytes for one in group))
            if not self._pending:
                self._work.clear()
                self._idle.set()

    async def append(self, entries: Entries) -> Appended:
        """Store entries that no connection brought, between two groups. Raises what the store raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._append, entries)

    def close(self) -> None:
        """Return when the thread has ended."""
        self._thread.shutdown()

    def _next_group(self) -> list[Pending]:
        group = [self._pending.popleft()]
        size, records = group[0].cost_bytes, len(group[0].batch.entries)
        while self._pending and size < GROUP_BYTES and records < GROUP_RECORDS:
            group.append(self._pending.popleft())
            size += group[-1].cost_bytes
            records += len(group[-1].batch.entries)
        return group

    async def _commit(self, group: list[Pending]) -> None:
        entries = [entry for one in group for entry in one.batch.entries]
        try:
            appended = await self.append(entries)
        except (OSError, StoreError) as error:
            self._failed(error, group)  # a full disk refuses everything: senders keep it and come again
        except Exception as error:  # noqa: BLE001 - one hostile batch must not hold up the others, nor end the collector
            if len(group) == 1:
                self._failed(error, group)
                return
            for one in group:
                await self._commit([one])
        else:
            self._stored(appended, group)

    def _stored(self, appended: Appended, group: list[Pending]) -> None:
        if self.trouble:
            self.trouble = ""
            _logger.warning("the store takes events again")
        self._health.count(commits_total=1, stored_total=appended.stored)
        self._health.count(duplicates_total=appended.duplicates, dead_letters_total=appended.dead)
        now = time.monotonic()
        for one in group:
            one.sender.acknowledge(one.batch.chunk)
            self._health.acknowledged_after(now - one.since)

    def _failed(self, error: Exception, group: list[Pending]) -> None:
        self._health.count(refused_batches_total=len(group))
        if not self.trouble:
            _logger.error("the store does not take events, so none are acknowledged; senders keep them: %s", error)
        self.trouble = f"the store does not take events: {error}"
        for one in group:
            one.sender.refuse()

    def _account(self, change_bytes: int) -> None:
        self._health.undecided_bytes += change_bytes
        room = self._health.undecided_bytes < self._limit_bytes
        for event, happened in ((self._room, room), (self._readable, room and not self._in_line)):
            if happened:
                event.set()
            else:
                event.clear()
