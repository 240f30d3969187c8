"""A foreign sender of Forward frames, made with msgpack and a plain socket."""

import socket
from typing import Any

import msgpack
import zstandard

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
