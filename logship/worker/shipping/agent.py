"""Delivery to the agent: Forward with acknowledgement. A lost connection is made again after a jittered pause."""

import errno
import random
import ssl
from collections.abc import Callable

from logship.errors import WireError
from logship.settings import Settings
from logship.wire.address import parse_address
from logship.wire.tls import PLAIN
from logship.worker.shipping.bundle import Feed
from logship.worker.shipping.connection import ShippingConnection, Stage
from logship.worker.shipping.resolver import Resolver
from logship.worker.shipping.window import FrameWindow, SentFrame

CONNECT_SECONDS = 5.0
RESOLVE_SECONDS = 0.05
SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
LONGEST_ACK_SECONDS = 60.0
# By stage: why an agent may be silent.
SILENT = {
    Stage.CONNECTING: f"no connection within {CONNECT_SECONDS:g} s",
    Stage.TLS: f"no TLS handshake within {CONNECT_SECONDS:g} s; perhaps {PLAIN}",
    Stage.GREETING: (
        f"no HELO within {CONNECT_SECONDS:g} s: the agent may have no shared key (then unset LOGSHIP_AGENT_SHARED_KEY), or"
        " speak TLS (then write LOGSHIP_AGENT=tls://HOST:PORT)"
    ),
}
NEVER_ACKNOWLEDGED = (
    "check that LOGSHIP_AGENT names a Forward port (24224 by default, not HTTP), and whether it requires TLS (tls://HOST:PORT)"
)


class Disconnected(Exception):
    """The connection is of no more use; the text says why."""


class ClosedByAgent(Disconnected):
    """The agent closed the connection: it may refuse what we sent."""


class AgentSilent(Disconnected):
    """The agent did not answer in time: it hangs, or it lost what we sent."""


class NameNotFound(Disconnected):
    """The agent's host name has no address."""


class ForwardAgent:
    """An outlet that sends bundles to the agent, and the same bytes again, in order, until they are acknowledged.

    For the shipping thread alone. `reconnects`: how often a connection was lost or could not be made."""

    def __init__(self, settings: Settings, feed: Feed, on_first_ack: Callable[[], object]) -> None:
        self.address = parse_address(settings.agent)
        self.trouble = ""
        self.unreachable = False
        self.reconnects = 0
        self._settings = settings
        self._on_first_ack = on_first_ack
        self._window = FrameWindow(feed)
        self._resolver = Resolver(self.address)
        self._connection: ShippingConnection | None = None
        self._retry_at = 0.0
        self._pause = SHORTEST_PAUSE_SECONDS
        self._ack_seconds = settings.ack_timeout_seconds
        self._until = 0.0

    @property
    def acks(self) -> int:
        """Frames acknowledged so far."""
        return self._window.acks

    def wants(self) -> tuple[int, int] | None:
        return None if self._connection is None else self._connection.wants()

    def deadline(self) -> float | None:
        if self._connection is None:
            return self._retry_at if self._window or self._resolver.busy() else None
        oldest = self._window.oldest_sent()
        if oldest is not None and oldest.overtaken:  # later frames are acknowledged: it has a separate deadline
            return min(self._until, oldest.sent_at + self._ack_seconds)
        return self._until if oldest is not None or not self._is_ready() else None

    def room(self) -> bool:
        return self._connection is not None and self._is_ready() and self._connection.is_idle() and self._window.has_room()

    def _is_ready(self) -> bool:
        return self._connection is not None and self._connection.stage is Stage.READY

    def step(self, now: float) -> None:
        """Connect, greet, send, receive, time out: whatever is due and does not wait."""
        try:
            if self._connection is None:
                self._fill()
                if self._window and now >= self._retry_at:
                    self._connect(now)
            if self._connection is not None:
                self._advance(self._connection, now)
        except (Disconnected, OSError, WireError) as error:
            self._lose(now, error)

    def _advance(self, connection: ShippingConnection, now: float) -> None:
        if connection.establish():
            self._until = now + CONNECT_SECONDS
            self._window.reconnect()
        if connection.stage in {Stage.GREETING, Stage.READY}:
            self._receive(connection, now)
        if connection.stage is Stage.READY:
            self._fill()
            self._send(connection, now)
        due = self.deadline()
        if due is not None and now >= due:
            self._ack_seconds = min(self._ack_seconds * 2, LONGEST_ACK_SECONDS)
            raise AgentSilent(self._silence(connection.stage))

    def _fill(self) -> None:
        """Take frames from the feed; without a connection only one, so that there is a reason to connect."""
        while self._window.has_room() and self._window.take():
            if not self._is_ready():
                return

    def _connect(self, now: float) -> None:
        targets = self._resolver.targets()
        if targets is None:
            self._retry_at = now + RESOLVE_SECONDS
            return
        if not targets:
            raise NameNotFound(f"host name {self.address.host!r} not found")
        self._until = now + CONNECT_SECONDS
        self._connection = ShippingConnection(self._settings, self.address, targets[self.reconnects % len(targets)])

    def _receive(self, connection: ShippingConnection, now: float) -> None:
        while (data := connection.receive()) is not None:
            if connection.stage is Stage.GREETING:
                connection.greet(data)
            elif data:
                for chunk in connection.acks.feed(data):
                    self._acknowledge(chunk, now)
            else:
                raise ClosedByAgent("the agent closed the connection" + self._advice())

    def _acknowledge(self, chunk: str, now: float) -> None:
        frame = self._window.acknowledge(chunk)
        if frame is None:
            return
        self._pause = SHORTEST_PAUSE_SECONDS
        # A slow agent gets twice the time it took: otherwise each frame would be sent several times.
        took = min(2 * (now - frame.sent_at), LONGEST_ACK_SECONDS)
        self._ack_seconds = max(self._settings.ack_timeout_seconds, took)
        self._until = now + self._ack_seconds
        self.trouble = ""
        self.unreachable = False
        if self.acks == 1:
            self._on_first_ack()
        self._window.settle()

    def _send(self, connection: ShippingConnection, now: float) -> None:
        moved = connection.push()
        while connection.is_idle() and (frame := self._window.next_to_send(now)) is not None:
            connection.queue(frame.parts)
            moved = connection.push() or moved
        if moved:  # an agent that reads slowly is not silent
            self._until = now + self._ack_seconds

    def _silence(self, stage: Stage) -> str:
        """Return what did not come in time, and what to check if it never came from this agent."""
        return SILENT.get(stage) or "no acknowledgement in time" + self._advice()

    def _advice(self) -> str:
        return "" if self.acks else f"; {NEVER_ACKNOWLEDGED}"

    def _lose(self, now: float, error: Exception) -> None:
        self.trouble = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.unreachable = isinstance(error, (ConnectionRefusedError, FileNotFoundError, NameNotFound))
        refused = self._refused_by(error)
        self.disconnect()
        self.reconnects += 1
        self._retry_at = now + self._pause * random.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        if refused is not None:
            self._window.refuse(refused)

    def _refused_by(self, error: Exception) -> SentFrame | None:
        """Return the frame that may be the reason: an agent reads in order, so the first that is not acknowledged."""
        oldest = self._window.oldest_sent()
        if oldest is None or not self._is_ready():
            return None
        if isinstance(error, AgentSilent):  # a hung agent refuses nothing; one that acknowledged later frames does
            return oldest if oldest.overtaken or oldest.refusals else None
        return oldest if isinstance(error, ClosedByAgent) or _is_reset(error) else None

    def disconnect(self) -> None:
        """Close the connection; what is not acknowledged is sent again on the next."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._window.disconnect()


def _is_reset(error: Exception) -> bool:
    return isinstance(error, ssl.SSLEOFError) or (
        isinstance(error, OSError) and error.errno in {errno.ECONNRESET, errno.EPIPE}
    )
