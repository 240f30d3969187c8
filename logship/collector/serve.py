"""The collector: senders connect, their events go to the store, and what is stored is acknowledged."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Mapping
from pathlib import Path

from logship.collector.commit import Committer
from logship.collector.connection import Connection, Terms
from logship.collector.health import Health
from logship.collector.listen import listen_tcp, listen_unix, remove_socket, tls_context
from logship.errors import SettingsError
from logship.settings import Settings, host_and_port
from logship.store.store import Appended, Store
from logship.wire.entries import Entries, Limits
from logship.wire.handshake import distinct_hostname

# Half frames of all senders together; beyond it the largest is given up, so that the others can go on.
HALF_FRAME_BYTES = 64 * 2**20
# Records are a dozen containers each and hold no circles, but each look for circles walks over all that are received and not
# yet stored: a fifth of the collector's CPU. So it looks seldom.
OBJECTS_BETWEEN_LOOKS = 500_000
# How long a clean stop waits for the disk before it leaves the rest to the senders.
STOP_SECONDS = 10.0


class Collector:
    """Listens from `start` to `stop`, which belong to one event loop. The store is the caller's, who closes it after.

    TCP and TLS where `settings.forward` says ("off": nowhere), and a unix socket at `settings.unix` if it is set."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.addresses: list[str] = []
        self._settings, self._store = settings, store
        self._terms = terms(settings)
        self._tls = tls_context(settings.collector_cert_file, settings.collector_key_file)
        self._health = Health()
        self._committer = Committer(store.append, self._health, settings.collector_memory_bytes)
        self._servers: list[asyncio.Server] = []
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
                host, port = host_and_port(self._settings.forward, "forward")
                server, addresses = await listen_tcp(self._serve, host, port, self._tls)
                self._servers.append(server)
                self.addresses += [f"tls://{one}" for one in addresses] if self._tls else addresses
            if self._settings.unix:
                self._servers.append(await listen_unix(self._serve, Path(self._settings.unix)))
                self.addresses.append(f"unix://{Path(self._settings.unix).absolute()}")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop accepting and reading, store and acknowledge what is here, hang up."""
        for server in self._servers:
            server.close()
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
        """Return never, but raise what ended the storing of events: nothing is acknowledged from then on."""
        assert self._committing is not None
        await asyncio.shield(self._committing)

    def health(self) -> dict[str, int]:
        """Counters since the start and the state of now, by name; see `Health`."""
        return self._health.report()

    def ack_seconds(self) -> dict[str, object]:
        """How long acknowledgements took; see `Health`."""
        return self._health.ack_seconds()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if transport_socket := writer.get_extra_info("socket"):
            with contextlib.suppress(OSError):  # a peer whose machine vanished is noticed by the kernel
                transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection = Connection((reader, writer), self._terms, self._committer, self._health, self._bound_half_frames)
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

    def _bound_half_frames(self) -> None:
        held = self._health.half_frame_bytes
        if held > HALF_FRAME_BYTES:
            largest = max(self._connections, key=lambda one: one.half_frame_bytes)
            largest.hang_up(f"unfinished frames held {held} bytes, its own {largest.half_frame_bytes} the most")


def terms(settings: Settings) -> Terms:
    """What senders must fulfil. SettingsError if a user is asked for without a shared key."""
    users: Mapping[str, str] = {}
    if settings.collector_user:
        users = {settings.collector_user: settings.collector_password}
        if not settings.collector_shared_key:
            raise SettingsError("collector_user needs collector_shared_key: the handshake begins with the key")
    return Terms(Limits(), settings.collector_shared_key, users, distinct_hostname(socket.gethostname()))
