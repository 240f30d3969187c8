"""Compare fluent-logger's senders with logship's when the agent hangs: duration of calls, and events lost.

python benchmarks/bench_fluent.py [--events N]

The agent accepts the connection, reads nothing for some seconds, closes it, and then works normally. Each variant is a separate
process that emits events of 1 KB, closes its sender and ends."""

import argparse
import io
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import msgpack
from machine import scratch, table

HUNG_SECONDS = 8.0
EMIT = """
import os, sys, time
variant, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if variant == "logship":
    import logship
    logship.configure(service="bench", agent=f"127.0.0.1:{port}", console="off", ack_timeout_seconds=1.0)
    from logship.fluent import sender
    one = sender.FluentSender("app", port=port)
elif variant == "sync":
    from fluent import sender
    one = sender.FluentSender("app", port=port)
else:
    from fluent import asyncsender as sender
    one = sender.FluentSender("app", port=port, queue_circular=variant == "circular")
longest = total = 0.0
for number in range(count):
    began = time.perf_counter()
    one.emit("x", {"number": number, "filler": "x" * 1000})
    took = time.perf_counter() - began
    longest, total = max(longest, took), total + took
print(longest, total, flush=True)
one.close()
if variant == "logship":
    logship.flush(30)
"""
VARIANTS = {
    "sync": "fluent.sender",
    "async": "fluent.asyncsender",
    "circular": "fluent.asyncsender, queue_circular",
    "logship": "logship.fluent",
}


class Agent:
    """Hang first; then store all events, and acknowledge those that request it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.numbers: set[int] = set()
        self.awake = time.monotonic() + HUNG_SECONDS
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if time.monotonic() < self.awake:
            time.sleep(self.awake - time.monotonic())
            connection.close()
            return
        unpacker = msgpack.Unpacker(max_buffer_size=2**26)
        with connection:
            while data := connection.recv(65536):
                unpacker.feed(data)
                for message in unpacker:
                    self._take(connection, message)

    def _take(self, connection: socket.socket, message: Any) -> None:
        if isinstance(message[1], bytes):
            for _, record in msgpack.Unpacker(io.BytesIO(message[1]), max_buffer_size=2**26):
                number = record.get("numeric_labels", {}).get("number")
                if number is not None:
                    self.numbers.add(number)
            connection.sendall(msgpack.packb({"ack": message[2]["chunk"]}))
        else:
            self.numbers.add(message[2]["number"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare fluent-logger's senders with logship's when the agent hangs.")
    parser.add_argument("--events", type=int, default=20_000)
    count = parser.parse_args().events
    rows = []
    with scratch() as folder:
        for variant, name in VARIANTS.items():
            agent = Agent()
            environment = {**os.environ, "LOGSHIP_STATE_DIR": str(folder / variant)}
            words = [sys.executable, "-c", EMIT, variant, str(agent.port), str(count)]
            done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
            time.sleep(1)
            longest, total = map(float, done.stdout.split())
            lost = count - len(agent.numbers)
            rows.append([name, f"{longest * 1000:,.1f}", f"{total:.1f}", f"{lost:,}", f"{100 * lost / count:.1f} %"])
            agent.listener.close()
    columns = [
        f"{count:,} events, the agent hangs for {HUNG_SECONDS:.0f} s",
        "longest call, ms",
        "all calls, s",
        "lost",
        "share",
    ]
    table("fluent-logger's API with an agent that hangs", columns, rows)


if __name__ == "__main__":
    main()
