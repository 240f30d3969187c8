"""One sender's connection: bytes in, batches to the committer, acknowledgements out in the order of the batches."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from logship.collector.commit import Committer
from logship.collector.health import Health
from logship.errors import WireError
from logship.event.entry import TAG
from logship.wire.entries import Limits
from logship.wire.handshake import ServerHandshake
from logship.wire.receive import Batch, Decoder, acknowledge

READ_BYTES = 64 * 1024
# A frame has this long to arrive once its first byte is here; 1 MB takes 28 s on a line of 300 kbit/s.
FRAME_SECONDS = 30.0
HANDSHAKE_SECONDS = 10.0
# Acks are 40 bytes: a peer that leaves this much unread asks for answers and never listens.
UNREAD_ACK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Terms:
    """What a listener asks of its senders: with a `shared_key` a handshake first, with `users` also their password."""

    limits: Limits
    shared_key: str = ""
    users: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""


class SlowPeer(Exception):
    """A half frame did not become a whole one in time."""


class Connection:
    """Serves one sender until it leaves, misbehaves, or `hang_up` is called. Belongs to the event loop's thread."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        terms: Terms,
        committer: Committer,
        health: Health,
        held_grew: Callable[[], None],
    ) -> None:
        self._reader, self._writer = streams
        self._committer, self._health, self._terms = committer, health, terms
        self._held_grew = held_grew
        self._decoder = Decoder(terms.limits)
        self._owed = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._frame_seconds = FRAME_SECONDS
        self._reading: asyncio.Task[None] | None = None
        self.held_bytes = 0
        """Bytes that are here and not decoded."""
        self.waits = False
        """Whether they begin with a whole frame, which waits for room."""
        self.heard = time.monotonic()
        """The second in which something came last."""
        self.peer = name_of(self._writer.get_extra_info("socket"))

    async def serve(self) -> None:
        """Return when the connection is over; every batch received before has then been answered."""
        self._reading = asyncio.current_task()
        try:
            early = await self._shake_hands() if self._terms.shared_key else b""
            await self._receive(early)
        except WireError as error:
            self._health.bad_peer(self.peer, str(error))
            self._writer.write(error.answer)
        except SlowPeer as slow:
            self._health.count(slow_peers_total=1)
            self._health.bad_peer(self.peer, str(slow))
        except OSError:
            pass  # the peer is gone; what it was not told, it sends again
        except asyncio.CancelledError:
            if self._reading is not None:
                raise
        finally:
            self._reading = None
            self._hold(0, waits=False)
            await self._close()

    def idle_seconds(self, now: float) -> float:
        """How long nothing came and nothing is owed; 0 while something is underway."""
        return 0.0 if self._owed or self.held_bytes else now - self.heard

    def stop_reading(self) -> None:
        """Make `serve` go on to its end: what was received is still answered."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()

    def abort(self) -> None:
        """Close now, whatever is owed."""
        self._writer.transport.abort()

    def hang_up(self, reason: str) -> None:
        """Close now, as with a peer that misbehaved."""
        self._health.bad_peer(self.peer, reason)
        self._hold(0, waits=False)
        self.abort()

    def acknowledge(self, chunk: str | bytes | None) -> None:
        """The oldest batch that was offered is stored."""
        self._answered()
        if chunk is None or self._writer.is_closing():
            return
        self._writer.write(acknowledge(chunk))
        self._health.count(acknowledged_total=1)
        if self._writer.transport.get_write_buffer_size() > UNREAD_ACK_BYTES:
            self.hang_up(f"it left {UNREAD_ACK_BYTES} bytes of acknowledgements unread")

    def refuse(self) -> None:
        """A batch is not stored: without its acknowledgement the sender must come again."""
        self._answered()
        self._writer.close()

    async def _shake_hands(self) -> bytes:
        """Return what the peer sent behind its PING."""
        handshake = ServerHandshake(self._terms.shared_key, self._terms.users, self._terms.hostname)
        self._writer.write(handshake.greeting)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                while not handshake.done:
                    received = await self._reader.read(READ_BYTES)
                    if not received:
                        raise ConnectionResetError
                    self._writer.write(handshake.feed(received))
        except TimeoutError:
            raise SlowPeer(f"no PING within {HANDSHAKE_SECONDS:g} s; this listener asks for a shared key") from None
        return handshake.rest

    async def _receive(self, received: bytes) -> None:
        await self._take(received)
        while True:
            await self._committer.room()
            received = await self._read()
            if not received or self._writer.is_closing():
                return
            await self._take(received)

    async def _take(self, received: bytes) -> None:
        self._health.count(received_bytes_total=len(received))
        self._decoder.hold(received)
        while self._decoder.ready():
            self._hold(self._decoder.pending_bytes, waits=True)
            await self._committer.turn()
            batch = self._decoder.next()
            self._frame_seconds = FRAME_SECONDS
            self._owed += 1
            self._settled.clear()
            self._health.count(frames_total=1, records_total=len(batch.entries))
            name_foreign(batch)
            self._committer.offer(batch, self)
        self._hold(self._decoder.pending_bytes, waits=False)

    def _hold(self, held_bytes: int, waits: bool) -> None:
        grown = held_bytes > self.held_bytes
        self._health.half_frame_bytes += held_bytes - self.held_bytes
        self.held_bytes, self.waits = held_bytes, waits
        if grown:
            self._held_grew()

    async def _read(self) -> bytes:
        """Up to READ_BYTES; an idle peer may be silent for ever, but only between two frames."""
        if not self.held_bytes:
            self._frame_seconds = FRAME_SECONDS
            return await self._read_once()
        # Only the time spent waiting for the peer counts: while the store is behind we do not read at all.
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._frame_seconds):
                return await self._read_once()
        except TimeoutError:
            waited = f"{self.held_bytes} bytes of a frame, and not the rest within {FRAME_SECONDS:g} s"
            raise SlowPeer(waited) from None
        finally:
            self._frame_seconds -= time.monotonic() - began

    async def _read_once(self) -> bytes:
        # The transport reads only now: whatever it read meanwhile, for a thousand senders, nobody would have asked for.
        transport = self._writer.transport
        if not transport.is_closing():
            transport.resume_reading()  # type: ignore[attr-defined]
        try:
            return await self._reader.read(READ_BYTES)
        finally:
            self.heard = time.monotonic()
            if not transport.is_closing():
                transport.pause_reading()  # type: ignore[attr-defined]

    def _answered(self) -> None:
        self._owed -= 1
        if not self._owed:
            self._settled.set()

    async def _close(self) -> None:
        await self._settled.wait()  # a sender that has said all it wants to may still be waiting for its acks
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()


def name_foreign(batch: Batch) -> None:
    """Keep the tag of foreign clients, who have no other word for what kind of event it is. Ours say it themselves."""
    if batch.tag == TAG:
        return
    for _, record in batch.entries:
        record.setdefault("event.dataset", batch.tag)


def name_of(connection: socket.socket) -> str:
    """The peer's address without its port, as the log names it."""
    try:
        peer = connection.getpeername()
    except OSError:
        return "a peer that has left"
    return str(peer[0]) if isinstance(peer, tuple) else "the unix socket"
