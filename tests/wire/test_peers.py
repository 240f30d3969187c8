"""What real foreign clients put on a socket, read by our decoder."""

import socket
import threading
from collections.abc import Iterator

import pytest
from fluent import asyncsender, sender

from logship.wire.receive import Batch, Decoder


class Listener:
    """A socket that decodes what one client sends until it hangs up."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._batches: list[Batch] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        connection, decoder = self._server.accept()[0], Decoder()
        with connection, self._server:
            while data := connection.recv(65536):
                self._batches += decoder.feed(data)

    def batches(self) -> list[Batch]:
        self._thread.join(10)
        return self._batches


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.batches()


RECORD = {"message": "hello", "labels": {"tenant": "acme"}, "n": 7, "ratio": 0.5, "none": None}


@pytest.mark.parametrize("nanoseconds", [True, False])
def test_fluent_logger(listener: Listener, nanoseconds: bool) -> None:
    client = sender.FluentSender("shop", port=listener.port, nanosecond_precision=nanoseconds)
    for number in range(100):
        time = 1_763_650_000.25 if nanoseconds else 1_763_650_000
        assert client.emit_with_time("app", time, {**RECORD, "number": number})
    client.close()
    batches = listener.batches()
    time_ns = 1_763_650_000_250_000_000 if nanoseconds else 1_763_650_000_000_000_000
    assert [batch.entries for batch in batches] == [[(time_ns, {**RECORD, "number": n})] for n in range(100)]
    assert {(batch.tag, batch.chunk) for batch in batches} == {("shop.app", None)}


def test_fluent_loggers_thread(listener: Listener) -> None:
    client = asyncsender.FluentSender("shop", port=listener.port, queue_maxsize=0)
    for number in range(100):
        assert client.emit("app", {"number": number})
    client.close()
    assert [batch.entries[0][1] for batch in listener.batches()] == [{"number": n} for n in range(100)]
