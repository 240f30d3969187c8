"""The connection to the agent: Forward with acknowledgement over a socket that never blocks.

Bundles of entries come in order from a feed; at most eight frames are unacknowledged. A lost connection is made again
after a jittered pause and the same bytes are sent again, in order. What the agent seems to refuse goes last and alone; a
frame refused three times while others pass is halved until one record is left, which is set aside: one bad record does
not hold up the rest, and an agent that takes nothing at all makes nobody throw anything away.
"""

import contextlib
import errno
import os
import random
import select
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from logship.errors import WireError
from logship.event.entry import TAG
from logship.settings import Settings
from logship.wire import send
from logship.wire.address import parse_address
from logship.wire.tls import PLAIN, client_context, handshake_trouble
from logship.worker.shipping.bundle import Bundle, Feed

if TYPE_CHECKING:
    from logship.wire.handshake import ClientHandshake

WINDOW = 8
REFUSALS = 3
CONNECT_SECONDS = 5.0
SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
LONGEST_ACK_SECONDS = 60.0
# By state: what an agent that says nothing may be.
SILENT = {
    "connecting": f"no connection within {CONNECT_SECONDS:g} s",
    "tls": f"no TLS handshake within {CONNECT_SECONDS:g} s; perhaps {PLAIN}",
    "greeting": (
        f"no HELO within {CONNECT_SECONDS:g} s: the agent may have no shared key (then unset LOGSHIP_AGENT_SHARED_KEY), or"
        " speak TLS (then write LOGSHIP_AGENT=tls://HOST:PORT)"
    ),
}
NEVER_ACKNOWLEDGED = (
    "check that LOGSHIP_AGENT names a Forward port (24224 by default, not HTTP), and whether it requires TLS (tls://HOST:PORT)"
)


class Frame:
    """A bundle on its way: the same bytes and the same chunk however often it is sent."""

    __slots__ = ("acked", "acks_before", "bundle", "chunk", "overtaken", "parts", "refusals", "sent_at")

    def __init__(self, bundle: Bundle, refusals: int = 0, acks_before: int = 0) -> None:
        """`acks_before`: what the agent had acknowledged in all when it last refused this."""
        self.bundle = bundle
        self.chunk = send.new_chunk()
        body = bundle.body()
        head, tail = send.frame_head(TAG, len(body)), send.frame_tail(self.chunk, bundle.records)
        self.parts: tuple[bytes | memoryview, ...] = (head, body, tail)
        self.acked = self.overtaken = False
        self.refusals = refusals
        self.acks_before = acks_before
        self.sent_at = 0.0


class Lost(Exception):
    """The connection is of no use any more; the text says why."""


class Closed(Lost):
    """The agent closed the connection: perhaps it will not have what we sent."""


class Late(Lost):
    """The agent is silent: it hangs, or it swallowed what we sent."""


class NameNotFound(Lost):
    """The agent's host name has no address."""


class ForwardAgent:
    """One connection, its window, and what it waits for. Not for several threads: the shipping thread owns it.

    `step` does what can be done without waiting; `wants` and `deadline` say what to wait for before the next one."""

    def __init__(self, settings: Settings, feed: Feed, first_ack: Callable[[], object]) -> None:
        self.address = parse_address(settings.agent)
        self.acks = 0
        self.trouble = ""
        self.unreachable = False
        self.reconnects = 0
        self._settings = settings
        self._feed = feed
        self._first_ack = first_ack
        self._socket: socket.socket | None = None
        self._state = "away"  # then connecting, tls, greeting, ready
        self._retry_at = 0.0
        self._pause = SHORTEST_PAUSE_SECONDS
        self._ack_seconds = settings.ack_timeout_seconds
        self._until = 0.0
        self._window: deque[Frame] = deque()
        self._unsent: deque[Frame] = deque()
        self._outbox: deque[memoryview] = deque()
        self._sent: list[Frame] = []
        self._reader = send.AckReader()
        self._greeting: ClientHandshake | None = None
        self._resolved: list[tuple[int, object]] = []
        self._resolving: threading.Thread | None = None
        self._tls_wants = 0

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
        if self._sent and self._sent[0].overtaken:  # while others are acknowledged it has to keep its own time
            return min(self._until, self._sent[0].sent_at + self._ack_seconds)
        return self._until if self._sent or self._state != "ready" else None

    def room(self) -> bool:
        """Whether another frame may go out now."""
        return self._state == "ready" and self._open() < WINDOW and not self._outbox

    def _open(self) -> int:
        return sum(not frame.acked for frame in self._window)

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
            due = self.deadline()
            if self._state != "away" and due is not None and now >= due:
                self._ack_seconds = min(self._ack_seconds * 2, LONGEST_ACK_SECONDS)
                raise Late(self._awaited())
        except (Lost, OSError, WireError) as error:
            self._lose(now, error)

    def _awaited(self) -> str:
        """What did not come in time, and what to check if it never came from this agent."""
        if self._state != "ready":
            return SILENT[self._state]
        return "no acknowledgement in time" + ("" if self.acks else f"; {NEVER_ACKNOWLEDGED}")

    def _fill(self) -> None:
        while self._open() < WINDOW:
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
        if code not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code).lower())
        self._state = "connecting"

    def _place(self) -> tuple[int, object] | None:
        """Family and address to connect to; None while a thread of its own resolves the name, since that may hang."""
        address = self.address
        if address.unix:
            return socket.AF_UNIX, address.host
        if self._resolving is None:
            self._resolve(socket.AI_NUMERICHOST)
            if not self._resolved:
                self._resolving = threading.Thread(target=self._resolve, daemon=True, name="logship-resolve")
                self._resolving.start()
                self._resolving.join(0.02)
        if self._resolving is not None and self._resolving.is_alive():
            return None
        self._resolving = None
        if not self._resolved:
            raise NameNotFound(f"host name {address.host!r} not found")
        return self._resolved[self.reconnects % len(self._resolved)]

    def _resolve(self, flags: int = 0) -> None:
        self._resolved = []
        with contextlib.suppress(OSError):
            found = socket.getaddrinfo(self.address.host, self.address.port, type=socket.SOCK_STREAM, flags=flags)
            self._resolved = [(family, target) for family, _, _, _, target in found]

    def _connected(self, now: float) -> None:
        assert self._socket is not None
        if not _ready(self._socket, select.POLLOUT):
            return
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code).lower())
        if not self.address.tls:
            self._greet(now)
            return
        context = client_context(self._settings.agent_ca_file)
        self._socket = context.wrap_socket(
            self._socket, server_hostname=self.address.host, do_handshake_on_connect=False
        )
        self._state = "tls"

    def _shake_hands(self, now: float) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wants:
            self._tls_wants = select.POLLIN if isinstance(wants, ssl.SSLWantReadError) else select.POLLOUT
            return
        except OSError as error:
            raise handshake_trouble(error) from error
        self._tls_wants = 0
        self._greet(now)

    def _greet(self, now: float) -> None:
        self._reader = send.AckReader()
        if self._settings.agent_shared_key:
            self._greeting = _handshake(self._settings)
        self._until = now + CONNECT_SECONDS
        self._state = "greeting" if self._settings.agent_shared_key else "ready"
        self._sent = []
        self._outbox.clear()
        again = [frame for frame in self._window if not frame.acked]
        self._unsent = deque(sorted(again, key=lambda frame: frame.refusals))  # stable: the others keep their order

    def _read(self, now: float) -> None:
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data and self._greeting is not None and self._state == "greeting":
                raise self._greeting.ended()
            if not data:
                raise Closed("the agent closed the connection" + ("" if self.acks else f"; {NEVER_ACKNOWLEDGED}"))
            if self._greeting is not None and self._state == "greeting":
                answer = self._greeting.feed(data)
                if answer:
                    self._outbox.append(memoryview(answer))
                    self._push()
                if self._greeting.done:
                    self._state = "ready"
                continue
            for chunk in self._reader.feed(data):
                self._acknowledged(chunk, now)

    def _acknowledged(self, chunk: str, now: float) -> None:
        place = next((place for place, frame in enumerate(self._sent) if frame.chunk == chunk), None)
        if place is None:
            return
        for frame in self._sent[:place]:
            frame.overtaken = True
        frame = self._sent.pop(place)
        frame.acked = True
        frame.parts = ()
        self.acks += 1
        self._pause = SHORTEST_PAUSE_SECONDS
        # A slow agent is given twice what it took: otherwise each frame would be sent several times.
        took = min(2 * (now - frame.sent_at), LONGEST_ACK_SECONDS)
        self._ack_seconds = max(self._settings.ack_timeout_seconds, took)
        self._until = now + self._ack_seconds
        self.trouble = ""
        if self.acks == 1:
            self._first_ack()
        self._settle()

    def _settle(self) -> None:
        """Take what is acknowledged from the front: bundles are done in the order of the feed."""
        while self._window and self._window[0].acked:
            self._window.popleft().bundle.done()

    def _send(self, now: float) -> None:
        moved = self._push()
        while self._unsent and not self._outbox:
            # Alone, so that a closed connection can only mean this frame.
            if self._sent and any(frame.refusals and not frame.acked for frame in self._window):
                break
            frame = self._unsent.popleft()
            frame.sent_at = now
            self._sent.append(frame)
            self._outbox.extend(memoryview(part) for part in frame.parts)
            moved = self._push() or moved
        if moved:  # a slow reader is no silent one
            self._until = now + self._ack_seconds

    def _push(self) -> bool:
        """Send what the kernel takes now; whether it took anything."""
        assert self._socket is not None
        before = len(self._outbox), len(self._outbox[0]) if self._outbox else 0
        while self._outbox:
            try:
                if isinstance(self._socket, ssl.SSLSocket):
                    sent = self._socket.send(self._outbox[0])
                else:
                    sent = self._socket.sendmsg(self._outbox)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            while sent:
                part = self._outbox.popleft()
                if sent < len(part):
                    self._outbox.appendleft(part[sent:])
                sent -= min(sent, len(part))
        return before != (len(self._outbox), len(self._outbox[0]) if self._outbox else 0)

    def _lose(self, now: float, error: Exception) -> None:
        self.trouble = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.unreachable = isinstance(error, (ConnectionRefusedError, FileNotFoundError, NameNotFound))
        blamed = self._blamed(error)
        self.disconnect()
        self.reconnects += 1
        self._retry_at = now + self._pause * random.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        if blamed is not None:
            self._refused(blamed)

    def _blamed(self, error: Exception) -> Frame | None:
        """The frame that may be the reason: an agent goes in order, so it is the first that is not acknowledged."""
        if self._state != "ready" or not self._sent:
            return None
        first = self._sent[0]
        if isinstance(error, Late):  # a hung agent refuses nothing; one that acknowledged what came later does
            return first if first.overtaken or first.refusals else None
        return first if isinstance(error, Closed) or _reset(error) else None

    def _refused(self, frame: Frame) -> None:
        others_pass = frame.acks_before != self.acks
        frame.acks_before = self.acks
        frame.refusals += 1  # who was refused less often goes before it
        if frame.refusals < REFUSALS or not self.acks:
            return
        if frame.bundle.records == 1:
            if others_pass:  # otherwise it may be the agent; halving does no harm then, and lets the others pass
                frame.bundle.set_aside()
                frame.acked = True
                self._settle()
            return
        place = self._window.index(frame)
        self._window.remove(frame)
        for half in reversed(frame.bundle.split()):
            self._window.insert(place, Frame(half, REFUSALS - 1, self.acks))

    def disconnect(self) -> None:
        """Close the connection; what was not acknowledged is sent again on the next."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._state = "away"
        self._sent = []
        self._outbox.clear()


def _reset(error: Exception) -> bool:
    return isinstance(error, ssl.SSLEOFError) or (
        isinstance(error, OSError) and error.errno in {errno.ECONNRESET, errno.EPIPE}
    )


def _ready(connection: socket.socket, events: int) -> bool:
    poller = select.poll()
    poller.register(connection, events)
    return bool(poller.poll(0))


def _handshake(settings: Settings) -> "ClientHandshake":
    # Imported here: hashing costs each worker 6 ms at its start, and few agents ask for a key.
    from logship.wire.handshake import ClientHandshake, Credentials

    known = Credentials(settings.agent_shared_key, settings.agent_user, settings.agent_password)
    return ClientHandshake(known, socket.gethostname())
