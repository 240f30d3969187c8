"""Faulty agents for benchmarks: each is a process, `python far_ends.py MODE PORT KEEPS`, that is killed at the end.

Modes: good, refusing (nothing listens), hung (accepts and never reads), slow (16 KB every 50 ms), restarting (closes all
connections every 0.7 s), mid-frame (closes after 20 KB, three times of four)."""

import contextlib
import io
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack

MIB = 2**20
HERE = Path(__file__).resolve()


def far_end(mode: str, port: int, keeps: bool) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if mode == "hung":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    listener.bind(("127.0.0.1", port))
    listener.listen(16)
    print(listener.getsockname()[1], flush=True)
    number = 0
    while True:
        connection = listener.accept()[0]
        number += 1
        threading.Thread(target=serve, args=(connection, mode, number, keeps), daemon=True).start()


stored: set[str] = set()


def serve(connection: socket.socket, mode: str, number: int, keeps: bool) -> None:
    ends = time.monotonic() + 0.7 if mode == "restarting" else float("inf")
    unpacker = msgpack.Unpacker(max_buffer_size=256 * MIB)
    read = 0
    with contextlib.suppress(OSError), connection:
        while mode == "hung":
            time.sleep(60)
        while time.monotonic() < ends:
            if mode == "slow":
                time.sleep(0.05)
            data = connection.recv(16384)
            if not data:
                return
            read += len(data)
            if mode == "mid-frame" and number % 4 and read > 20_000:
                return
            unpacker.feed(data)
            for _, entries, option in unpacker:
                if keeps:
                    keep(entries)
                connection.sendall(msgpack.packb({"ack": option["chunk"]}))


def keep(entries: bytes) -> None:
    """Print each id when it arrives for the first time."""
    fresh = {fields["event.id"] for _, fields in msgpack.Unpacker(io.BytesIO(entries))} - stored
    stored.update(fresh)
    sys.stdout.write("".join(f"{one}\n" for one in fresh))
    sys.stdout.flush()


@contextlib.contextmanager
def agent(mode: str, port: int = 0, keeps: bool = False) -> Iterator[tuple[int, "subprocess.Popen[str] | None"]]:
    """Return (port, process) of an agent; mode "refusing": a port without a listener."""
    if mode == "refusing":
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that listens may come
            held.bind(("127.0.0.1", port))
            yield held.getsockname()[1], None
        return
    words = [sys.executable, str(HERE), mode, str(port), str(int(keeps))]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def ids_of(far: "subprocess.Popen[str] | None") -> Iterator[set[str]]:
    """Stop the agent and return the ids that it stored before acknowledging them."""
    ids: set[str] = set()
    if far is None:
        yield ids
        return
    assert far.stdout is not None
    reader = threading.Thread(target=ids.update, args=(far.stdout,))
    reader.start()
    try:
        yield ids
    finally:
        far.kill()
        reader.join()


if __name__ == "__main__":
    far_end(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")
