"""The collector: senders connect, their events are stored and then acknowledged."""

import asyncio
import contextlib
import gc
import socket
import ssl
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from logship.collector.accept import Acceptor, shares
from logship.collector.commit import Committer
from logship.collector.connection import READ_BYTES, Connection, Terms, name_of
from logship.collector.health import Health
from logship.collector.listen import (
    TLS_HANDSHAKE_SECONDS,
    address,
    listen_tcp,
    listen_unix,
    remove_socket,
    tls_context,
)
from logship.errors import SettingsError
from logship.settings import Settings, host_and_port
from logship.store.write.store import Appended, Store
from logship.wire.entries import Entries, EntryLimits
from logship.wire.handshake import distinct_hostname

# Bytes of incomplete frames of all senders. Beyond it the connection with the largest one is closed.
HALF_FRAME_BYTES = 64 * 2**20
# The same, including complete frames that wait for memory to be decoded.
HELD_BYTES = 128 * 2**20
# At the limit of connections one that was idle for so long is closed. Workers send a heartbeat every 10 s and reconnect.
IDLE_SECONDS = 30.0
# The reader pauses the transport at twice this number of buffered bytes.
STREAM_BYTES = 64 * 1024
# Records contain no reference cycles, but each run of the garbage collector visits all that are received and not yet stored:
# a fifth of the CPU time of the collector. So it runs rarely.
GC_THRESHOLD = 500_000
# How long `stop` waits for the disk. Senders resend what was not acknowledged.
STOP_SECONDS = 10.0


class Collector:
    """Receives events from `start` to `stop`, in one event loop. The caller closes the store afterwards.

    It listens on `settings.forward` (TCP or TLS, unless "off") and on the Unix socket `settings.unix` if that is set."""

    def __init__(self, settings: Settings, store: Store, most: int | None = None) -> None:
        """`most`: the limit of connections, None for the share of the file descriptors of this process."""
        self.addresses: list[str] = []
        self._settings, self._store = settings, store
        self._most = most or shares().senders
        self._terms = terms(settings)
        self._tls = tls_context(settings.collector_cert_file, settings.collector_key_file)
        self._health = Health()
        self._committer = Committer(store.append, self._health, settings.collector_memory_bytes)
        self._acceptors: list[Acceptor] = []
        self._connections: set[Connection] = set()
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self._committing: asyncio.Task[None] | None = None
        self._gc_thresholds = gc.get_threshold()

    async def start(self) -> None:
        """Listen. `addresses` then holds the addresses, with actual ports instead of 0. ListenError if that fails."""
        gc.set_threshold(GC_THRESHOLD, *self._gc_thresholds[1:])
        self._committing = asyncio.create_task(self._committer.run(), name="logship commit")
        try:
            if self._settings.forward != "off":
                for listener in listen_tcp(*host_and_port(self._settings.forward, "forward")):
                    self._accept(listener, self._tls)
                    self.addresses.append(f"{'tls://' if self._tls else ''}{address(listener)}")
            if self._settings.unix:
                self._accept(listen_unix(Path(self._settings.unix)), None)
                self.addresses.append(f"unix://{Path(self._settings.unix).absolute()}")
        except BaseException:
            await self.stop()
            raise

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        serve = partial(self._serve, tls)
        self._acceptors.append(Acceptor(listener, self._most, serve, self._health.refused_connection, self._make_room))

    async def stop(self) -> None:
        """Stop accepting and reading, store and acknowledge what was received, close all connections."""
        for acceptor in self._acceptors:
            acceptor.close()
        if self._settings.unix and any(one.startswith("unix://") for one in self.addresses):
            remove_socket(Path(self._settings.unix))
        for connection in list(self._connections):
            connection.stop_reading()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._committer.idle()
                await self._all_gone.wait()
        for connection in list(self._connections):
            connection.abort()
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.gather(self._committing, return_exceptions=True)
        self._committer.close()
        gc.set_threshold(*self._gc_thresholds)

    async def append(self, entries: Entries) -> Appended:
        """Store entries that did not come from a connection, such as those of an adopted journal.

        They are durable when this returns, and not counted. Raises the errors of the store."""
        return await self._committer.append(entries)

    async def broken(self) -> None:
        """Wait, and raise the error of the first task of the collector that ends. Does not return."""
        assert self._committing is not None
        parts = [self._committing, *(one.accepting for one in self._acceptors)]
        ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in ended:
            part.result()
        raise RuntimeError(f"{', '.join(part.get_name() for part in ended)} ended unexpectedly")

    def unready(self) -> str:
        """Return why events cannot be stored at present, as a sentence; "" if they can. Thread-safe."""
        return self._store.trouble() or self._committer.trouble

    def health(self) -> dict[str, int]:
        """Return counters since the start and current values, by name; see `Health`."""
        return self._health.report()

    def ack_seconds(self) -> dict[str, object]:
        """Return the histogram of acknowledgement times; see `Health`."""
        return self._health.ack_seconds()

    async def _serve(self, tls: ssl.SSLContext | None, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the kernel detects a peer whose machine is gone
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        streams = await self._streams(tls, accepted)
        if streams is None:
            return
        connection = Connection(streams, self._terms, self._committer, self._health, self._bound_held)
        self._connections.add(connection)
        self._all_gone.clear()
        self._health.count(connections=1, connections_total=1)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)
            self._health.count(connections=-1)
            if not self._connections:
                self._all_gone.set()

    async def _streams(
        self, tls: ssl.SSLContext | None, accepted: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return reader and writer of a connection after its TLS handshake; None if the handshake failed."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=STREAM_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        peer = name_of(accepted)
        timeout = {"ssl_handshake_timeout": TLS_HANDSHAKE_SECONDS} if tls else {}
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=tls, **timeout)
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or "not finished in time"
            self._health.bad_peer(peer, f"the TLS handshake failed ({reason}); does the sender use tls://?")
            return None
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BYTES  # for one recv(): the default of 256 KB would be 0.5 GB for 2,000 senders
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def _make_room(self) -> bool:
        """Close the connection that has been idle longest. Return False if none was idle for `IDLE_SECONDS`."""
        now = time.monotonic()
        idlest = max(self._connections, key=lambda one: one.idle_seconds(now), default=None)
        if idlest is None or idlest.idle_seconds(now) <= IDLE_SECONDS:
            return False
        self._health.count(idle_closed_total=1)
        idlest.abort()
        return True

    def _bound_held(self) -> None:
        if self._health.half_frame_bytes <= HALF_FRAME_BYTES:
            return
        unfinished = sum(one.held_bytes for one in self._connections if not one.waits)
        if unfinished > HALF_FRAME_BYTES:
            held, some = unfinished, [one for one in self._connections if not one.waits]
        elif self._health.half_frame_bytes > HELD_BYTES:
            held, some = self._health.half_frame_bytes, list(self._connections)
        else:
            return
        largest = max(some, key=lambda one: one.held_bytes)
        largest.hang_up(f"undecoded frames took {held} bytes in total, those of this peer {largest.held_bytes}, the most")


def terms(settings: Settings) -> Terms:
    """Return what senders must provide. SettingsError if a user is set without a shared key."""
    users: Mapping[str, str] = {}
    if settings.collector_user:
        users = {settings.collector_user: settings.collector_password}
        if not settings.collector_shared_key:
            raise SettingsError("collector_user needs collector_shared_key, which the handshake begins with: set both")
    return Terms(EntryLimits(), settings.collector_shared_key, users, distinct_hostname(socket.gethostname()))
