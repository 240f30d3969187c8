"""A foreign sender of Forward frames, made with msgpack and a plain socket."""

import contextlib
import secrets
import socket
import threading
import time
from typing import Any

import msgpack
import zstandard

from logship.event.entry import pack
from logship.wire.send import new_chunk


class Sender:
    """One connection; frames are acknowledged in order."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        self._unpacker = msgpack.Unpacker()

    def send(self, tag: str, entries: list[bytes], zstd: bool = False) -> str:
        """Send a PackedForward frame, compressed if asked, and return its chunk."""
        chunk, body = new_chunk(), b"".join(entries)
        option: dict[str, object] = {"chunk": chunk, "size": len(entries)}
        if zstd:
            body, option["compressed"] = zstandard.ZstdCompressor().compress(body), "zstd"
        self._socket.sendall(msgpack.packb([tag, body, option]))
        return chunk

    def acknowledged(self) -> str | None:
        """The next chunk that is acknowledged, None when the connection was closed."""
        while True:
            answer: dict[str, Any]
            for answer in self._unpacker:
                return str(answer["ack"])
            received = self._socket.recv(65536)
            if not received:
                return None
            self._unpacker.feed(received)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Insistent:
    """A sender that keeps four frames of ten events unacknowledged, and sends them again when the connection is lost."""

    WINDOW, EVENTS = 4, 10

    def __init__(self, port: int) -> None:
        self.incarnation = secrets.token_hex(12)
        self.acknowledged = 0
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="insistent")

    def __enter__(self) -> "Insistent":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError), Sender(self._port) as sender:
                self._send(sender)
            time.sleep(0.05)

    def _send(self, sender: Sender) -> None:
        sent = 0
        while not self._stop.is_set():
            while sent < self.WINDOW:
                first = self.acknowledged + sent * self.EVENTS + 1
                sender.send("logship.events", [self._entry(first + one) for one in range(self.EVENTS)])
                sent += 1
            if sender.acknowledged() is None:
                return
            self.acknowledged += self.EVENTS
            sent -= 1
            time.sleep(0.002)

    def _entry(self, number: int) -> bytes:
        name = f"{self.incarnation}-{number:012d}"
        kind = {"event.dataset": "logship.app", "service.ephemeral_id": self.incarnation}
        return pack(time.time_ns(), {"event.id": name, "event.sequence": number, "message": "x" * 300, **kind})
