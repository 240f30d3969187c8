"""Resolves the agent's host name in a separate thread, because the system's resolver may hang."""

import contextlib
import socket
import threading

from logship.wire.address import Address

# Family of the socket, and what `connect` takes.
Target = tuple[int, object]
PATIENCE_SECONDS = 0.02


class Resolver:
    """Finds the targets of one address. For the shipping thread alone."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._targets: list[Target] = []
        self._thread: threading.Thread | None = None

    def busy(self) -> bool:
        """Return whether a host name is being resolved."""
        return self._thread is not None

    def targets(self) -> list[Target] | None:
        """Return the targets, resolved anew, [] if the host name has none; None while it is being resolved."""
        if self._address.unix:
            return [(socket.AF_UNIX, self._address.host)]
        if self._thread is None:
            self._resolve(socket.AI_NUMERICHOST)
            if not self._targets:
                self._thread = threading.Thread(target=self._resolve, daemon=True, name="logship-resolve")
                self._thread.start()
                self._thread.join(PATIENCE_SECONDS)
        if self._thread is not None and self._thread.is_alive():
            return None
        self._thread = None
        return self._targets

    def _resolve(self, flags: int = 0) -> None:
        self._targets = []
        with contextlib.suppress(OSError):
            address = self._address
            results = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=flags)
            self._targets = [(family, target) for family, _, _, _, target in results]
