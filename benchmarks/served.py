"""A uvicorn server pinned to a core with one way of logging, and its load from another core."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from machine import HERE, LOAD_CORE, SERVER_CORE, cpu_us, environment, free_port, settle

CONNECTIONS = 16
REQUEST = (
    b"GET /orders/7 HTTP/1.1\r\nHost: shop.example.com:8000\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) "
    b"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
    b"Accept-Language: en\r\nCookie: a=b\r\n\r\n"
)
WRK_HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0",
    "Accept: */*",
    "Cookie: a=b",
)


class Server:
    """One server. Lists have one number per turn; `main`, `wall`, `others` and latencies are in microseconds per request."""

    def __init__(self, application: str, log: str, http: str, loop: str, folder: Path, sink: int) -> None:
        self.log = log
        self.port = free_port()
        self.main: list[float] = []
        self.wall: list[float] = []
        self.rates: list[float] = []
        self.cpu_rates: list[float] = []
        self.others: list[float] = []
        self.p50: list[float] = []
        self.p99: list[float] = []
        self._connections: list[socket.socket] = []
        self._folder = folder / f"{application}-{http}-{log}"
        variant = {"BENCH_APP": application, "BENCH_LOG": log}
        command = f"-m uvicorn apps:app --port {self.port} --http {http} --loop {loop} --timeout-keep-alive 600".split()
        if log not in {"access", "logship"}:
            command.append("--no-access-log")
        env = environment(self._folder, sink) | variant
        with (self._folder / "lines").open("w") as lines:
            self._process = subprocess.Popen(
                [sys.executable, *command], env=env, cwd=HERE, stdout=lines, stderr=subprocess.STDOUT
            )
        os.sched_setaffinity(self._process.pid, {SERVER_CORE})

    @property
    def pid(self) -> int:
        return self._process.pid

    def warm(self, requests: int) -> None:
        """Wait until the server responds; then send requests on connections that are closed afterwards."""
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{self.log}: {(self._folder / 'lines').read_text()}") from None
                time.sleep(0.05)
        self._connect()
        self._round(requests)
        self._disconnect()

    def connect(self) -> None:
        """Open the measured connections. By now an acknowledgement has silenced the access log of the logship variant."""
        self._connect()
        self._round(64)

    def burst(self, requests: int) -> None:
        before, began = cpu_us(self.pid)[0], time.perf_counter_ns()
        done = self._round(requests)
        self.wall.append((time.perf_counter_ns() - began) / done / 1000)
        self.main.append((cpu_us(self.pid)[0] - before) / done)

    def saturate(self, seconds: float) -> None:
        """Every connection always busy. Notes requests a second by the clock, requests a second of the server's CPU (on a
        quiet machine the same: it has one core and uses all of it), and what the threads beside the loop took for each."""
        before = cpu_us(self.pid)
        done, took = self._wrk(seconds) if shutil.which("wrk") else self._own_load(seconds)
        settle()  # the last events are still on their way
        self.rates.append(done / took)
        main, others = (now - then for now, then in zip(cpu_us(self.pid), before, strict=True))
        self.others.append(others / done)
        self.cpu_rates.append(done / (main + others) * 1e6)

    def _wrk(self, seconds: float) -> tuple[int, float]:
        headers = [word for header in WRK_HEADERS for word in ("-H", header)]
        url = f"http://127.0.0.1:{self.port}/orders/7"
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", *headers, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"(\d+) requests in ([\d.]+)s", said)
        assert found is not None, said
        return int(found[1]), float(found[2])

    def _own_load(self, seconds: float) -> tuple[int, float]:
        began = time.perf_counter()
        done = 0
        while time.perf_counter() - began < seconds:
            done += self._round(10 * CONNECTIONS)
        return done, time.perf_counter() - began

    def visit(self, seconds: float, each_second: int) -> None:
        """Measure latency from the time a request was due, at a steady rate: a late response delays the next ones."""
        step = 1 / each_second
        taken = []
        due = time.perf_counter()
        for turn in range(int(seconds * each_second)):
            due += step
            while time.perf_counter() < due:
                time.sleep(max(0.0, due - time.perf_counter() - 0.0001))
            self._ask(self._connections[turn % CONNECTIONS])
            self._answer(self._connections[turn % CONNECTIONS])
            taken.append(time.perf_counter() - due)
        taken.sort()
        self.p50.append(taken[len(taken) // 2] * 1e6)
        self.p99.append(taken[len(taken) * 99 // 100] * 1e6)

    def close(self) -> None:
        self._disconnect()
        self._process.terminate()
        self._process.wait()

    def _connect(self) -> None:
        for _ in range(CONNECTIONS):
            made = socket.create_connection(("127.0.0.1", self.port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(made)

    def _disconnect(self) -> None:
        while self._connections:
            self._connections.pop().close()

    def _round(self, requests: int) -> int:
        for _ in range(requests // CONNECTIONS):
            for one in self._connections:
                self._ask(one)
            for one in self._connections:
                self._answer(one)
        return requests // CONNECTIONS * CONNECTIONS

    def _ask(self, connection: socket.socket) -> None:
        connection.sendall(REQUEST)

    def _answer(self, connection: socket.socket) -> None:
        data = connection.recv(4096)
        while not data.endswith((b"x", b"}")):
            more = connection.recv(4096)
            if not more:
                raise SystemExit(f"{self.log} closed the connection: {(self._folder / 'lines').read_text()[-2000:]}")
            data += more


def use_load_core() -> None:
    """Pin this process, which generates the load, to another core than the server's."""
    os.sched_setaffinity(0, {LOAD_CORE})
