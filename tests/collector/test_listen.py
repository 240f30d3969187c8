"""Keys, users, certificates: who may send. And foreign clients as they come."""

import ssl
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
from fluent import asyncsender
from fluent import sender as fluent

from logship.collector.listen import tls_context
from logship.collector.serve import terms
from logship.errors import ListenError, SettingsError
from logship.settings import load
from logship.wire.handshake import ClientHandshake, Credentials
from tests import certificates
from tests.collector.far_end import Running, Sender, event, frame

Start = Callable[..., Running]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return certificates.make(tmp_path_factory.mktemp("tls"))


def shake(sender: Sender, credentials: Credentials) -> ClientHandshake:
    """Play the client's part until it is done or the collector closes."""
    hands = ClientHandshake(credentials, "shop-1")
    while not hands.done:
        received = sender.socket.recv(4096)
        if not received:
            raise hands.ended()
        sender.send(hands.feed(received))
    return hands


def test_a_sender_that_knows_the_key_may_send(start: Start) -> None:
    sender = start(collector_shared_key="k").connect()
    assert shake(sender, Credentials("k")).done
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk


def test_a_sender_that_knows_user_and_password_may_send(start: Start) -> None:
    running = start(collector_shared_key="k", collector_user="ada", collector_password="p")
    sender = running.connect()
    assert shake(sender, Credentials("k", "ada", "p")).done
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk


@pytest.mark.parametrize(
    "wrong", [Credentials("x", "ada", "p"), Credentials("k", "ada", "x"), Credentials("k", "eve", "p")]
)
def test_a_sender_with_wrong_credentials_is_told_and_closed(start: Start, wrong: Credentials) -> None:
    running = start(collector_shared_key="k", collector_user="ada", collector_password="p")
    with pytest.raises(Exception, match="refused"):
        shake(running.connect(), wrong)
    assert running.health()["bad_peers_total"] == 1


def test_frames_without_the_handshake_are_not_stored(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    running = start(collector_shared_key="k")
    sender = running.connect()
    sender.send(frame(event(1), chunk="c"))
    running.when(lambda: running.health()["bad_peers_total"] == 1)
    assert running.health()["records_total"] == 0
    assert "the sender has no shared key; set LOGSHIP_AGENT_SHARED_KEY there" in caplog.text


def test_a_user_without_a_key_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="collector_user needs collector_shared_key"):
        terms(load({"collector_user": "ada"}, {}))


def test_senders_may_speak_tls_and_must_where_it_is_on(start: Start, certificate: tuple[str, str]) -> None:
    running = start(collector_cert_file=certificate[0], collector_key_file=certificate[1])
    sender = running.connect(tls=ssl.create_default_context(cafile=certificate[0]))
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk
    assert running.collector.addresses[0].startswith("tls://127.0.0.1:")
    plain = running.connect()
    plain.send(frame(event(2), chunk="c"))
    # What the collector answers is an alert of TLS, which is not msgpack.
    assert plain.socket.recv(100)[:1] in {b"", b"\x15"}
    assert running.messages() == ["event 1"]
    # A clean stop waits for what a sender of TLS has not closed.
    sender.close()
    plain.close()


def test_files_that_are_no_certificate_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    with pytest.raises(SettingsError, match=r"c\.pem"):
        tls_context(str(tmp_path / "c.pem"), "")
    with pytest.raises(SettingsError, match="without collector_cert_file"):
        tls_context("", str(tmp_path / "k.pem"))


def test_a_unix_socket_that_somebody_listens_on_is_left_alone(start: Start, tmp_path: Path) -> None:
    first = start(unix=tmp_path / "f.sock", forward="off")
    with pytest.raises(ListenError, match=r"f\.sock is in use"):
        Running(tmp_path / "second", unix=tmp_path / "f.sock", forward="off")
    sender = first.connect(tmp_path / "f.sock")
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "f.sock").write_text("mine")
    with pytest.raises(ListenError, match="is not a socket"):
        Running(tmp_path / "second", unix=tmp_path / "f.sock", forward="off")
    assert (tmp_path / "f.sock").read_text() == "mine"


def test_an_address_of_another_machine_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="not an address of this machine"):
        Running(tmp_path, forward="192.0.2.1:24224")


def test_fluent_logger_is_understood(running: Running) -> None:
    logger = fluent.FluentSender("shop", host="127.0.0.1", port=running.port, nanosecond_precision=True)
    for number in range(20):
        assert logger.emit("orders", {"message": f"order {number}", "total": 9.5, "nested": {"a": [1, 2]}})
    logger.close()
    running.when(lambda: len(running.records()) == 20)
    assert running.messages() == [f"order {number}" for number in range(20)]
    assert running.records()[0]["event.dataset"] == "shop.orders"


def test_fluent_logger_in_its_asynchronous_form_is_understood(running: Running) -> None:
    logger = asyncsender.FluentSender("shop", host="127.0.0.1", port=running.port, queue_maxsize=0)
    for number in range(200):
        logger.emit("orders", {"message": f"order {number}"})
    running.when(lambda: len(running.records()) == 200)
    logger.close()
    assert sorted(running.messages()) == sorted(f"order {number}" for number in range(200))


def test_heartbeats_between_frames_are_nothing(running: Running, sender: Sender) -> None:
    sender.send(msgpack.packb(None) + frame(event(1), chunk="c") + msgpack.packb(None))
    assert sender.acknowledged() == "c"
