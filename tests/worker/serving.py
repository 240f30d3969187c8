"""Real servers for tests: started on a free port with the `file:` agent, asked over sockets, stopped by signals."""

import contextlib
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

SHOPS = Path(__file__).parent / "shops"
ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 60.0

Event = dict[str, Any]


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as `true()` is; AssertionError with `what` if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.03)


def free_port() -> int:
    """A port that nobody listens on, outside the range from which clients get theirs."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Server:
    """One server, its folder with a copy of the shops, its state directory and its file of events.

    `words`: the command behind `python -m`, or a script of `shops`; `{port}` stands for the port. `beside`: share its
    state directory and file of events."""

    def __init__(self, folder: Path, words: str, *, beside: "Server | None" = None, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.state: Path = beside.state if beside else folder / "state"
        self.out: Path = beside.out if beside else folder / "events.jsonl"
        self.asked: list[str] = []
        self.ends_with_a_worker = False
        shutil.copytree(SHOPS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self._words = words.format(port=self.port).split()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LOGSHIP_", "PYTEST"))},
            "LOGSHIP_STATE_DIR": str(self.state),
            "LOGSHIP_AGENT": f"file:{self.out}",
            "LOGSHIP_SERVICE": "shop",
            "PORT": str(self.port),
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Start it, once more if it has ended."""
        script = self._words[0].endswith(".py") or os.sep in self._words[0]
        command = self._words if script else ["-m", *self._words]
        with open(self.folder / "stderr.txt", "ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def said(self) -> str:
        """What it wrote to stdout and stderr."""
        return (self.folder / "stderr.txt").read_text(errors="replace")

    def end(self) -> None:
        """Make sure that nothing of it lives."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    # Requests.

    def ask(self, path: str = "/", request_id: str = "", headers: Iterable[tuple[str, str]] = ()) -> tuple[int, bytes]:
        """(status, body) of one GET on a connection of its own. Its id is noted in `asked`."""
        request_id = request_id or f"r{len(self.asked):05d}-{random.randrange(10**6):06d}"
        self.asked.append(request_id)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path, headers={"x-request-id": request_id, **dict(headers)})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask_many(self, count: int, path: str = "/") -> None:
        """`count` requests, eight at a time, each on a connection of its own."""
        with ThreadPoolExecutor(8) as pool:
            assert {status for status, _ in pool.map(lambda _: self.ask(path), range(count))} == {200}

    def hang(self, request_id: str) -> tuple[int, http.client.HTTPConnection]:
        """Begin a request that never ends: (pid of the worker that has it, the connection to keep)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/hang", headers={"x-request-id": request_id})
        return int(connection.getresponse().readline()), connection

    def wait_ready(self, workers: int = 1, started: int = 0) -> None:
        """Wait until the port answers and `workers` workers (or `started` in all) have said that they serve."""
        until(lambda: self._open() or self._gone(), f"port {self.port}\n{self.said()}")
        until(lambda: len(self.actions("worker-started")) >= max(workers, started), f"{workers} workers\n{self.said()}")

    def _open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _gone(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.said()}"
        return False

    # Events.

    def events(self) -> list[Event]:
        """The events so far, in the order of the file; the torn last line is left out."""
        try:
            data = self.out.read_bytes()
        except FileNotFoundError:
            return []
        return [orjson.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]

    def actions(self, action: str) -> list[Event]:
        """The events with this `event.action`."""
        return [event for event in self.events() if event.get("event.action") == action]

    def requests(self) -> Counter[str]:
        """How many request events each request id has."""
        return Counter(event["http.request.id"] for event in self.actions("http-request"))

    def lives(self) -> list[tuple[int, int]]:
        """(slot, generation) of each life whose worker said that it serves, by the last that it was called; sorted."""
        started = {event["service.ephemeral_id"] for event in self.actions("worker-started")}
        names = {
            event["service.ephemeral_id"]: (event["logship.worker.slot"], event["logship.worker.generation"])
            for event in sorted(self.events(), key=lambda event: event["event.sequence"])
            if "logship.worker.slot" in event
        }
        return sorted(name for life, name in names.items() if life in started)

    def closed(self) -> set[str]:
        """The lives that have said goodbye."""
        return {event["service.ephemeral_id"] for event in self.actions("worker-closed")}

    # Ends.

    def kill(self, number: int) -> None:
        """Send a signal to the process that was started."""
        os.kill(self.pid, number)

    def press_ctrl_c(self) -> None:
        """SIGINT to the whole process group, as a terminal does."""
        os.killpg(self.pid, signal.SIGINT)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait until the server has ended."""
        self.kill(number)
        self.wait_ended()

    def wait_ended(self) -> None:
        """Wait until the server has ended; AssertionError if it does not."""
        assert self.process is not None
        self.process.wait(timeout=PATIENCE_SECONDS)
