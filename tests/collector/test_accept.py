"""Connections are limited below the file descriptors of the process; what is beyond the limit is refused and counted."""

import asyncio
import errno
import resource
import socket
from collections.abc import Callable

import pytest

from logship.collector import accept, serve
from logship.collector.accept import Acceptor
from tests.collector.far_end import Running, event

Start = Callable[..., Running]


def test_beyond_the_limit_a_sender_is_refused_and_counted_until_another_leaves(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    running = start(most=3)
    kept = [running.connect() for _ in range(3)]
    running.when(lambda: running.health()["connections"] == 3)
    for _ in range(4):
        assert running.connect().answer() is None
    assert running.health()["refused_connections_total"] == 4
    assert [record.getMessage() for record in caplog.records if "senders are refused" in record.getMessage()] == [
        "senders are refused: the limit of 3 open connections is reached (further ones are counted and not logged)"
    ]
    kept[0].close()
    running.when(lambda: running.health()["connections"] == 2)
    chunk = (late := running.connect()).packed(event(1))
    assert late.acknowledged() == chunk


def test_at_the_limit_a_new_sender_takes_the_place_of_the_one_that_was_silent_longest(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "IDLE_SECONDS", 0.0)
    running = start(most=2)
    oldest, busy = running.connect(), running.connect()
    running.when(lambda: running.health()["connections"] == 2)
    chunk = busy.packed(event(1))
    assert busy.acknowledged() == chunk
    chunk = (new := running.connect()).packed(event(2))
    assert new.acknowledged() == chunk
    assert oldest.answer() is None
    assert (running.health()["idle_closed_total"], running.health()["refused_connections_total"]) == (1, 0)


def test_a_half_frame_is_not_idle(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "IDLE_SECONDS", 0.0)
    running = start(most=1)
    half = running.connect()
    half.send(b"\x93")
    running.when(lambda: running.health()["half_frame_bytes"] == 1)
    assert running.connect().answer() is None
    assert running.health()["refused_connections_total"] == 1


def test_without_descriptors_it_pauses_says_so_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accept, "PAUSE_SECONDS", 0.01)
    tries: list[int] = []
    served: list[socket.socket] = []

    class Short(socket.socket):
        """A listener whose process has no descriptor left, three times."""

        def accept(self) -> tuple[socket.socket, object]:
            tries.append(1)
            if len(tries) <= 3:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    async def run() -> None:
        listener = Short()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        came = asyncio.Event()

        async def serve_one(connection: socket.socket) -> None:
            served.append(connection)
            came.set()

        acceptor = Acceptor(listener, 5, serve_one)
        client = socket.create_connection(listener.getsockname())
        async with asyncio.timeout(20):
            await came.wait()
        client.close()
        acceptor.close()
        await acceptor.wait_closed()

    asyncio.run(run())
    assert len(tries) >= 4
    assert len(served) == 1
    served[0].close()
    assert [record.getMessage() for record in caplog.records] == [
        "cannot accept connections: Too many open files; raise the limit of open files (ulimit -n)"
    ]


@pytest.mark.parametrize("limit", [64, 256, 1024])
def test_the_shares_of_the_listeners_leave_descriptors_for_files(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    given = accept.shares()
    assert given.senders >= 8
    assert given.clients >= 4
    assert given.senders + given.clients + accept.RESERVED <= limit
