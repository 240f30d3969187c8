"""The collector: senders connect, their events go to the store, and what is stored is acknowledged."""

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
from logship.wire.entries import Entries, Limits
from logship.wire.handshake import distinct_hostname

# Half frames of all senders together; beyond it the largest is given up, so that the others can go on.
HALF_FRAME_BYTES = 64 * 2**20
# The same with the frames that are whole and wait for room to be decoded.
HELD_BYTES = 128 * 2**20
# A sender that was silent for so long makes room for a new one. Workers beat every 10 s; closing costs them one reconnect.
IDLE_SECONDS = 30.0
# The reader stops the transport at twice this: what the kernel gives us before we have asked for it.
STREAM_BYTES = 64 * 1024
# Records are a dozen containers each and hold no circles, but each look for circles walks over all that are received and not
# yet stored: a fifth of the collector's CPU. So it looks seldom.
OBJECTS_BETWEEN_LOOKS = 500_000
# How long a clean stop waits for the disk before it leaves the rest to the senders.
STOP_SECONDS = 10.0


class Collector:
    """Listens from `start` to `stop`, which belong to one event loop. The store is the caller's, who closes it after.

    TCP and TLS where `settings.forward` says ("off": nowhere), and a unix socket at `settings.unix` if it is set."""

    def __init__(self, settings: Settings, store: Store, most: int | None = None) -> None:
        """`most`: connections at a time, None for the share of this process's descriptors."""
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
        self._looks = gc.get_threshold()

    async def start(self) -> None:
        """Listen. `addresses` then holds what senders may be told, with the port that port 0 became."""
        gc.set_threshold(OBJECTS_BETWEEN_LOOKS, *self._looks[1:])
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
        """Stop accepting and reading, store and acknowledge what is here, hang up."""
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
        gc.set_threshold(*self._looks)

    async def append(self, entries: Entries) -> Appended:
        """Store entries that came another way, such as those of an adopted journal; durable when it returns.

        They are not counted. Raises what the store raises."""
        return await self._committer.append(entries)

    async def broken(self) -> None:
        """Return never, but raise what ended a part of the collector: it no longer does what it is for."""
        assert self._committing is not None
        parts = [self._committing, *(one.accepting for one in self._acceptors)]
        ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in ended:
            part.result()
        raise RuntimeError(f"{', '.join(part.get_name() for part in ended)} ended by itself")

    def unready(self) -> str:
        """Return why events are not stored just now, as a sentence; empty if they are. Any thread."""
        return self._store.trouble() or self._committer.trouble

    def health(self) -> dict[str, int]:
        """Counters since the start and the state of now, by name; see `Health`."""
        return self._health.report()

    def ack_seconds(self) -> dict[str, object]:
        """How long acknowledgements took; see `Health`."""
        return self._health.ack_seconds()

    async def _serve(self, tls: ssl.SSLContext | None, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a peer whose machine vanished is noticed by the kernel
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
        """The two directions of a connection, after its TLS handshake; None if that failed."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=STREAM_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        peer = name_of(accepted)
        patience = {"ssl_handshake_timeout": TLS_HANDSHAKE_SECONDS} if tls else {}
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=tls, **patience)
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or "it did not finish"
            self._health.bad_peer(peer, f"no TLS handshake ({reason}); does the sender write tls://?")
            return None
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BYTES  # of one recv(): the default of 256 KB for each of 2,000 senders is 0.5 GB
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def _make_room(self) -> bool:
        """End the connection that has been silent longest, if it was for a while; whether there was one."""
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
        largest.hang_up(f"frames that are not decoded held {held} bytes, its own {largest.held_bytes} the most")


def terms(settings: Settings) -> Terms:
    """What senders must fulfil. SettingsError if a user is asked for without a shared key."""
    users: Mapping[str, str] = {}
    if settings.collector_user:
        users = {settings.collector_user: settings.collector_password}
        if not settings.collector_shared_key:
            raise SettingsError("collector_user needs collector_shared_key: the handshake begins with the key")
    return Terms(Limits(), settings.collector_shared_key, users, distinct_hostname(socket.gethostname()))
