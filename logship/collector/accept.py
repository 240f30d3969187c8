"""Accepting connections, up to a limit.

The servers of asyncio have no limit: a thousand idle connections use up the file descriptors of the process, and every
further attempt fails with a traceback. Here each listener has a share of the descriptors, connections beyond it are
closed at once and counted, and a process without free descriptors pauses before it tries again."""

import asyncio
import contextlib
import errno
import logging
import resource
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

# Errors of accept() if the process or the machine has no descriptor or no memory for another connection.
SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE_SECONDS = 0.5
# The limit of descriptors is raised to this if the machine allows it; an idle connection takes about 10 KB.
DESCRIPTORS = 8192
# For the files of the store, DuckDB, adopted journals, and the files that Python has open.
RESERVED = 32
MOST_SENDERS, MOST_CLIENTS = 2048, 512
BACKLOG = 256

_logger = logging.getLogger("logship.collector")


@dataclass(frozen=True, slots=True)
class Shares:
    """The limit of open connections of each listener."""

    senders: int
    clients: int


def shares() -> Shares:
    """Raise the limit of file descriptors up to `DESCRIPTORS`, and return the share of each listener.

    Senders get half of the descriptors that are not reserved, HTTP clients a quarter; the rest is for files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS:
        wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    free = max(min(soft, 2**20) - RESERVED, 16)
    return Shares(min(MOST_SENDERS, free // 2), min(MOST_CLIENTS, free // 4))


class Acceptor:
    """Accepts connections on `listener` until `close`, and runs `serve` for each one; `serve` owns the socket.

    `most`: the limit of connections whose `serve` has not returned. Beyond it `make_room` is called, which returns whether
    it closed another connection; if not, `farewell` is sent, the connection is closed and `refused` is called."""

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
        """Stop accepting. Open connections stay open."""
        self.accepting.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Wait until the listener is closed."""
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
                continue  # a client that disconnected before it was accepted
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
            pass  # the client has disconnected
        except Exception:
            _logger.exception("a connection failed with an internal error; other connections are not affected")

    async def _wait(self, error: OSError) -> None:
        if not self._short:
            self._short = True
            _logger.error("cannot accept connections: %s; raise the limit of open files (ulimit -n)", error.strerror)
        await asyncio.sleep(PAUSE_SECONDS)

    def _refuse(self, connection: socket.socket) -> None:
        self._refused(self._most)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            if self._farewell:
                connection.setblocking(False)
                connection.send(self._farewell)
