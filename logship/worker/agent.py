"""The connection to the agent: Forward with acknowledgement over a socket that never blocks.

Bundles of entries come in order from a feed; at most eight frames are unacknowledged. A lost connection is made again
after a jittered pause and the same bytes are sent again, in order. A frame that the agent refuses three times while
others pass is halved until one record is left, which is set aside: one bad record does not hold up the rest.
"""

import errno
import ipaddress
import random
import select
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from logship.errors import LogshipError, WireError
from logship.settings import Settings
from logship.wire import handshake, send

TAG = "logship.events"
WINDOW = 8
REFUSALS = 3
CONNECT_SECONDS = 5.0
SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
LONGEST_ACK_SECONDS = 60.0


class Bundle(Protocol):
    """Entries that travel as one frame: our own journal's, or an orphan's."""

    records: int

    def body(self) -> bytes | memoryview: ...
    def entries(self) -> list[bytes]: ...
    def split(self) -> "tuple[Bundle, Bundle]": ...
    def done(self) -> None: ...
    def set_aside(self) -> None: ...


class Feed(Protocol):
    def next(self) -> Bundle | None: ...


class Frame:
    """A bundle on its way: the same bytes and the same chunk however often it is sent."""

    __slots__ = ("acked", "acks_when_refused", "bundle", "chunk", "deadline", "parts", "refusals", "suspect")

    def __init__(self, bundle: Bundle, suspect: bool = False) -> None:
        self.bundle = bundle
        self.chunk = send.new_chunk()
        body = bundle.body()
        self.parts = (send.frame_head(TAG, len(body)), body, send.frame_tail(self.chunk, bundle.records))
        self.acked = False
        self.refusals = 0
        self.acks_when_refused = 0
        self.suspect = suspect
        self.deadline = 0.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where an agent listens. `family` "unix" has a path as host."""

    host: str
    port: int
    tls: bool = False
    unix: bool = False

    def __str__(self) -> str:
        return f"unix://{self.host}" if self.unix else f"{'tls://' if self.tls else ''}{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address in `HOST:PORT`, `tcp://…`, `tls://…` or `unix:///PATH`. LogshipError says what is wrong."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tcp", text
    if scheme == "unix":
        return Address(rest, 0, unix=True)
    host, _, port = rest.rpartition(":")
    if scheme not in {"tcp", "tls"} or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise LogshipError(
            f"agent {text!r} is no address: use HOST:PORT, tls://HOST:PORT, unix:///PATH, stdout, file:PATH, console or off"
        )
    return Address(host.strip("[]"), int(port), tls=scheme == "tls")


class Lost(Exception):
    """The connection is of no use any more; the text says why."""


class Closed(Lost):
    """The agent closed the connection: perhaps it will not have what we sent."""


class ForwardAgent:
    """One connection, its window, and what it waits for. Not for several threads: the shipping thread owns it.

    `step` does what can be done without waiting; `wants` and `deadline` say what to wait for before the next one."""

    def __init__(self, settings: Settings, feed: Feed, first_ack: Callable[[], None]) -> None:
        self.address = parse_address(settings.agent)
        self.acks = 0
        self.trouble = ""
        self.reconnects = 0
        self._settings = settings
        self._feed = feed
        self._first_ack = first_ack
        self._socket: socket.socket | None = None
        self._state = "away"
        self._retry_at = 0.0
        self._pause = SHORTEST_PAUSE_SECONDS
        self._ack_seconds = settings.ack_timeout_seconds
        self._until = 0.0
        self._window: deque[Frame] = deque()
        self._unsent: deque[Frame] = deque()
        self._outbox: deque[memoryview] = deque()
        self._sent: list[Frame] = []
        self._reader = send.AckReader()
        self._credentials = handshake.Credentials(
            settings.agent_shared_key, settings.agent_user, settings.agent_password
        )
        self._greeting = handshake.ClientHandshake(self._credentials, socket.gethostname())
        self._resolved: list[tuple[int, object]] | None = None
        self._resolving: threading.Thread | None = None
        self._tls_wants = 0
        self._context = self._tls_context() if self.address.tls else None

    # What the thread waits for.

    def wants(self) -> tuple[int, int] | None:
        """(descriptor, poll events), or None while there is no connection."""
        if self._socket is None:
            return None
        if self._state == "connecting" or self._outbox:
            return self._socket.fileno(), select.POLLIN | select.POLLOUT
        return self._socket.fileno(), self._tls_wants or select.POLLIN

    def deadline(self) -> float | None:
        """Monotonic second at which `step` has something to do even if nothing arrives."""
        if self._state == "away":
            return self._retry_at if self._window or self._resolving else None
        if self._state != "ready":
            return self._until
        return min((frame.deadline for frame in self._sent), default=None)

    def idle(self) -> bool:
        """Whether everything that was taken from the feed is acknowledged."""
        return not self._window

    def room(self) -> bool:
        """Whether another frame may go out now."""
        return self._state == "ready" and len(self._window) < WINDOW and not self._outbox

    # What happens.

    def step(self, now: float) -> None:
        """Connect, greet, send, read, time out: whatever is due and does not wait."""
        try:
            if self._state == "away":
                self._fill()
                if self._window and now >= self._retry_at:
                    self._connect(now)
            if self._state == "connecting":
                self._connected(now)
            if self._state == "tls":
                self._shake_hands(now)
            if self._state in {"greeting", "ready"}:
                self._read(now)
            if self._state == "ready":
                self._fill()
                self._send(now)
                if any(now > frame.deadline for frame in self._sent):
                    self._ack_seconds = min(self._ack_seconds * 2, LONGEST_ACK_SECONDS)
                    raise Lost("no acknowledgement in time")
            elif self._state != "away" and now > self._until:
                raise Lost(f"no answer while {self._state}")
        except (Lost, OSError, WireError) as error:
            self._lose(now, error)

    def _fill(self) -> None:
        while len(self._window) < WINDOW:
            bundle = self._feed.next()
            if bundle is None:
                return
            frame = Frame(bundle)
            self._window.append(frame)
            self._unsent.append(frame)
            if self._state != "ready":
                return

    def _connect(self, now: float) -> None:
        place = self._place()
        if place is None:
            self._retry_at = now + 0.05
            return
        family, target = place
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        if family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._until = now + CONNECT_SECONDS
        code = self._socket.connect_ex(target)  # type: ignore[arg-type]
        if code not in {0, errno.EINPROGRESS, errno.EAGAIN}:
            raise OSError(code, errno.errorcode.get(code, str(code)))
        self._state = "connecting"

    def _place(self) -> tuple[int, object] | None:
        """Family and address to connect to; None while a name is being resolved by a thread of its own, since it may hang."""
        address = self.address
        if address.unix:
            return socket.AF_UNIX, address.host
        try:
            version = ipaddress.ip_address(address.host).version
            return socket.AF_INET if version == 4 else socket.AF_INET6, (address.host, address.port)
        except ValueError:
            pass
        if self._resolving is None:
            self._resolved = None
            self._resolving = threading.Thread(target=self._resolve, daemon=True, name="logship-resolve")
            self._resolving.start()
            self._resolving.join(0.02)
        if self._resolving.is_alive():
            return None
        self._resolving = None
        if not self._resolved:
            raise Lost(f"the name {address.host!r} is not known")
        return self._resolved[self.reconnects % len(self._resolved)]

    def _resolve(self) -> None:
        try:
            found = socket.getaddrinfo(self.address.host, self.address.port, type=socket.SOCK_STREAM)
            self._resolved = [(family, target) for family, _, _, _, target in found]
        except OSError:
            self._resolved = []

    def _connected(self, now: float) -> None:
        assert self._socket is not None
        if not _ready(self._socket, select.POLLOUT):
            return
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, errno.errorcode.get(code, str(code)))
        if self._context is None:
            self._greet(now)
            return
        self._socket = self._context.wrap_socket(
            self._socket, server_hostname=self.address.host, do_handshake_on_connect=False
        )
        self._state = "tls"

    def _shake_hands(self, now: float) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._tls_wants = select.POLLIN
            return
        except ssl.SSLWantWriteError:
            self._tls_wants = select.POLLOUT
            return
        self._tls_wants = 0
        self._greet(now)

    def _greet(self, now: float) -> None:
        self._reader = send.AckReader()
        self._greeting = handshake.ClientHandshake(self._credentials, socket.gethostname())
        self._until = now + CONNECT_SECONDS
        self._state = "greeting" if self._settings.agent_shared_key else "ready"
        self._sent = []
        self._outbox.clear()
        again = [frame for frame in self._window if not frame.acked]
        # Suspects and what was refused often go last, so that the others are not held up.
        self._unsent = deque(sorted(again, key=lambda frame: frame.suspect or frame.refusals >= REFUSALS))

    def _read(self, now: float) -> None:
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data and self._state == "greeting":
                raise self._greeting.ended()
            if not data:
                raise Closed("the agent closed the connection")
            if self._state == "greeting":
                answer = self._greeting.feed(data)
                if answer:
                    self._outbox.append(memoryview(answer))
                    self._push()
                if self._greeting.done:
                    self._state = "ready"
                continue
            for chunk in self._reader.feed(data):
                self._acknowledged(chunk)

    def _acknowledged(self, chunk: str) -> None:
        frame = next((frame for frame in self._sent if frame.chunk == chunk), None)
        if frame is None:
            return
        frame.acked = True
        self._sent.remove(frame)
        self.acks += 1
        self._pause = SHORTEST_PAUSE_SECONDS
        self._ack_seconds = self._settings.ack_timeout_seconds
        self.trouble = ""
        if self.acks == 1:
            self._first_ack()
        self._settle()

    def _settle(self) -> None:
        """Take what is acknowledged from the front: bundles are done in the order of the feed."""
        while self._window and self._window[0].acked:
            self._window.popleft().bundle.done()

    def _send(self, now: float) -> None:
        self._push()
        while self._unsent and not self._outbox:
            frame = self._unsent[0]
            if frame.suspect and self._sent:
                return  # alone, so that a closed connection can only mean this one
            self._unsent.popleft()
            frame.deadline = now + self._ack_seconds
            self._sent.append(frame)
            self._outbox.extend(memoryview(part) for part in frame.parts)
            self._push()
            if frame.suspect:
                return

    def _push(self) -> None:
        assert self._socket is not None
        while self._outbox:
            try:
                if isinstance(self._socket, ssl.SSLSocket):
                    sent = self._socket.send(self._outbox[0])
                else:
                    sent = self._socket.sendmsg(self._outbox)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            while sent:
                part = self._outbox[0]
                if sent < len(part):
                    self._outbox[0] = part[sent:]
                    return
                sent -= len(part)
                self._outbox.popleft()

    def _lose(self, now: float, error: Exception) -> None:
        self.trouble = str(error) or type(error).__name__
        refused = isinstance(error, Closed) or _reset(error)
        suspected = self._sent[0] if refused and self._sent and self._state == "ready" else None
        self.disconnect()
        self.reconnects += 1
        self._retry_at = now + self._pause * random.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        if suspected is not None:
            self._refused(suspected, now)

    def _refused(self, frame: Frame, now: float) -> None:
        if frame.refusals == 0:
            frame.acks_when_refused = self.acks
        frame.refusals += 1
        others_pass = self.acks > frame.acks_when_refused
        if not frame.suspect and (frame.refusals < REFUSALS or not others_pass):
            return
        # Known to be the frame and not the agent: no pause between the halves.
        self._retry_at = now
        self._pause = SHORTEST_PAUSE_SECONDS
        place = self._window.index(frame)
        if frame.bundle.records == 1:
            frame.bundle.set_aside()
            frame.acked = True
            self._settle()
            return
        halves = [Frame(half, suspect=True) for half in frame.bundle.split()]
        rest = list(self._window)
        self._window = deque([*rest[:place], *halves, *rest[place + 1 :]])

    def disconnect(self) -> None:
        """Close the connection; what was not acknowledged is sent again on the next."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._state = "away"
        self._sent = []
        self._outbox.clear()

    def _tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.agent_ca_file or None)


def _reset(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in {errno.ECONNRESET, errno.EPIPE}


def _ready(connection: socket.socket, events: int) -> bool:
    poller = select.poll()
    poller.register(connection, events)
    return bool(poller.poll(0))
