"""An agent that behaves as badly as a test wants, and a worker's sending half that is stepped against it by hand."""

import io
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from logship.event import entry
from logship.settings import load
from logship.state import home
from logship.state.identity import Facts
from logship.state.journal import Journal
from logship.wire.handshake import ServerHandshake
from logship.worker.shipping.agent import ForwardAgent
from logship.worker.shipping.journal_feed import JournalFeed
from logship.worker.shipping.refused import RefusedRecords

MIB = 2**20


@dataclass(frozen=True)
class Got:
    """A frame as it came."""

    chunk: str
    body: bytes
    messages: tuple[str, ...]


def entries(body: bytes) -> list[tuple[Any, dict[str, Any]]]:
    """The (time, fields) of each entry of a frame."""
    return list(msgpack.Unpacker(io.BytesIO(body), max_buffer_size=64 * MIB))


class Peer:
    """One accepted connection."""

    def __init__(self, connection: socket.socket, handshake: ServerHandshake | None) -> None:
        self.socket = connection
        self.handshake = handshake
        self.bytes = 0
        self.closed = False
        self._unpacker = msgpack.Unpacker(max_buffer_size=64 * MIB)

    def read(self, most: int) -> list[Got]:
        """The frames that have become whole; `closed` when the other side hung up."""
        frames: list[Got] = []
        while not self.closed:
            try:
                data = self.socket.recv(min(most, 65536))
            except (BlockingIOError, ssl.SSLWantReadError):
                return frames
            except OSError:
                data = b""
            self.closed = not data
            self.bytes += len(data)
            frames += self._feed(data)
            most -= len(data)
            if most <= 0:
                return frames
        return frames

    def _feed(self, data: bytes) -> list[Got]:
        if self.handshake is not None and not self.handshake.done:
            if data:
                self.socket.sendall(self.handshake.feed(data))
            return []
        self._unpacker.feed(data)
        return [
            Got(option["chunk"], body, tuple(fields["message"] for _, fields in entries(body)))
            for _, body, option in self._unpacker
        ]

    def acknowledge(self, chunk: str) -> None:
        self.socket.sendall(msgpack.packb({"ack": chunk}))

    def hang_up(self) -> None:
        self.closed = True
        self.socket.close()


class FarAgent:
    """A listener that does nothing by itself: `turn` accepts, reads and lets `answer` decide about each frame."""

    def __init__(
        self,
        to: Path | int = 0,
        tls: ssl.SSLContext | None = None,
        handshake: Callable[[], ServerHandshake] | None = None,
    ) -> None:
        if isinstance(to, Path):
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(to))
            self.address = f"unix://{to}"
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            self.listener.bind(("127.0.0.1", to))
            self.address = f"{'tls://localhost' if tls else '127.0.0.1'}:{self.listener.getsockname()[1]}"
        self.listener.listen()
        self.listener.setblocking(False)
        self.peers: list[Peer] = []
        self.got: list[Got] = []
        self.reads_bytes = 64 * MIB
        self.answer: Callable[[Peer, Got], object] = lambda peer, frame: peer.acknowledge(frame.chunk)
        self._tls = tls
        self._handshake = handshake

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def stored(self) -> list[str]:
        """The messages of all frames, as they came."""
        return [message for frame in self.got for message in frame.messages]

    def turn(self) -> None:
        """Accept who waits, read at most `reads_bytes` of each, answer."""
        try:
            connection = self.listener.accept()[0]
        except (BlockingIOError, OSError):
            pass
        else:
            self._welcome(connection)
        for peer in self.peers:
            if peer.closed or not self.reads_bytes:
                continue
            try:
                frames = peer.read(self.reads_bytes)
            except Exception:
                peer.hang_up()  # a handshake that was refused
                continue
            for frame in frames:
                if not peer.closed:
                    self.got.append(frame)
                    self.answer(peer, frame)

    def _welcome(self, connection: socket.socket) -> None:
        if self._tls is not None:
            connection.settimeout(0.05)
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        connection.setblocking(False)
        handshake = self._handshake() if self._handshake else None
        if handshake is not None:
            connection.sendall(handshake.greeting)
        self.peers.append(Peer(connection, handshake))

    def close(self) -> None:
        self.listener.close()
        for peer in self.peers:
            peer.hang_up()


class Sending:
    """A journal, its feed and the connection to `address`; `now` is the only clock that the connection sees."""

    def __init__(self, tmp_path: Path, address: str, **options: object) -> None:
        state = home.open_home(tmp_path / "state")
        self.journal = Journal(state.journals, Facts(service="shop"), 32 * MIB)
        self.journal.prepare()
        self.folder = state.path / "refused"
        self.first_acks = 0
        self.now = 1000.0
        self.far: FarAgent | None = None
        self.logged: list[str] = []
        settings = load({"agent": address, **options}, {})
        self.feed = JournalFeed(self.journal, RefusedRecords(self.journal, self.folder))
        self.agent = ForwardAgent(settings, self.feed, self._first)

    def _first(self) -> None:
        self.first_acks += 1

    def log(self, *texts: str, size_bytes: int = 0) -> None:
        """Append one event for each text."""
        for text in texts:
            fields = {"message": text, "labels": {"filler": "x" * size_bytes}}
            assert self.journal.append((entry.begin(time.time_ns(), len(fields)), entry.pairs(fields)))
            self.journal.prepare()
            self.logged.append(text)

    def step(self) -> None:
        """Both sides do what is due."""
        self.agent.step(self.now)
        if self.far is not None:
            self.far.turn()

    def until(self, holds: Callable[[], object], a_step_seconds: float = 0.0, seconds: float = 60.0) -> None:
        """Step until `holds()`, `a_step_seconds` of the fake clock between two steps; fails after `seconds` of the real one."""
        ends = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < ends, f"it never happened; the last trouble was {self.agent.trouble!r}"
            self.step()
            self.now += a_step_seconds
            time.sleep(0.0005)

    def wait(self, seconds: float) -> None:
        """Let the fake clock pass, then step."""
        self.now += seconds
        self.step()

    @property
    def pending(self) -> int:
        return self.journal.pending_events()

    def close(self) -> None:
        self.agent.disconnect()
        if self.far is not None:
            self.far.close()


class AwakeAgent(FarAgent):
    """A far agent that takes its turns by itself, in a thread, until it is closed."""

    def __init__(self, to: Path | int = 0) -> None:
        super().__init__(to)
        self._open = True
        self._thread = threading.Thread(target=self._turn_always, name="far agent")
        self._thread.start()

    def _turn_always(self) -> None:
        while self._open:
            self.turn()
            time.sleep(0.001)

    def close(self) -> None:
        self._open = False
        self._thread.join()
        super().close()


def in_frames(sender: Sending, count: int, size_bytes: int = 0) -> None:
    """Log `count` events, each of which travels as a frame of its own."""
    for number in range(count):
        sender.log(f"event {number}", size_bytes=size_bytes)
        sender.agent._fill()
