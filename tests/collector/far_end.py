"""A collector in a loop of its own thread, on port 0, over a real store; and senders with plain sockets."""

import asyncio
import base64
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgpack

from logship.collector.serve import Collector
from logship.event.entry import TAG, pack
from logship.search.query import Page, Query, Record
from logship.settings import load
from logship.store.read.reader import Reader
from logship.store.write.store import Store

T = TypeVar("T")


class Running:
    """A collector that was started; `stop()` is a clean stop."""

    def __init__(self, directory: Path, *, most: int | None = None, **options: object) -> None:
        """`most`: senders at a time, None for what the process has descriptors for."""
        self.directory, self.most = directory, most
        self.settings = load({"state_dir": directory, "forward": "127.0.0.1:0", **options}, {})
        self.senders: list[Sender] = []
        self.store = Store(self.settings.store_dir)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="collector loop")
        self.thread.start()
        self.collector = self.run(self._make())
        try:
            self.run(self.collector.start())
        except BaseException:
            self.stop()
            raise

    async def _make(self) -> Collector:
        return Collector(self.settings, self.store, self.most)

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self.loop).result(30)

    def close(self) -> None:
        """A clean stop, and the senders with it."""
        self.stop()
        for sender in self.senders:
            sender.close()

    def stop(self) -> None:
        if self.loop.is_closed():
            return
        self.run(self.collector.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.store.close()

    def connect(self, to: Path | None = None, tls: ssl.SSLContext | None = None) -> "Sender":
        """A new sender, closed with the collector."""
        self.senders.append(Sender(to or self.port, tls))
        return self.senders[-1]

    @property
    def port(self) -> int:
        return int(self.collector.addresses[0].rpartition(":")[2])

    def health(self) -> dict[str, int]:
        return self.collector.health()

    def records(self) -> list[Record]:
        reader = Reader(self.settings.store_dir)
        try:
            return reader.search(Query(), Page(10_000, newest_first=False)).records
        finally:
            reader.close()

    def messages(self) -> list[str]:
        return [str(record.get("message")) for record in self.records()]

    def when(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Return as soon as `holds()`; the test fails when it never does."""
        ends = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < ends, f"it never happened; {self.health()}"
            time.sleep(0.01)


class Sender:
    """A socket that speaks Forward, byte by byte as the test wants it."""

    def __init__(self, to: int | Path, tls: ssl.SSLContext | None = None) -> None:
        if isinstance(to, Path):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10)
            self.socket.connect(str(to))
        else:
            self.socket = socket.create_connection(("127.0.0.1", to), 10)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._unpacker = msgpack.Unpacker()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def packed(self, *records: dict[str, object], chunk: str | None = None) -> str:
        """Send one PackedForward frame, and return the chunk it asks to be acknowledged."""
        chunk = chunk or new_chunk()
        self.send(frame(*records, chunk=chunk))
        return chunk

    def answer(self) -> Any:
        """The next msgpack value of the collector, None when it closed."""
        while True:
            for value in self._unpacker:
                return value
            try:
                received = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not received:
                return None
            self._unpacker.feed(received)

    def acknowledged(self) -> str | None:
        answer = self.answer()
        return None if answer is None else str(answer["ack"])

    def close(self) -> None:
        self.socket.close()

    def hang_up_half(self) -> None:
        """Say that nothing more will come, and go on listening."""
        self.socket.shutdown(socket.SHUT_WR)


def new_chunk() -> str:
    return base64.b64encode(os.urandom(16)).decode()


def frame(*records: dict[str, object], chunk: str | None, tag: str = TAG) -> bytes:
    entries = b"".join(pack(time.time_ns(), record) for record in records)
    packed: bytes = msgpack.packb([tag, entries, {"chunk": chunk, "size": len(records)} if chunk else {}])
    return packed


def event(number: int, **more: object) -> dict[str, object]:
    incarnation = "0" * 24
    return {
        "event.id": f"{incarnation}-{number:012d}",
        "event.sequence": number,
        "service.ephemeral_id": incarnation,
        "event.dataset": "logship.app",
        "message": f"event {number}",
        **more,
    }
