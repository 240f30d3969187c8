"""The handshake before the first frame, if the agent has a shared key: HELO, PING, PONG. Bytes only, no sockets.

    agent  -> ["HELO", {"nonce": salt, "auth": salt or empty, "keepalive": true}]
    worker -> ["PING", hostname, salt, hex(salt hostname nonce key), user, hex(auth user password)]
    agent  -> ["PONG", accepted, reason, hostname, hex(salt hostname nonce key)]

hex is sha512 of the parts end to end. Nonces and salts are raw bytes, with the type str in Fluent Bit and bin in fluentd;
both are accepted. Those of logship are 16 ASCII characters with the type str, because Fluent Bit closes the connection on
a bin in a PING, and because every client can read them. Source: Forward Protocol v1, fw_prot.c.

PING and PONG contain the same hash; only the host name in it differs. An agent without the key could return the name and
the digest of the client. So each side uses a distinct host name (`distinct_hostname`), and a client rejects a PONG with the
name of the client, as fluentd does. The handshake does not encrypt, and an agent can relay it to the real one: use tls://
where others can read the traffic or take over the address."""

import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass

from logship.errors import HandshakeRefused, WireError
from logship.wire import atoms
from logship.wire.strangers import other_server, strange

# HELO and PING have about 400 bytes; the rest is for long host names and users.
LIMIT_BYTES = 8192
SETTINGS = "LOGSHIP_AGENT_SHARED_KEY, LOGSHIP_AGENT_USER and LOGSHIP_AGENT_PASSWORD"


@dataclass(frozen=True, slots=True)
class Hello:
    """The HELO of an agent. `nonce`: for the digest of the shared key; `auth`: for that of the password, empty without users."""

    nonce: bytes
    auth: bytes
    keepalive: bool = True


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a client: the shared key, and a user with a password if the agent requires one."""

    key: str
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """The PING of a client, as received and not yet checked."""

    hostname: bytes
    salt: bytes
    key_digest: bytes
    user: bytes
    password_digest: bytes


def new_salt() -> bytes:
    """Return 16 ASCII characters with 96 random bits."""
    return binascii.b2a_base64(os.urandom(12), newline=False)


def distinct_hostname(hostname: str) -> str:
    """Return `hostname` with 32 random bits, so that both sides have different names on one machine too."""
    return f"{hostname}-{os.urandom(4).hex()}"


def parse_hello(data: bytes) -> Hello | None:
    """Return the HELO of the agent, or None while it is incomplete. WireError if `data` is anything else."""
    message, rest = _message(data, b"HELO")
    if message is None:
        return None
    options = message[1] if len(message) == 2 else None
    if rest or not isinstance(options, dict):
        raise WireError("the HELO of the agent does not follow the Forward protocol")
    nonce, auth = options.get(b"nonce"), options.get(b"auth", b"")
    if not isinstance(nonce, bytes) or not isinstance(auth, bytes):
        raise WireError("the HELO of the agent has no nonce")
    return Hello(nonce, auth, options.get(b"keepalive") is not False)


def ping(hello: Hello, credentials: Credentials, hostname: str, salt: bytes) -> bytes:
    """Return the PING in reply to `hello`. `salt`: from `new_salt`, also needed by `check_pong`."""
    host, user = hostname.encode(), credentials.user.encode()
    password = _digest(hello.auth, user, credentials.password.encode()) if hello.auth else b""
    proof = _digest(salt, host, hello.nonce, credentials.key.encode())
    return b"\x96" + b"".join(map(_text, (b"PING", host, salt, proof, user, password)))


def check_pong(data: bytes, hello: Hello, credentials: Credentials, salt: bytes, hostname: str) -> bool:
    """Return whether the PONG of the agent is complete. If it is, it proves that the agent knows the shared key.

    `salt` and `hostname`: those of the PING. HandshakeRefused if the agent rejects the PING, if its digest is wrong, or if it
    returned `hostname`; WireError if `data` is not a PONG."""
    message, rest = _message(data, b"PONG")
    if message is None:
        return False
    if rest or len(message) < 3 or not isinstance(message[1], bool):
        raise WireError("the PONG of the agent does not follow the Forward protocol")
    if not message[1]:
        reason = message[2].decode("utf-8", "replace") if isinstance(message[2], bytes) else "no reason given"
        raise HandshakeRefused(f"the agent refused the handshake ({reason!r:.200}); check {SETTINGS}")
    host, proof = message[3:5] if len(message) >= 5 else (b"", b"")
    if not isinstance(host, bytes) or not isinstance(proof, bytes):
        raise WireError("the PONG of the agent has no host name and digest")
    if host == hostname.encode():
        raise HandshakeRefused(
            "the agent returned the host name and digest of the client instead of proving that it knows the shared key; "
            "check which process listens at LOGSHIP_AGENT"
        )
    if not hmac.compare_digest(proof, _digest(salt, host, hello.nonce, credentials.key.encode())):
        raise HandshakeRefused(
            "the agent accepted the shared key but does not know it itself; "
            "check LOGSHIP_AGENT_SHARED_KEY and which process listens at LOGSHIP_AGENT"
        )
    return True


class ClientHandshake:
    """The handshake of a client: pass received bytes to `feed` until `done`, send what it returns."""

    def __init__(self, credentials: Credentials, hostname: str) -> None:
        self.done = False
        self._credentials = credentials
        self._hostname = distinct_hostname(hostname)
        self._salt = new_salt()
        self._hello: Hello | None = None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes to send, often none. On HandshakeRefused or WireError close the connection."""
        if self.done:
            raise ValueError("the handshake is done; pass acknowledgements to AckReader")
        self._held += data
        if self._hello is not None:
            self.done = check_pong(self._held, self._hello, self._credentials, self._salt, self._hostname)
            return b""
        self._hello = parse_hello(self._held)
        if self._hello is None:
            return b""
        self._held = b""
        return ping(self._hello, self._credentials, self._hostname, self._salt)

    def ended(self) -> HandshakeRefused:
        """Return the error for an agent that closed the connection before `done`."""
        if self._hello is None:
            return HandshakeRefused(
                "the agent sent no HELO: it may have no shared key (then unset"
                " LOGSHIP_AGENT_SHARED_KEY) or require TLS (then set LOGSHIP_AGENT=tls://HOST:PORT)"
            )
        # Fluent Bit sends no reply to a wrong key, and a PONG to a wrong user.
        return HandshakeRefused(f"the agent closed the connection after the PING; check {SETTINGS}")


def hello(nonce: bytes, auth: bytes, keepalive: bool = True) -> bytes:
    """Return the HELO that opens a connection. `nonce`: from `new_salt`; `auth`: another salt, or empty without users."""
    salts = b"".join(map(_text, (b"nonce", nonce, b"auth", auth)))
    return b"\x92" + _text(b"HELO") + b"\x83" + salts + _text(b"keepalive") + (b"\xc3" if keepalive else b"\xc2")


def parse_ping(data: bytes) -> tuple[Ping, bytes] | None:
    """Return the PING of a client and the bytes after it, or None while it is incomplete. WireError for anything else."""
    message, rest = _message(data, b"PING")
    if message is None:
        return None
    fields = [field for field in message[1:] if isinstance(field, bytes)]
    if len(message) != 6 or len(fields) != 5:
        raise WireError("the PING does not follow the Forward protocol")
    return Ping(*fields), rest


def check_ping(sent: Ping, hello: Hello, key: str, users: Mapping[str, str], hostname: str) -> bytes:
    """Return the PONG that accepts `sent`. `users`: passwords by name; if empty, the shared key is sufficient.

    HandshakeRefused, with a rejecting PONG as its `answer`, if the shared key, the user or the password is wrong."""
    if not hmac.compare_digest(sent.key_digest, _digest(sent.salt, sent.hostname, hello.nonce, key.encode())):
        raise HandshakeRefused("a client has a different shared key", _pong(False, "shared key mismatch"))
    if users:
        # An unknown user takes the same time as a wrong password and has the same result.
        password = users.get(sent.user.decode("utf-8", "replace"))
        expected = _digest(hello.auth, sent.user, (password or "").encode())
        if not hmac.compare_digest(sent.password_digest, expected) or password is None:
            raise HandshakeRefused("a client sent a wrong user or password", _pong(False, "wrong user or password"))
    return _pong(True, "", hostname, _digest(sent.salt, hostname.encode(), hello.nonce, key.encode()))


class ServerHandshake:
    """The handshake of a listener: send `greeting`, pass received bytes to `feed` until `done`, send what it returns."""

    def __init__(self, key: str, users: Mapping[str, str], hostname: str) -> None:
        self.done = False
        self.rest = b""
        """Bytes after the PING, for the decoder: the first frames of a client that did not wait for the PONG."""
        self._hello = Hello(new_salt(), new_salt() if users else b"")
        self.greeting = hello(self._hello.nonce, self._hello.auth)
        self._key = key
        self._users = users
        self._hostname = hostname
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes to send, often none. On WireError send its `answer` and close the connection."""
        if self.done:
            raise ValueError("the handshake is done; pass frames to Decoder")
        self._held += data
        parsed = parse_ping(self._held)
        if parsed is None:
            return b""
        answer = check_ping(parsed[0], self._hello, self._key, self._users, self._hostname)
        self.done, self.rest, self._held = True, parsed[1], b""
        return answer


def _message(data: bytes, name: bytes) -> tuple[list[object] | None, bytes]:
    """Return the message `name` and the bytes after it; None while it is incomplete."""
    # The first byte decides, so that a peer that speaks HTTP or sends frames at once is rejected without a wait.
    if data and not 0x92 <= data[0] <= 0x9F:
        raise WireError(_unexpected(data, name))
    taken = atoms.take(data)
    if taken is None:
        if len(data) > LIMIT_BYTES:
            raise WireError(f"{name.decode()} has more than {LIMIT_BYTES} bytes")
        return None, b""
    message, end = taken
    if not isinstance(message, list) or message[0] != name:
        raise WireError(_unexpected(data, name))
    return message, data[end:]


def _unexpected(data: bytes, name: bytes) -> str:
    if name == b"PING":
        if data[:1] in {b"\x92", b"\x93", b"\x94"}:
            return "received a frame instead of a PING: the sender has no shared key; set LOGSHIP_AGENT_SHARED_KEY there"
        return f"received {strange(data)} instead of a PING; this listener requires a shared key"
    return other_server(data) or f"received {data[:20]!r} instead of {name.decode()}; check the address in LOGSHIP_AGENT"


def _pong(accepted: bool, reason: str, hostname: str = "", proof: bytes = b"") -> bytes:
    verdict = b"\xc3" if accepted else b"\xc2"
    return b"\x95" + _text(b"PONG") + verdict + b"".join(map(_text, (reason.encode(), hostname.encode(), proof)))


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha512(b"".join(parts)).hexdigest().encode("ascii")


def _text(data: bytes) -> bytes:
    return atoms.text_head(len(data)) + data
