import hashlib
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import HandshakeRefused, WireError
from logship.wire.handshake import (
    LIMIT_BYTES,
    ClientHandshake,
    Credentials,
    Hello,
    ServerHandshake,
    check_pong,
    parse_hello,
    parse_ping,
    ping,
)
from tests.wire.samples import cut

USERS = {"ada": "secret", "bob": "other"}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(NAMES, NAMES, NAMES, st.booleans(), st.data())
def test_both_sides_agree_however_bytes_arrive(
    key: str, user: str, password: str, users: bool, data: st.DataObject
) -> None:
    server = ServerHandshake(key, {user: password, "zoe": "x"} if users else {}, "agent.example")
    client = ClientHandshake(Credentials(key, user, password), "worker.example")
    sent = b"".join(client.feed(piece) for piece in cut(server.greeting, data))
    answer = b"".join(server.feed(piece) for piece in cut(sent, data) if not server.done)
    for piece in cut(answer, data):
        if not client.done:
            assert client.feed(piece) == b""
    assert (client.done, server.done, server.rest) == (True, True, b"")


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        (Credentials("wrong", "ada", "secret"), "shared key mismatch"),
        (Credentials("key", "ada", "wrong"), "wrong user or password"),
        (Credentials("key", "eve", "secret"), "wrong user or password"),
        (Credentials("key", "eve", ""), "wrong user or password"),
        (Credentials("key"), "wrong user or password"),
    ],
)
def test_a_wrong_key_or_user_is_refused_and_both_sides_know_why(credentials: Credentials, reason: str) -> None:
    server, client = ServerHandshake("key", USERS, "agent"), ClientHandshake(credentials, "worker")
    with pytest.raises(HandshakeRefused) as refused:
        server.feed(client.feed(server.greeting))
    assert not server.done
    with pytest.raises(HandshakeRefused, match=reason):
        client.feed(refused.value.answer)
    assert not client.done


def test_an_agent_that_does_not_know_the_key_itself_is_refused() -> None:
    server, client = ServerHandshake("key", {}, "agent"), ClientHandshake(Credentials("key"), "worker")
    answer = server.feed(client.feed(server.greeting))
    forged = answer[:-1] + (b"0" if answer[-1:] != b"0" else b"1")
    with pytest.raises(HandshakeRefused, match="does not know it itself"):
        client.feed(forged)
    assert not client.done


def returned(sent: bytes, hostname: object = None) -> bytes:
    """A PONG with the host name and digest of a PING: what an agent without the key can send."""
    _, own_name, _, digest, *_ = msgpack.unpackb(sent)
    pong: bytes = msgpack.packb(["PONG", True, "", own_name if hostname is None else hostname, digest])
    return pong


@pytest.mark.parametrize("changed", [None, "", "worker", "WORKER"])
def test_an_agent_that_returns_our_own_digest_is_refused(changed: str | None) -> None:
    server, client = ServerHandshake("key", {}, "agent"), ClientHandshake(Credentials("key"), "worker")
    with pytest.raises(HandshakeRefused):
        client.feed(returned(client.feed(server.greeting), changed))
    assert not client.done


@pytest.mark.parametrize("rest", [[], [""], ["", "agent"], ["", "agent", ""]])
def test_a_pong_without_a_digest_proves_nothing(rest: list[str]) -> None:
    server, client = ServerHandshake("key", {}, "agent"), ClientHandshake(Credentials("key"), "worker")
    client.feed(server.greeting)
    with pytest.raises(WireError):
        client.feed(msgpack.packb(["PONG", True, *rest]))
    assert not client.done


def test_a_client_and_an_agent_on_one_machine_accept_each_other() -> None:
    server, client = ServerHandshake("key", {}, "shop-1"), ClientHandshake(Credentials("key"), "shop-1")
    client.feed(server.feed(client.feed(server.greeting)))
    assert client.done


def test_frames_behind_the_ping_are_kept() -> None:
    server, client = ServerHandshake("key", {}, "agent"), ClientHandshake(Credentials("key"), "worker")
    server.feed(client.feed(server.greeting) + b"frames")
    assert server.rest == b"frames"


def test_a_connection_closed_during_the_handshake_names_the_settings() -> None:
    server, client = ServerHandshake("key", {}, "agent"), ClientHandshake(Credentials("wrong"), "worker")
    assert "sent no HELO" in str(client.ended())
    client.feed(server.greeting)
    assert "LOGSHIP_AGENT_SHARED_KEY" in str(client.ended())


NONCE = bytes(range(0xF0, 0x100))
AUTH = bytes(range(0x80, 0x90))


@pytest.mark.parametrize("use_bin_type", [True, False])  # fluentd's way, Fluent Bit's way
def test_a_hello_with_raw_bytes_is_read(use_bin_type: bool) -> None:
    data = msgpack.packb(["HELO", {"nonce": NONCE, "auth": AUTH, "keepalive": True}], use_bin_type=use_bin_type)
    assert parse_hello(data) == Hello(NONCE, AUTH, True)
    assert all(parse_hello(data[:size]) is None for size in range(len(data)))


def test_a_ping_is_what_fluent_bit_checks() -> None:
    # fw_prot.c: six elements, each a msgpack str, digests in hex over salt, host name, nonce and key.
    sent = ping(Hello(NONCE, AUTH), Credentials("key", "ada", "secret"), "worker", b"s" * 16)
    assert msgpack.unpackb(sent) == [
        "PING",
        "worker",
        "s" * 16,
        hashlib.sha512(b"s" * 16 + b"worker" + NONCE + b"key").hexdigest(),
        "ada",
        hashlib.sha512(AUTH + b"ada" + b"secret").hexdigest(),
    ]


@pytest.mark.parametrize("use_bin_type", [True, False])
def test_a_ping_with_a_raw_salt_is_read_and_answered(use_bin_type: bool) -> None:
    server = ServerHandshake("key", {}, "agent")
    nonce = msgpack.unpackb(server.greeting)[1]["nonce"].encode()
    proof = hashlib.sha512(NONCE + b"fluentd" + nonce + b"key").hexdigest()
    pong = server.feed(msgpack.packb(["PING", "fluentd", NONCE, proof, "", ""], use_bin_type=use_bin_type))
    expected = hashlib.sha512(NONCE + b"agent" + nonce + b"key").hexdigest()
    assert msgpack.unpackb(pong) == ["PONG", True, "", "agent", expected]


@pytest.mark.parametrize("reason", ["user/password mismatch", b"\xff", 5])
def test_a_short_pong_that_refuses_is_read(reason: object) -> None:
    with pytest.raises(HandshakeRefused, match="refused"):
        check_pong(msgpack.packb(["PONG", False, reason]), Hello(NONCE, b""), Credentials("key"), b"salt", "worker")


def test_without_users_nobody_is_asked_for_a_password() -> None:
    assert msgpack.unpackb(ServerHandshake("key", {}, "agent").greeting)[1]["auth"] == ""
    assert len(msgpack.unpackb(ServerHandshake("key", USERS, "agent").greeting)[1]["auth"]) == 16


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK",
        msgpack.packb(["HELO"]),
        msgpack.packb(["HELO", {}]),
        msgpack.packb(["HELO", {"nonce": 1}]),
        msgpack.packb(["HELO", {"nonce": b"n", "auth": None}]),
        msgpack.packb(["HELO", {"nonce": b"n"}]) + b"more",
        msgpack.packb(["PING", "a", "b", "c", "d", "e"]),
        b"\xdd\xff\xff\xff\xff",
        b"\x92" + b"\xa4HELO" + b"\x91" * 100,
        b"\x92\xdb\x7f\xff\xff\xff" + b"x" * LIMIT_BYTES,
    ],
)
def test_what_is_no_hello_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError):
        ClientHandshake(Credentials("key"), "worker").feed(data)


@pytest.mark.parametrize(
    "data",
    [
        msgpack.packb(["tag", 1, {"a": 1}]),
        msgpack.packb(["PING", "a", "b", "c", "d"]),
        msgpack.packb(["PING", "a", "b", "c", "d", 5]),
        msgpack.packb(["PING", "a", "b", "c", "d", "e", "f"]),
        b"\x96\xa4PING\xdb\x7f\xff\xff\xff" + b"x" * LIMIT_BYTES,
    ],
)
def test_what_is_no_ping_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError):
        ServerHandshake("key", {}, "agent").feed(data)


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: b"\x96\xa4PING" + tail))
def test_any_bytes_are_waited_for_or_refused(data: bytes) -> None:
    for read in (parse_hello, parse_ping):
        with suppress(WireError):
            read(data)
