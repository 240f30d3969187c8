"""Peers that send garbage, bombs, half frames, nothing at all, or read nothing, beside senders that behave."""

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
import zstandard

from tests.proofs.figures import row
from tests.proofs.scene import PROVE, Collecting, Stored, until
from tests.proofs.sender import Insistent

SECONDS = 120.0 if PROVE else 3.0
EACH_KIND = 3
SENDERS = 2

pytestmark = pytest.mark.timeout(600 if PROVE else 180)

BOMB = zstandard.ZstdCompressor().compress(bytes(64 * 2**20))


def garbage(peer: socket.socket) -> None:
    peer.sendall(random.randbytes(random.randrange(1, 20_000)))


def bomb(peer: socket.socket) -> None:
    peer.sendall(msgpack.packb(["shop", BOMB, {"compressed": "zstd", "chunk": "bomb"}]))


def half_a_frame(peer: socket.socket) -> None:
    peer.sendall(msgpack.packb(["shop", random.randbytes(5_000), {"chunk": "half"}])[:-1000])
    time.sleep(0.2)


def silence(peer: socket.socket) -> None:
    time.sleep(0.5)


def huge_lengths(peer: socket.socket) -> None:
    peer.sendall(b"\x93\xa4shop\xc6" + struct.pack(">I", 0xFFFFFFFF) + b"x" * 1000)


def deep(peer: socket.socket) -> None:
    peer.sendall(b"\x93\xa4shop" + b"\x91" * 100_000)


def deaf(peer: socket.socket) -> None:
    """Ask for acknowledgements and never read one."""
    entry = msgpack.packb([msgpack.ExtType(0, struct.pack(">II", 1, 0)), {"message": "x" * 100}])
    for number in range(200):
        peer.sendall(msgpack.packb(["shop", entry, {"chunk": f"{number:0500d}"}]))


def forged_ids(peer: socket.socket) -> None:
    """Events in the name of processes that never were, scattered over all numbers."""
    entries = b"".join(
        msgpack.packb(
            [
                msgpack.ExtType(0, struct.pack(">II", random.randrange(2**32), 0)),
                {"event.id": f"{random.randbytes(12).hex()}-{random.randrange(10**12):012d}", "message": "forged"},
            ]
        )
        for _ in range(500)
    )
    peer.sendall(msgpack.packb(["shop", entries, {"chunk": "forged"}]))
    peer.recv(100)  # at the speed of the collector: more is a flood, which every sender can cause


KINDS: tuple[Callable[[socket.socket], None], ...] = (
    garbage, bomb, half_a_frame, silence, huge_lengths, deep, deaf, forged_ids,
)  # fmt: skip


def descriptors(pid: int) -> int:
    """How many files and connections a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_hostile_peers_cost_the_others_nothing(tmp_path: Path) -> None:
    state, stop, connections = tmp_path / "state", threading.Event(), [0] * (EACH_KIND * len(KINDS))

    def attack(number: int, kind: Callable[[socket.socket], None]) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", collecting.port), 5) as peer:
                connections[number] += 1
                peer.settimeout(2)
                kind(peer)
            time.sleep(0.1)

    with Collecting(state, tmp_path) as collecting:
        collecting.wait_ready()
        threads = [
            threading.Thread(target=attack, args=(number, KINDS[number % len(KINDS)]))
            for number in range(len(connections))
        ]
        with contextlib.ExitStack() as good:
            senders = [good.enter_context(Insistent(collecting.port)) for _ in range(SENDERS)]
            for thread in threads:
                thread.start()
            time.sleep(SECONDS)
            until(lambda: min(connections) > 0, lambda: f"connections: {connections}")
            stop.set()
            for thread in threads:
                thread.join()
            until(lambda: all(sender.acknowledged for sender in senders), collecting.said)
        alive = not collecting.ended()
        until(lambda: descriptors(collecting.pid) < 200, lambda: f"{descriptors(collecting.pid)} descriptors are still open")
        collecting.stop()
    ids = Counter(event.get("event.id") for event in Stored.read(state / "store").events)
    sent = [f"{sender.incarnation}-{number:012d}" for sender in senders for number in range(1, sender.acknowledged + 1)]
    row(
        "hostile peers at the Forward port",
        f"{len(KINDS)} kinds (garbage, zstd bombs, half frames, silence, lengths of 4 GiB, deep nesting, no reading, "
        f"forged ids) beside {SENDERS} senders",
        f"{sum(connections):,} connections in {SECONDS:.0f} s, {len(sent):,} acknowledged events",
        lost=sum(not ids[one] for one in sent),
        doubled=sum(max(0, ids[one] - 1) for one in sent),
        wrong=int(not alive),
    )
    assert alive
    assert [one for one in sent if ids[one] != 1] == []
    assert "Traceback" not in collecting.said()
