"""Accept connections, at most a given number at a time.

asyncio's servers accept whatever comes: a thousand idle connections take every file descriptor of the process, and then
each attempt to accept one more fails with a traceback. Here a listener has a share of the descriptors, what is beyond it
is closed at once and counted, and a process that is short of descriptors pauses before it tries again."""

import asyncio
import contextlib
import errno
import logging
import resource
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

# What accept() fails with when the process or the machine has no descriptor or no memory left for another connection.
SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE_SECONDS = 0.5
# Descriptors are raised to this if the machine allows it; a connection without traffic takes some 10 KB.
DESCRIPTORS = 8192
# For the store's files, DuckDB, the journals that are adopted, and what Python itself has open.
RESERVED = 32
MOST_SENDERS, MOST_CLIENTS = 2048, 512
BACKLOG = 256

_logger = logging.getLogger("logship.collector")


@dataclass(frozen=True, slots=True)
class Shares:
    """How many connections each listener may have at a time."""

    senders: int
    clients: int


def shares() -> Shares:
    """Raise the limit of file descriptors as far as the machine allows, and divide it among the listeners.

    Half of what is not reserved goes to senders, a quarter to HTTP clients; the rest stays for files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS:
        wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    free = max(min(soft, 2**20) - RESERVED, 16)
    return Shares(min(MOST_SENDERS, free // 2), min(MOST_CLIENTS, free // 4))


class Acceptor:
    """Accepts on `listener` from now until `close`, and runs `serve` for each connection, which owns the socket.

    `most`: connections whose `serve` has not returned. `refused` is called for each one beyond it, after `make_room`
    was asked whether it ended another one instead. `farewell` is sent to the refused."""

    def __init__(
        self,
        listener: socket.socket,
        most: int,
        serve: Callable[[socket.socket], Awaitable[None]],
        refused: Callable[[int], object] = lambda most: None,
        make_room: Callable[[], bool] = lambda: False,
        farewell: bytes = b"",
    ) -> None:
        listener.setblocking(False)
        self._listener, self._most, self._serve = listener, most, serve
        self._refused, self._make_room, self._farewell = refused, make_room, farewell
        self._open: set[asyncio.Task[None]] = set()
        self._short = False
        self.accepting = asyncio.create_task(self._accept(), name="logship accept")

    def close(self) -> None:
        """Accept no more. Connections that are open stay."""
        self.accepting.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Return when the listener is closed."""
        await asyncio.gather(self.accepting, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                if error.errno in SHORT:
                    await self._wait(error)
                elif self._listener.fileno() < 0:
                    return
                continue  # a client that left before it was accepted
            self._short = False
            if len(self._open) >= self._most and not self._make_room():
                self._refuse(connection)
                continue
            task = asyncio.create_task(self._serve_one(connection), name="logship connection")
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _serve_one(self, connection: socket.socket) -> None:
        try:
            await self._serve(connection)
        except OSError:
            pass  # the client is gone
        except Exception:
            _logger.exception("a connection failed; the others go on")

    async def _wait(self, error: OSError) -> None:
        if not self._short:
            self._short = True
            _logger.error("no connection can be accepted for now: %s; raise the limit (ulimit -n)", error.strerror)
        await asyncio.sleep(PAUSE_SECONDS)

    def _refuse(self, connection: socket.socket) -> None:
        self._refused(self._most)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            if self._farewell:
                connection.setblocking(False)
                connection.send(self._farewell)
