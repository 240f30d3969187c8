"""What the proofs are played with: a collector, a shop that notes what it does, clients that load it. Real processes.

LOGSHIP_PROVE=1 plays them in full size."""

import asyncio
import contextlib
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from logship.forensics.verify import Verdict, verify
from logship.search.query import Incarnation, Query
from logship.state import home
from logship.store.read.reader import Reader

PROVE = bool(os.environ.get("LOGSHIP_PROVE"))
ROOT = Path(__file__).parent.parent.parent
SHOPS = Path(__file__).parent / "shops"
PATIENCE_SECONDS = 60.0

Event = dict[str, Any]


def until(true: Callable[[], object], what: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as `true()` is; AssertionError with `what()` if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what()}"
        time.sleep(0.05)


_taken: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, outside the range from which clients get theirs; another one each time."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            if port not in _taken and probe.connect_ex(("127.0.0.1", port)) != 0:
                _taken.add(port)
                return port


def environment(**changes: str) -> dict[str, str]:
    """Ours without what pytest and the developer set, and with `changes`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOGSHIP_", "PYTEST"))}
    return {**kept, "PYTHONPATH": f"{SHOPS}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1", **changes}


class Process:
    """A process with a group of its own, which is killed when the `with` is over, whatever happened."""

    def __init__(self, command: Sequence[str | Path], around: dict[str, str], said: Path) -> None:
        self._command, self._around, self._said = [str(word) for word in command], around, said
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, once more if it has ended."""
        with open(self._said, "ab") as said:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._said.parent,
                env=self._around,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def said(self) -> str:
        """The end of what it wrote to stdout and stderr."""
        return self._said.read_text(errors="replace")[-4000:] if self._said.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ended(self) -> bool:
        """Whether it has ended or was never started."""
        return self.process is None or self.process.poll() is not None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, return the status."""
        assert self.process is not None
        os.kill(self.pid, number)
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()


def listens(port: int) -> bool:
    """Whether somebody accepts connections on `port`."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Collecting(Process):
    """`logship up` on a port of its own, over a state directory that workers share with it."""

    def __init__(self, state: Path, folder: Path, **changes: str) -> None:
        self.port, self.state = free_port(), state
        words = [sys.executable, "-m", "logship", "up", "--forward", f"127.0.0.1:{self.port}", "--http", "off"]
        super().__init__(words, environment(LOGSHIP_STATE_DIR=str(state), **changes), folder / "collector.txt")

    def wait_ready(self) -> None:
        """Return when it listens."""
        until(lambda: listens(self.port) or self.ended(), lambda: f"the collector\n{self.said()}")
        assert not self.ended(), self.said()

    def kill_and_restart(self) -> None:
        """kill -9, and again on the same port."""
        self.stop(signal.SIGKILL)
        self.start()
        self.wait_ready()

    def wait_adopted(self) -> None:
        """Return when no journal is left: everything is stored and every end is reported."""
        until(
            lambda: not home.Home(self.state).incarnations(),
            lambda: f"adoption of {home.Home(self.state).incarnations()}\n{self.said()}",
            2 * PATIENCE_SECONDS,
        )


class Shop(Process):
    """The noted shop under uvicorn."""

    def __init__(self, folder: Path, agent: str, workers: int, state: Path, **changes: str) -> None:
        self.port, self.workers, self.notes_folder = free_port(), workers, folder / "notes"
        self.notes_folder.mkdir()
        around = environment(
            LOGSHIP_STATE_DIR=str(state),
            LOGSHIP_AGENT=agent,
            LOGSHIP_SERVICE="shop",
            LOGSHIP_HEARTBEAT_SECONDS="1",
            LOGSHIP_PROBES="",
            NOTES=str(self.notes_folder),
            **changes,
        )
        words = [sys.executable, "-m", "uvicorn", "noted:app", "--port", self.port, "--workers", workers]
        super().__init__([str(word) for word in words] + ["--no-access-log"], around, folder / "shop.txt")

    def wait_ready(self) -> None:
        """Return when all workers serve."""
        until(lambda: self.ended() or len(self.notes().serving) >= self.workers, lambda: f"workers\n{self.said()}")
        assert not self.ended(), self.said()

    def notes(self) -> "Notes":
        """What the workers noted so far."""
        return Notes.read(self.notes_folder)


@dataclass(slots=True)
class Notes:
    """By pid: what each worker began, logged and ended."""

    pids: set[int] = field(default_factory=set)
    serving: set[int] = field(default_factory=set)
    begun: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    logged: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def read(cls, folder: Path) -> "Notes":
        """Every whole line of every file."""
        notes = cls()
        for file in folder.glob("*.notes"):
            pid = int(file.stem)
            notes.pids.add(pid)
            for line in file.read_text().splitlines():
                word, *rest = line.split()
                if word == "serving":
                    notes.serving.add(pid)
                elif word == "begun":
                    notes.begun[rest[0]] = pid
                elif word == "logged":
                    notes.logged.add((rest[0], int(rest[1])))
                else:
                    notes.ended.add(rest[0])
        return notes


class Load:
    """Clients that ask and ask in a thread of their own: `connections` at once, each request with an id of its own."""

    def __init__(self, port: int, connections: int, think_seconds: float) -> None:
        self.asked: set[str] = set()
        self.answered: set[str] = set()
        self._port, self._connections, self._think = port, connections, think_seconds
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        clients = [asyncio.create_task(self._client()) for _ in range(self._connections)]
        while not self._stop.is_set():
            await asyncio.sleep(0.05)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    while random.random() < 0.9:  # so that every worker gets its share of connections
                        await self._ask(reader, writer)
                        await asyncio.sleep(random.uniform(0, 2 * self._think))
                finally:
                    writer.close()
            await asyncio.sleep(0.02)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = f"r{next(self._numbers):07d}"
        self.asked.add(name)
        writer.write(f"GET /work HTTP/1.1\r\nhost: shop\r\nx-request-id: {name}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        if head.startswith(b"HTTP/1.1 200"):
            self.answered.add(name)


def ask(port: int, path: str, name: str, seconds: float = PATIENCE_SECONDS) -> bytes:
    """One request on a connection of its own; what came back, b"" if the worker died of it or took too long."""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        connection.settimeout(seconds)
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\nx-request-id: {name}\r\n\r\n".encode()
        )
        received = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                received += part
        return received


@dataclass(slots=True)
class Stored:
    """Everything in a store, in the order of arrival, and what was made of it."""

    events: list[Event]
    lives: list[Incarnation]
    verdicts: list[Verdict]

    @classmethod
    def read(cls, directory: Path) -> "Stored":
        """Read a store whose collector may run or not."""
        reader = Reader(directory)
        try:
            return cls(list(_everything(reader)), reader.incarnations(Query()), verify(reader, Query(), time.time_ns()))
        finally:
            reader.close()

    def ids(self) -> Counter[str]:
        """How often each event.id is stored."""
        return Counter(event["event.id"] for event in self.events)

    def actions(self, action: str) -> list[Event]:
        """The events with this `event.action`."""
        return [event for event in self.events if event.get("event.action") == action]

    def requests(self) -> Counter[str]:
        """How many events tell the end of each request."""
        return Counter(event["http.request.id"] for event in self.actions("http-request"))

    def steps(self) -> Counter[tuple[str, int]]:
        """How many events each log call of the shop left."""
        return Counter(
            (event["http.request.id"], int(event["numeric_labels"]["step"]))
            for event in self.events
            if event["event.dataset"] == "logship.app" and "step" in event.get("numeric_labels", {})
        )

    def named(self) -> dict[str, int]:
        """Requests that worker-lost events name, with the pid of the worker that died."""
        return {
            name: event["process.pid"]
            for event in self.actions("worker-lost")
            for name in event.get("logship.in_flight.ids", [])
        }

    def generations(self) -> dict[int, list[Incarnation]]:
        """The lives of each slot by generation."""
        slots: defaultdict[int, list[Incarnation]] = defaultdict(list)
        for life in self.lives:
            if life.slot is not None:
                slots[life.slot].append(life)
        return {slot: sorted(lives, key=lambda life: life.generation or 0) for slot, lives in sorted(slots.items())}


def _everything(reader: Reader) -> Iterator[Event]:
    key = "-1"
    while True:
        rows = reader.tail(Query(), key, 20_000)
        yield from rows.records
        if not rows.records or rows.next is None:
            return
        key = rows.next


def check_nothing_lost(stored: Stored, notes: Notes) -> None:
    """Each call that returned is stored exactly once, each request ends or is named, and every life adds up."""
    assert max(stored.ids().values()) == 1
    steps, requests, named = stored.steps(), stored.requests(), stored.named()
    wrong = [verdict.sentence for verdict in stored.verdicts if verdict.finding != "complete"]
    lines, ends = notes.logged - steps.keys(), notes.ended - requests.keys()
    assert not lines, f"{len(lines)} log calls returned and their events are not stored; verdicts: {wrong}"
    assert not ends, f"{len(ends)} requests ended and their events are not stored; verdicts: {wrong}"
    assert set(steps.values()) <= {1}
    assert set(requests.values()) <= {1}
    assert not notes.begun.keys() - requests.keys() - named.keys(), "requests in flight at death that nobody names"
    assert not requests.keys() & named.keys(), "requests that ended are said to be in flight"
    assert all(notes.begun.get(name, pid) == pid for name, pid in named.items())
    assert not wrong, wrong
