"""Group commit: batches of all connections are stored together, and each is then acknowledged, in order."""

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

# Limits of one append: a commit of this size is on disk within tens of milliseconds, so that acknowledgements keep flowing.
GROUP_BYTES = 4 * 2**20
GROUP_RECORDS = 5_000
# Python objects take more memory than the bytes they were decoded from: each record and value counts with at least this.
RECORD_BYTES = 512
VALUE_BYTES = 64

_logger = logging.getLogger("logship.collector")


class Sender(Protocol):
    """The connection that a batch came from."""

    def acknowledge(self, chunk: str | bytes | None) -> None: ...

    def refuse(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pending:
    """A batch that was received and is not yet stored."""

    batch: Batch
    sender: Sender
    cost_bytes: int
    since: float
    """Monotonic time of its last byte, in seconds."""


class Committer:
    """Stores offered batches in one thread and acknowledges them. Call its methods in the thread of the event loop.

    Connections wait for memory twice: before they read (`room`), and before they decode a frame (`turn`), because a frame
    of 1 KB can become 100 MB. Connections that wait to decode have priority, one at a time, in order of arrival."""

    def __init__(self, append: Callable[[Entries], Appended], health: Health, limit_bytes: int) -> None:
        self._append, self._health, self._limit_bytes = append, health, limit_bytes
        self._pending: deque[Pending] = deque()
        self._work, self._idle = asyncio.Event(), asyncio.Event()
        self._room, self._readable = asyncio.Event(), asyncio.Event()
        self._queue = asyncio.Lock()
        self._queued = 0
        self._idle.set()
        self._account(0)
        self.trouble = ""
        """Why the last batch could not be stored, as a sentence; "" if it was stored."""
        # The store has one writer, and fdatasync must not block the event loop.
        self._thread = ThreadPoolExecutor(1, "logship-store")

    def offer(self, batch: Batch, sender: Sender) -> None:
        """Queue a batch. Call `turn` before decoding it: this method always accepts."""
        objects = max(RECORD_BYTES * len(batch.entries), VALUE_BYTES * batch.values)
        cost = max(batch.wire_bytes, batch.inflated_bytes, objects)
        self._pending.append(Pending(batch, sender, cost, time.monotonic()))
        self._account(cost)
        self._idle.clear()
        self._work.set()

    async def room(self) -> None:
        """Wait until the memory in use is below the limit and no connection waits to decode.

        A connection that does not read slows down its sender: that is the back pressure."""
        while not self._readable.is_set():
            await self._readable.wait()

    async def turn(self) -> None:
        """Wait until the caller may decode one frame. It must then call `offer` without awaiting anything else."""
        if self._readable.is_set():
            return
        self._queued += 1
        self._account(0)
        try:
            async with self._queue:  # in order of arrival
                while not self._room.is_set():
                    await self._room.wait()
        finally:
            self._queued -= 1
            self._account(0)

    async def idle(self) -> None:
        """Wait until no batch is pending."""
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
        """Store entries that did not come from a connection. Raises the errors of the store."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._append, entries)

    def close(self) -> None:
        """Wait until the thread has ended."""
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
            self._failed(error, group)  # a full disk fails every batch: senders keep them and retry
        except Exception as error:  # noqa: BLE001 - one hostile batch must not affect the others
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
            _logger.warning("events are stored again")
        self._health.count(commits_total=1, stored_total=appended.stored)
        self._health.count(duplicates_total=appended.duplicates, dead_letters_total=appended.dead)
        now = time.monotonic()
        for one in group:
            one.sender.acknowledge(one.batch.chunk)
            self._health.acknowledged_after(now - one.since)

    def _failed(self, error: Exception, group: list[Pending]) -> None:
        self._health.count(refused_batches_total=len(group))
        if not self.trouble:
            _logger.error("events cannot be stored and are not acknowledged, senders keep them: %s", error)
        self.trouble = f"events cannot be stored: {error}"
        for one in group:
            one.sender.refuse()

    def _account(self, change_bytes: int) -> None:
        self._health.pending_bytes += change_bytes
        room = self._health.pending_bytes < self._limit_bytes
        for event, happened in ((self._room, room), (self._readable, room and not self._queued)):
            if happened:
                event.set()
            else:
                event.clear()
