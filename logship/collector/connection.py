"""The connection of one sender: bytes in, batches to the committer, acknowledgements out in the order of the batches."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from logship.collector.commit import Committer
from logship.collector.health import Health
from logship.errors import WireError
from logship.event.entry import TAG
from logship.wire.entries import EntryLimits
from logship.wire.handshake import ServerHandshake
from logship.wire.receive import Batch, Decoder, acknowledge

READ_BYTES = 64 * 1024
# Time from the first byte of a frame to its last one; 1 MB takes 28 s at 300 kbit/s.
FRAME_SECONDS = 30.0
HANDSHAKE_SECONDS = 10.0
# An acknowledgement has 40 bytes: a peer with so many unread bytes does not read at all.
UNREAD_ACK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Terms:
    """What a listener requires of senders: with `shared_key` a handshake, with `users` also a user and a password."""

    limits: EntryLimits
    shared_key: str = ""
    users: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""


class SlowPeer(Exception):
    """A peer did not complete a frame or a handshake in time."""


class Connection:
    """Serves one sender until it disconnects, violates the protocol, or `hang_up` is called. Not thread-safe."""

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
        """Bytes that were received and are not decoded."""
        self.waits = False
        """Whether these bytes begin with a complete frame that waits for memory."""
        self.heard = time.monotonic()
        """Monotonic time of the last received byte, in seconds."""
        self.peer = name_of(self._writer.get_extra_info("socket"))

    async def serve(self) -> None:
        """Serve until the connection is closed and every received batch is acknowledged or refused."""
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
            pass  # the peer has disconnected; it resends what was not acknowledged
        except asyncio.CancelledError:
            if self._reading is not None:
                raise
        finally:
            self._reading = None
            self._hold(0, waits=False)
            await self._close()

    def idle_seconds(self, now: float) -> float:
        """Return for how long the connection has been idle; 0 while a frame or an acknowledgement is pending."""
        return 0.0 if self._owed or self.held_bytes else now - self.heard

    def stop_reading(self) -> None:
        """Stop reading. `serve` returns when everything received is acknowledged or refused."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()

    def abort(self) -> None:
        """Close the connection at once, without pending acknowledgements."""
        self._writer.transport.abort()

    def hang_up(self, reason: str) -> None:
        """Close the connection at once and count the peer as one that violates the protocol."""
        self._health.bad_peer(self.peer, reason)
        self._hold(0, waits=False)
        self.abort()

    def acknowledge(self, chunk: str | bytes | None) -> None:
        """Acknowledge the oldest pending batch."""
        self._answered()
        if chunk is None or self._writer.is_closing():
            return
        self._writer.write(acknowledge(chunk))
        self._health.count(acknowledged_total=1)
        if self._writer.transport.get_write_buffer_size() > UNREAD_ACK_BYTES:
            self.hang_up(f"it does not read its acknowledgements ({UNREAD_ACK_BYTES} bytes are unread)")

    def refuse(self) -> None:
        """Close the connection because a batch could not be stored; the sender retries."""
        self._answered()
        self._writer.close()

    async def _shake_hands(self) -> bytes:
        """Return the bytes that the peer sent after its PING."""
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
            raise SlowPeer(f"no PING within {HANDSHAKE_SECONDS:g} s; this listener requires a shared key") from None
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
        """Return up to READ_BYTES. A peer may be idle without limit between two frames, but not within one."""
        if not self.held_bytes:
            self._frame_seconds = FRAME_SECONDS
            return await self._read_once()
        # Only time spent waiting for the peer counts: while the store is slow, nothing is read.
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._frame_seconds):
                return await self._read_once()
        except TimeoutError:
            waited = f"{self.held_bytes} bytes of a frame and not the rest of it within {FRAME_SECONDS:g} s"
            raise SlowPeer(waited) from None
        finally:
            self._frame_seconds -= time.monotonic() - began

    async def _read_once(self) -> bytes:
        # The transport reads only here: otherwise it would buffer data of every connection.
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
        await self._settled.wait()  # a sender that has sent everything may still wait for acknowledgements
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()


def name_foreign(batch: Batch) -> None:
    """Set `event.dataset` of records of foreign clients to their tag. Records of logship have it already."""
    if batch.tag == TAG:
        return
    for _, record in batch.entries:
        record.setdefault("event.dataset", batch.tag)


def name_of(connection: socket.socket) -> str:
    """Return the address of the peer without its port, for the log."""
    try:
        peer = connection.getpeername()
    except OSError:
        return "a disconnected peer"
    return str(peer[0]) if isinstance(peer, tuple) else "the Unix socket"
