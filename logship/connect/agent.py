"""A connection to an agent that speaks the Forward protocol: the local collector, another one, or Fluent Bit."""

import socket
from typing import Any, TypeAlias

from logship.errors import SourceError, WireError
from logship.settings import Settings

CONNECT_SECONDS, RESPONSE_SECONDS = 5.0, 30.0

Entries: TypeAlias = list[tuple[int, dict[str, Any]]]


class AgentUnreachable(SourceError):
    """No process accepts connections at the agent's address."""


class AgentConnection:
    """An open connection; the shared key handshake is complete if a key is set. Not thread-safe.

    AgentUnreachable if the connection is refused, SourceError for other failures, SettingsError if `address` is not valid."""

    def __init__(self, address: str, settings: Settings) -> None:
        from logship.wire.address import parse_address
        from logship.wire.send import AckReader

        self.address = parse_address(address)
        self._reader = AckReader()
        try:
            self._socket = self._connect(settings)
        except (OSError, WireError) as error:
            kind = AgentUnreachable if isinstance(error, ConnectionRefusedError | FileNotFoundError) else SourceError
            raise kind(f"{address}: {_reason(error)}") from error
        try:
            self._handshake(settings)
        except (OSError, WireError) as error:
            self._socket.close()
            raise SourceError(f"{address}: {_reason(error)}") from error

    def put(self, entries: Entries) -> tuple[int, int]:
        """Send (time in ns, record) pairs and wait for the acknowledgement; return (sent, 0). SourceError without one.

        The second number counts known duplicates, which an agent does not report."""
        from logship.event.entry import TAG, pack
        from logship.wire.send import encode_batch, new_chunk

        body, chunk = b"".join(pack(ns, record) for ns, record in entries), new_chunk()
        try:
            self._socket.sendall(encode_batch(TAG, body, chunk, len(entries)))
            while chunk not in (acknowledged := self._reader.feed(self._receive())):
                if acknowledged:
                    raise WireError("it acknowledged a different chunk")
        except (OSError, WireError) as error:
            raise SourceError(f"{self.address} did not acknowledge: {error}") from error
        return len(entries), 0

    def greeting(self, seconds: float) -> bytes:
        """Return what the agent sends unprompted within `seconds`: a HELO if it requires a shared key, else b""."""
        self._socket.settimeout(seconds)
        try:
            return self._receive()
        except TimeoutError:
            return b""
        finally:
            self._socket.settimeout(RESPONSE_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _connect(self, settings: Settings) -> socket.socket:
        if self.address.unix:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(RESPONSE_SECONDS)
            connection.connect(self.address.host)
            return connection
        connection = socket.create_connection((self.address.host, self.address.port), CONNECT_SECONDS)
        connection.settimeout(RESPONSE_SECONDS)
        return self._encrypted(connection, settings) if self.address.tls else connection

    def _encrypted(self, connection: socket.socket, settings: Settings) -> socket.socket:
        from logship.wire.tls import client_context, handshake_trouble

        context = client_context(settings.agent_ca_file)
        try:
            return context.wrap_socket(connection, server_hostname=self.address.host)
        except OSError as error:
            raise handshake_trouble(error) from error

    def _handshake(self, settings: Settings) -> None:
        if not settings.agent_shared_key:
            return
        from logship.wire.handshake import ClientHandshake, Credentials

        credentials = Credentials(settings.agent_shared_key, settings.agent_user, settings.agent_password)
        handshake = ClientHandshake(credentials, socket.gethostname())
        self._socket.settimeout(CONNECT_SECONDS)
        while not handshake.done:
            try:
                self._socket.sendall(handshake.feed(self._receive()))
            except (ConnectionResetError, TimeoutError):
                raise handshake.ended() from None
        self._socket.settimeout(RESPONSE_SECONDS)

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionResetError("the connection was closed")
        return received


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error
