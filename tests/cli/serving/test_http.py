"""HTTP as `logship up` serves it: at once, to a limited number of clients, over TLS, and never for ever."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logship.cli.serving.http import Server
from logship.cli.serving.lifetime import log_errors_once
from logship.errors import QuestionError, SourceError
from logship.page import connection
from logship.page.client import HttpSource
from logship.page.context import PageContext
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests import certificates
from tests.collector.far_end import event


class Serving:
    """A page with one event on a port of its own, in a loop of its own thread."""

    def __init__(self, directory: Path, most: int = 10, tls: ssl.SSLContext | None = None) -> None:
        with Store(directory) as store:
            store.append([(time.time_ns(), event(1))])
        self.reader = Reader(directory)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.server = Server(self.reader, PageContext(), most, tls)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve([self.listener])))
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def get(self, path: str = "/healthz") -> bytes:
        """The whole answer."""
        with self.connect() as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return everything(client)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.reader.close()


def everything(client: socket.socket) -> bytes:
    """What comes until the far end closes."""
    received = b""
    try:
        while some := client.recv(65536):
            received += some
    except ConnectionResetError:
        pass
    return received


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    started: list[Serving] = []

    def start(**options: object) -> Serving:
        started.append(Serving(tmp_path / "store", **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_answers_are_not_held_back_for_the_clients_acknowledgement(serving: Callable[..., Serving]) -> None:
    one = serving()
    with one.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        (accepted,) = one.server.server_state.connections
        used = accepted.transport.get_extra_info("socket")
        assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_beyond_the_limit_a_client_is_told_and_one_that_leaves_makes_room(serving: Callable[..., Serving]) -> None:
    one = serving(most=2)
    first, second = one.connect(), one.connect()
    for client in (first, second):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    with one.connect() as third:
        answer = everything(third)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"too many connections" in answer
    assert one.server.refused_total == 1
    first.close()
    second.close()
    while len(one.server.server_state.connections):
        time.sleep(0.01)
    assert one.get().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b"])
def test_a_client_without_a_whole_request_is_closed(
    serving: Callable[..., Serving], monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(connection, "CHECK_SECONDS", 0.05)
    with serving().connect() as client:
        client.sendall(sent)
        assert everything(client) == b""


def test_a_client_that_does_not_read_its_answer_is_closed(
    serving: Callable[..., Serving], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr(connection, "CHECK_SECONDS", 0.05)
    one = serving()
    with one.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            for _ in range(2000):  # each answer has 20 KB
                client.sendall(b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        except (ConnectionError, TimeoutError):
            pass
        while one.server.server_state.connections:
            time.sleep(0.01)


def test_a_sender_of_events_is_told_that_this_is_the_http_port(serving: Callable[..., Serving]) -> None:
    with serving().connect() as client:
        client.sendall(b"\x93\xaelogship.events\xc4\x00\x80")
        assert b"Send events to its Forward port" in everything(client)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return certificates.make(tmp_path_factory.mktemp("tls"))


def test_https_is_answered_to_those_who_trust_the_certificate(
    serving: Callable[..., Serving], certificate: tuple[str, str], tmp_path: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    port = serving(tls=tls).port
    assert HttpSource(f"https://localhost:{port}", ca_file=certificate[0]).count(Query()) == 1
    with pytest.raises(SourceError, match=r"is not trusted .*LOGSHIP_SOURCE_CA_FILE"):
        HttpSource(f"https://localhost:{port}").count(Query())
    with pytest.raises(SourceError, match=f"use https://127.0.0.1:{port}"):
        HttpSource(f"http://127.0.0.1:{port}").count(Query())
    with pytest.raises(QuestionError, match="cannot read certificates"):
        HttpSource("https://localhost", ca_file=str(tmp_path / "none.pem"))


def test_https_to_a_port_without_tls_is_said(serving: Callable[..., Serving]) -> None:
    port = serving().port
    with pytest.raises(SourceError, match=f"does not use TLS .* is it http://localhost:{port}"):
        HttpSource(f"https://localhost:{port}").count(Query())


def test_a_trouble_of_the_event_loop_is_logged_once_however_often_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        log_errors_once(loop)
        for _ in range(1000):
            loop.call_exception_handler({"message": "accept failed", "exception": OSError(24, "Too many open files")})
        loop.call_exception_handler({"message": "a task failed", "exception": RuntimeError()})

    asyncio.run(run())
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "internal error, please report it: accept failed",
        "internal error, please report it: a task failed",
    ]
