"""One connection to the agent, over a socket that never blocks: TCP or Unix, then TLS, then the handshake, then frames."""

import errno
import os
import select
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING

from logship.settings import Settings
from logship.wire import send
from logship.wire.address import Address
from logship.wire.tls import client_context, handshake_trouble
from logship.worker.shipping.resolver import Target

if TYPE_CHECKING:
    from logship.wire.handshake import ClientHandshake

RECEIVED_BYTES = 65536


class Stage(Enum):
    """How far a connection is."""

    CONNECTING = auto()
    TLS = auto()
    GREETING = auto()
    READY = auto()


class ShippingConnection:
    """A connection that begins with its creation. Every method may raise OSError or WireError: then it is of no more use.

    `acks`: parses what the agent sends once the stage is READY."""

    def __init__(self, settings: Settings, address: Address, target: Target) -> None:
        self.stage = Stage.CONNECTING
        self.acks = send.AckReader()
        self._settings = settings
        self._address = address
        self._outbox: deque[memoryview] = deque()
        self._handshake: ClientHandshake | None = None
        self._tls_wants = 0
        family, place = target
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._begin(family, place)
        except OSError:
            self._socket.close()
            raise

    def _begin(self, family: int, place: object) -> None:
        self._socket.setblocking(False)
        if family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _check(self._socket.connect_ex(place))  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def wants(self) -> tuple[int, int]:
        """Return (descriptor, poll events) to wait for."""
        if self.stage is Stage.CONNECTING or self._outbox:
            return self._socket.fileno(), select.POLLIN | select.POLLOUT
        return self._socket.fileno(), self._tls_wants or select.POLLIN

    def establish(self) -> bool:
        """Continue to connect, and with TLS. True once, when that is complete: the stage is GREETING or READY then."""
        if self.stage is Stage.CONNECTING and self._connected():
            if not self._address.tls:
                return self._established()
            context = client_context(self._settings.agent_ca_file)
            self._socket = context.wrap_socket(
                self._socket, server_hostname=self._address.host, do_handshake_on_connect=False
            )
            self.stage = Stage.TLS
        return self.stage is Stage.TLS and self._tls_done() and self._established()

    def _connected(self) -> bool:
        if not _is_writable(self._socket):
            return False
        _check(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        return True

    def _tls_done(self) -> bool:
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wants:
            self._tls_wants = select.POLLIN if isinstance(wants, ssl.SSLWantReadError) else select.POLLOUT
            return False
        except OSError as error:
            raise handshake_trouble(error) from error
        self._tls_wants = 0
        return True

    def _established(self) -> bool:
        if self._settings.agent_shared_key:
            self._handshake = _handshake(self._settings)
            self.stage = Stage.GREETING
        else:
            self.stage = Stage.READY
        return True

    def greet(self, received: bytes) -> None:
        """Continue the handshake with what the agent sent; b"" if it closed the connection. WireError if it fails."""
        assert self._handshake is not None
        if not received:
            raise self._handshake.ended()
        reply = self._handshake.feed(received)
        if reply:
            self.queue([reply])
            self.push()
        if self._handshake.done:
            self.stage = Stage.READY

    def receive(self) -> bytes | None:
        """Return what the agent sent; None: nothing now; b"": it has closed the connection."""
        try:
            return self._socket.recv(RECEIVED_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def queue(self, parts: Iterable[bytes | memoryview]) -> None:
        """Send `parts` with the next `push`."""
        self._outbox.extend(memoryview(part) for part in parts)

    def is_idle(self) -> bool:
        """Return whether everything queued is sent."""
        return not self._outbox

    def push(self) -> bool:
        """Send what the kernel takes now. Return whether it took anything."""
        moved = False
        while self._outbox:
            try:
                if isinstance(self._socket, ssl.SSLSocket):
                    sent = self._socket.send(self._outbox[0])
                else:
                    sent = self._socket.sendmsg(self._outbox)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            moved = moved or sent > 0
            self._drop(sent)
        return moved

    def _drop(self, sent: int) -> None:
        """Drop the first `sent` bytes of the outbox."""
        while sent:
            part = self._outbox.popleft()
            if sent < len(part):
                self._outbox.appendleft(part[sent:])
            sent -= min(sent, len(part))


def _check(code: int) -> None:
    """OSError if `code` is the error number of a connection that failed."""
    if code not in {0, errno.EINPROGRESS}:
        raise OSError(code, os.strerror(code).lower())


def _is_writable(connection: socket.socket) -> bool:
    poller = select.poll()
    poller.register(connection, select.POLLOUT)
    return bool(poller.poll(0))


def _handshake(settings: Settings) -> "ClientHandshake":
    # Imported here: hashing costs each worker 6 ms at its start, and few agents require a key.
    from logship.wire.handshake import ClientHandshake, Credentials

    credentials = Credentials(settings.agent_shared_key, settings.agent_user, settings.agent_password)
    return ClientHandshake(credentials, socket.gethostname())
