"""How the agent is reached and who may talk to whom: names, keys, users, certificates, unix sockets."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from logship.errors import SettingsError
from logship.wire.address import parse_address
from logship.wire.handshake import ServerHandshake
from tests import needs
from tests.worker.far_agent import FarAgent, Sending, in_frames

Make = Callable[..., Sending]


def guarded(user: str = "", password: str = "") -> FarAgent:
    return FarAgent(handshake=lambda: ServerHandshake("the key", {user: password} if user else {}, "far"))


def test_with_the_right_key_and_user_events_arrive(sending: Make) -> None:
    sender = sending(guarded("ann", "pw"), agent_shared_key="the key", agent_user="ann", agent_password="pw")
    sender.log("one")
    sender.until(lambda: not sender.pending, a_step_seconds=0.001)


@pytest.mark.parametrize(
    "options",
    [
        {"agent_shared_key": "another"},
        {"agent_shared_key": "the key", "agent_user": "ann", "agent_password": "wrong"},
        {"agent_shared_key": "the key", "agent_user": "bob", "agent_password": "pw"},
        {"agent_shared_key": "the key"},
    ],
    ids=["another key", "wrong password", "wrong user", "no user"],
)
def test_with_a_wrong_key_or_user_nothing_leaves_and_the_reason_names_the_settings(
    sending: Make, options: dict[str, object]
) -> None:
    far = guarded("ann", "pw")
    sender = sending(far, **options)
    sender.log("one")
    sender.until(lambda: sender.agent.reconnects > 2, a_step_seconds=0.05)
    assert "LOGSHIP_AGENT_SHARED_KEY" in sender.agent.trouble
    assert (far.got, sender.pending) == ([], 1)


class Reflecting(ServerHandshake):
    """An agent that does not know the key and returns the client's own host name and digest."""

    def __init__(self) -> None:
        super().__init__("another key", {}, "far")

    def feed(self, data: bytes) -> bytes:
        self.done = True
        _, hostname, _, digest, *_ = msgpack.unpackb(data)
        pong: bytes = msgpack.packb(["PONG", True, "", hostname, digest])
        return pong


def test_an_agent_that_returns_our_own_digest_gets_no_event(sending: Make) -> None:
    far = FarAgent(handshake=Reflecting)
    sender = sending(far, agent_shared_key="the key")
    sender.log("one")
    sender.until(lambda: sender.agent.reconnects > 2, a_step_seconds=0.05)
    assert "the host name and digest of the client" in sender.agent.trouble
    assert (far.got, sender.pending) == ([], 1)


def test_an_agent_without_a_key_never_sends_a_greeting_and_we_say_what_we_wait_for(sending: Make) -> None:
    sender = sending(FarAgent(), agent_shared_key="the key")
    sender.log("one")
    sender.until(lambda: "then unset LOGSHIP_AGENT_SHARED_KEY" in sender.agent.trouble, a_step_seconds=0.1)
    assert sender.pending == 1


def test_an_unknown_host_name_is_named_and_nothing_hangs(sending: Make) -> None:
    sender = sending("no-such-host.invalid:24224")
    sender.log("one")
    sender.until(lambda: "'no-such-host.invalid' not found" in sender.agent.trouble, a_step_seconds=0.05)
    assert sender.pending == 1


def test_a_name_is_resolved_and_each_of_its_addresses_is_tried(sending: Make) -> None:
    far = FarAgent()  # on 127.0.0.1 alone; localhost may be ::1 as well
    sender = sending(f"localhost:{far.port}")
    sender.far = far
    sender.log("one")
    sender.until(lambda: not sender.pending, a_step_seconds=0.05)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that vouches for itself; its key is beside it."""
    if shutil.which("openssl") is None:
        needs.lacks("openssl", "no openssl on this machine to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    made = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", *words.split(), *made], check=True, capture_output=True)
    return folder / "cert.pem"


def secured(certificate: Path) -> FarAgent:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return FarAgent(tls=context)


def test_events_travel_through_tls_in_frames_of_any_size_and_over_lost_connections(
    sending: Make, certificate: Path
) -> None:
    far = secured(certificate)
    sender = sending(far, agent_ca_file=str(certificate))
    in_frames(sender, 5)
    sender.until(lambda: not sender.pending, a_step_seconds=0.001)
    sender.log(*(f"big {number}" for number in range(40)), size_bytes=50_000)
    far.peers[-1].hang_up()
    sender.until(lambda: not sender.pending, a_step_seconds=0.001)
    assert set(far.stored()) == set(sender.logged)


def test_an_agent_whose_certificate_nobody_vouches_for_gets_nothing(sending: Make, certificate: Path) -> None:
    far = secured(certificate)
    sender = sending(far)
    sender.log("one")
    sender.until(lambda: "not trusted (self-signed certificate)" in sender.agent.trouble, a_step_seconds=0.001)
    assert (far.got, sender.pending) == ([], 1)


def test_a_missing_file_of_certificates_is_a_trouble_and_no_exception(sending: Make, certificate: Path) -> None:
    sender = sending(secured(certificate), agent_ca_file="/nowhere/ca.pem")
    sender.log("one")
    sender.until(lambda: "No such file" in sender.agent.trouble, a_step_seconds=0.001)


def test_an_agent_that_speaks_no_tls_is_given_up_after_the_greeting_time(sending: Make) -> None:
    far = FarAgent()
    far.reads_bytes = 0
    sender = sending(f"tls://localhost:{far.port}")
    sender.far = far
    sender.log("one")
    sender.until(lambda: "no TLS handshake within 5 s" in sender.agent.trouble, a_step_seconds=0.1)


def test_events_travel_over_a_unix_socket_that_may_come_later(sending: Make, tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    sender = sending(f"unix://{path}")
    sender.log("one")
    sender.until(lambda: "no such file" in sender.agent.trouble, a_step_seconds=0.01)
    sender.far = FarAgent(path)
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)
    assert sender.far.stored() == ["one"]


def test_a_unix_socket_whose_queue_is_full_is_tried_again(sending: Make, tmp_path: Path) -> None:
    far = FarAgent(tmp_path / "agent.sock")
    far.listener.listen(0)
    with contextlib.ExitStack() as waiting:
        for _ in range(5):
            one = waiting.enter_context(socket.socket(socket.AF_UNIX))
            one.setblocking(False)
            one.connect_ex(str(tmp_path / "agent.sock"))
        sender = sending(far.address)
        sender.log("one")
        sender.until(lambda: "temporarily unavailable" in sender.agent.trouble, a_step_seconds=0.01)
    sender.far = far
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("127.0.0.1:24224", "127.0.0.1:24224"),
        ("tcp://agent:1", "agent:1"),
        ("tls://agent.example:24224", "tls://agent.example:24224"),
        ("[::1]:24224", "::1:24224"),
        ("unix:///run/agent.sock", "unix:///run/agent.sock"),
    ],
)
def test_addresses_are_read(text: str, shown: str) -> None:
    assert str(parse_address(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "agent", "agent:", ":24224", "agent:0", "agent:65536", "http://agent:1", "udp://a:1"]
)
def test_what_is_no_address_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(SettingsError, match="use HOST:PORT"):
        parse_address(text)


class Answering:
    """A listener that is not a Forward agent: it answers what comes with fixed bytes, then closes."""

    def __init__(self, answer: bytes, tls: bool = False) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"{'tls://localhost' if tls else '127.0.0.1'}:{self.listener.getsockname()[1]}"
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(self._answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass

    def close(self) -> None:
        self.listener.close()


HELO = ServerHandshake("the key", {}, "far").greeting


@pytest.mark.parametrize(
    ("answer", "options", "sentence"),
    [
        (HELO, {}, "requires a shared key: set LOGSHIP_AGENT_SHARED_KEY"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", {}, "must name the Forward port"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", {"agent_shared_key": "k"}, "LOGSHIP_AGENT"),
        (b"\x15\x03\x01\x00\x02\x02\x46", {}, "the agent requires TLS: set LOGSHIP_AGENT=tls://"),
        (b"", {}, "check that LOGSHIP_AGENT names a Forward port"),
    ],
    ids=["key", "http", "http and key", "tls", "closed"],
)
def test_an_agent_that_answers_something_else_is_named_with_what_to_change(
    sending: Make, answer: bytes, options: dict[str, object], sentence: str
) -> None:
    with contextlib.closing(Answering(answer)) as other:
        sender = sending(other.address, **options)
        sender.log("one")
        sender.until(lambda: sentence in sender.agent.trouble, a_step_seconds=0.05)
        assert sender.pending == 1


@pytest.mark.parametrize("answer", [HELO, b""], ids=["helo", "closed"])
def test_an_agent_that_does_not_speak_tls_is_said(sending: Make, answer: bytes) -> None:
    with contextlib.closing(Answering(answer, tls=True)) as other:
        sender = sending(other.address)
        sender.log("one")
        sender.until(lambda: "without tls://" in sender.agent.trouble, a_step_seconds=0.05)
        assert sender.pending == 1


def test_a_ca_file_that_is_not_there_is_named(sending: Make, tmp_path: Path) -> None:
    with contextlib.closing(Answering(b"", tls=True)) as other:
        sender = sending(other.address, agent_ca_file=str(tmp_path / "none.pem"))
        sender.log("one")
        expected = f"LOGSHIP_AGENT_CA_FILE: no certificates can be read from {tmp_path}/none.pem"
        sender.until(lambda: expected in sender.agent.trouble, a_step_seconds=0.05)
