"""The connection to the agent against far ends that hang, hang up, lie and come back; with a clock of our own."""

import contextlib
import itertools
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logship.errors import SettingsError
from logship.wire.handshake import ServerHandshake
from logship.worker.agent import WINDOW, parse_address
from tests.worker.far_agent import FarAgent, Got, Peer, Sending
from tests.worker.serving import free_port

Make = Callable[..., Sending]


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[Make]:
    """Makes a sender for a far agent (or an address alone); both are closed with the test."""
    made: list[Sending] = []

    def make(far: FarAgent | str, **options: object) -> Sending:
        one = Sending(tmp_path, far if isinstance(far, str) else far.address, **options)
        one.far = None if isinstance(far, str) else far
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def in_frames(sender: Sending, count: int, size_bytes: int = 0) -> None:
    """Log `count` events, each of which travels as a frame of its own."""
    for number in range(count):
        sender.log(f"event {number}", size_bytes=size_bytes)
        sender.agent._fill()


def test_what_is_acknowledged_is_done_in_the_journal_and_the_first_time_is_told(sending: Make) -> None:
    sender = sending(FarAgent())
    sender.log("one", "two")
    assert sender.pending == 2
    sender.until(lambda: not sender.pending)
    sender.log("three")
    sender.until(lambda: not sender.pending)
    assert sender.far is not None
    assert sender.far.stored() == ["one", "two", "three"]
    assert (sender.first_acks, sender.agent.trouble, len(sender.far.peers)) == (1, "", 1)


def test_an_agent_that_accepts_and_never_reads_holds_nobody_and_everything_arrives_when_it_wakes_up(
    sending: Make,
) -> None:
    far = FarAgent()
    far.reads_bytes = 0
    sender = sending(far)
    in_frames(sender, WINDOW, size_bytes=60_000)
    sender.log(*(f"more {number}" for number in range(200)), size_bytes=60_000)
    sender.until(lambda: sender.agent.trouble == "no acknowledgement in time", a_step_seconds=0.1)
    assert sender.pending == len(sender.logged)
    far.reads_bytes = 2**20
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)
    assert sorted(set(far.stored())) == sorted(sender.logged), "sent again is allowed, lost is not"


def test_without_acknowledgement_the_timeout_doubles_up_to_a_minute_and_the_same_bytes_come_again(
    sending: Make,
) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: None
    sender = sending(far)
    in_frames(sender, 2)
    waited = []
    for round_ in range(1, 7):
        sender.until(lambda done=2 * round_: len(far.got) == done, a_step_seconds=0.01)  # type: ignore[misc]
        sender.step()
        deadline = sender.agent.deadline()
        assert deadline is not None
        waited.append(round(deadline - sender.now))
        sender.now = deadline
        sender.step()
    assert waited == [5, 10, 20, 40, 60, 60]
    assert len(far.peers) == 6, "one connection each"
    assert set(far.got) == set(far.got[:2]), "same chunk, same bytes"
    assert [frame.messages[0] for frame in far.got] == ["event 0", "event 1"] * 6
    assert not sender.folder.exists()
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk)
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)


def test_a_slow_reader_gets_every_frame_and_is_not_sent_each_one_again_and_again(sending: Make) -> None:
    far = FarAgent()
    far.reads_bytes = 20_000
    sender = sending(far)
    in_frames(sender, 12, size_bytes=60_000)
    sender.until(lambda: not sender.pending, a_step_seconds=1.0)
    assert set(far.stored()) == set(sender.logged)
    assert len(far.got) < 2 * 12
    assert not sender.folder.exists()


def test_a_refusing_agent_is_asked_ever_less_often_with_jitter_and_at_once_when_it_is_back(sending: Make) -> None:
    port = free_port()
    sender = sending(f"127.0.0.1:{port}")
    sender.log("one")
    pauses = []
    for _ in range(12):
        before = sender.agent.reconnects
        sender.until(lambda before=before: sender.agent.reconnects > before)  # type: ignore[misc]
        assert "connection refused" in sender.agent.trouble
        retry = sender.agent.deadline()
        assert retry is not None
        pauses.append(retry - sender.now)
        sender.now = retry
    limits = [min(10.0, 0.1 * 2**number) for number in range(12)]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))
    assert len({round(pause / limit, 6) for pause, limit in zip(pauses, limits, strict=True)}) > 6, "jitter"
    sender.far = FarAgent(port)
    sender.wait(10.0)
    sender.until(lambda: not sender.pending)
    assert sender.far.stored() == ["one"]


def test_an_agent_that_closes_in_the_middle_of_a_frame_gets_the_same_frame_again(sending: Make) -> None:
    far = FarAgent()
    sender = sending(far)
    sender.log(*(f"event {number}" for number in range(300)), size_bytes=1000)
    far.reads_bytes = 10_000
    for _ in range(10):
        sender.until(lambda: far.peers and not far.peers[-1].closed and far.peers[-1].bytes >= 10_000, 0.1)
        far.peers[-1].hang_up()
    far.reads_bytes = 2**20
    sender.until(lambda: not sender.pending, a_step_seconds=0.1)
    assert far.stored() == sender.logged
    assert not sender.folder.exists(), "nobody passes: it is the agent and not the frame"


def test_an_agent_that_restarts_on_its_port_gets_what_it_had_not_acknowledged(sending: Make) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk) if frame.messages == ("event 0",) else None
    sender = sending(far)
    in_frames(sender, 3)
    sender.until(lambda: len(far.got) == 3 and sender.pending == 2)
    far.close()
    sender.far = again = FarAgent(far.port)
    in_frames(sender, 1)
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)
    assert sorted(again.stored()) == ["event 0", "event 1", "event 2"]


def test_acknowledgements_may_come_in_any_order_and_the_mark_moves_only_over_what_is_complete(sending: Make) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: None
    sender = sending(far)
    in_frames(sender, 4)
    sender.until(lambda: len(far.got) == 4)
    marks = []
    for place in (2, 1, 0, 3):
        far.peers[0].acknowledge(far.got[place].chunk)
        before = sender.agent.acks
        sender.until(lambda before=before: sender.agent.acks > before)  # type: ignore[misc]
        marks.append(sender.pending)
    assert marks == [4, 4, 1, 0]


def test_an_acknowledgement_of_something_else_is_nothing_and_garbage_ends_the_connection(sending: Make) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: peer.acknowledge("somebody else's")
    sender = sending(far)
    sender.log("one")
    sender.until(lambda: far.got)
    sender.wait(0.1)
    assert sender.pending == 1
    far.peers[0].socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk)
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)
    assert len(far.peers) == 2


def test_the_window_is_bounded_and_the_journal_keeps_the_rest(sending: Make) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: None
    sender = sending(far)
    in_frames(sender, 3 * WINDOW)
    sender.until(lambda: len(far.got) == WINDOW)
    for _ in range(20):
        sender.step()
    assert len(far.got) == WINDOW
    assert not sender.agent.room()


# Frames that the agent will not have.


def refusing(poison: set[str], how: Callable[[Peer], object]) -> Callable[[Peer, Got], object]:
    def answer(peer: Peer, frame: Got) -> None:
        if poison & set(frame.messages):
            how(peer)
        else:
            peer.acknowledge(frame.chunk)

    return answer


def hears_nothing(peer: Peer) -> None:
    """Swallow the frame."""


@pytest.mark.parametrize("how", [Peer.hang_up, hears_nothing], ids=["closes the connection", "swallows the frame"])
def test_a_record_that_is_always_refused_is_found_and_set_aside_and_the_others_arrive(
    sending: Make, how: Callable[[Peer], object]
) -> None:
    far = FarAgent()
    far.answer = refusing({"event 77"}, how)
    sender = sending(far)
    sender.log(*(f"event {number}" for number in range(100)))
    beats = itertools.count()

    def beat() -> bool:
        if next(beats) % 40 == 0:
            sender.log(f"beat {len(sender.logged)}")
        return sender.folder.exists() and sender.pending < 3

    sender.until(beat, a_step_seconds=0.05)
    sender.until(lambda: not sender.pending, a_step_seconds=0.05)
    arrived = [message for frame in far.got if "event 77" not in frame.messages for message in frame.messages]
    assert sorted(arrived) == sorted(set(sender.logged) - {"event 77"}), "each once, but the one"
    (path,) = sender.folder.iterdir()
    assert msgpack.unpackb(path.read_bytes())[1]["message"] == "event 77"
    assert sender.journal.identity.dropped()["refused"] == 1
    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(poison=st.sets(st.integers(0, 59), max_size=4))
def test_whichever_records_are_refused_exactly_those_are_set_aside(
    poison: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    far = FarAgent()
    named = {f"event {number}" for number in poison}
    far.answer = refusing(named, Peer.hang_up)
    sender = Sending(tmp_path_factory.mktemp("poison"), far.address)
    sender.far = far
    try:
        for start in range(0, 60, 15):
            sender.log(*(f"event {number}" for number in range(start, start + 15)))
            sender.agent._fill()
        beats = itertools.count()

        def beat() -> bool:
            if next(beats) % 20 == 0 and sender.journal.identity.dropped()["refused"] < len(poison):
                sender.log(f"beat {len(sender.logged)}")
            return not sender.pending

        sender.until(beat, a_step_seconds=0.1)
        assert sender.journal.identity.dropped()["refused"] == len(poison)
        arrived = {message for frame in far.got if not named & set(frame.messages) for message in frame.messages}
        assert arrived == set(sender.logged) - named
    finally:
        sender.close()


def test_an_agent_that_takes_nothing_makes_nobody_throw_anything_away(sending: Make) -> None:
    far = FarAgent()
    sender = sending(far)
    sender.log("before")
    sender.until(lambda: not sender.pending)
    far.answer = lambda peer, frame: peer.hang_up()  # a load balancer that has lost what is behind it
    in_frames(sender, 5)
    sender.until(lambda: len(far.peers) > 60, a_step_seconds=5.0)
    assert sender.pending == 5
    assert not sender.folder.exists()
    assert len(far.peers) - len(far.got) < 3
    assert max(len(frame.messages) for frame in far.got) == 1


def test_a_bad_record_is_not_blamed_on_its_neighbours_when_the_agent_dies_while_it_is_sought(sending: Make) -> None:
    far = FarAgent()
    far.answer = refusing({"event 5"}, Peer.hang_up)
    sender = sending(far)
    sender.log(*(f"event {number}" for number in range(64)))
    sender.agent._fill()
    sender.log("other 1")
    for number in range(4):  # far enough for the first halves
        sender.log(f"other {number}")
        before = len(far.peers)
        sender.until(lambda before=before: len(far.peers) > before, a_step_seconds=0.1)  # type: ignore[misc]
    far.answer = lambda peer, frame: peer.hang_up()
    sender.until(lambda: len(far.peers) > 60, a_step_seconds=5.0)
    assert sender.journal.identity.dropped()["refused"] == 0


# Who may talk to whom.


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


def test_an_agent_without_a_key_never_sends_a_greeting_and_we_say_what_we_wait_for(sending: Make) -> None:
    sender = sending(FarAgent(), agent_shared_key="the key")
    sender.log("one")
    sender.until(lambda: "greeting" in sender.agent.trouble, a_step_seconds=0.1)
    assert sender.pending == 1


def test_an_unknown_host_name_is_named_and_nothing_hangs(sending: Make) -> None:
    sender = sending("no-such-host.invalid:24224")
    sender.log("one")
    sender.until(lambda: "'no-such-host.invalid' is not known" in sender.agent.trouble, a_step_seconds=0.05)
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
        pytest.skip("no openssl on this machine to make a certificate with")
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
    sender.until(lambda: "certificate verify failed" in sender.agent.trouble, a_step_seconds=0.001)
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
    sender.until(lambda: "no answer while tls" in sender.agent.trouble, a_step_seconds=0.1)


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
