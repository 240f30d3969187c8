"""The demo from start to end: a collector, the shop under uvicorn, traffic, an incident; then what became of every event."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from logship.demo.incident import Incident
from logship.demo.traffic import Traffic
from logship.errors import LogshipError
from logship.forensics.verify import Verdict, verify
from logship.forensics.workers import WorkerRow, workers
from logship.page.client import HttpSource
from logship.search.query import Query
from logship.state.home import Home

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo's parts are."""

    directory: Path
    forward: str
    http: str
    shop: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a demo that ends by itself reports."""

    seconds: float
    asked: int
    emitted: int
    stored: int
    dropped: int
    lost: int
    killed: int | None
    workers: list[WorkerRow] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def free_address(preferred: int) -> str:
    """`127.0.0.1:preferred` if nobody listens there, else a port that the system gives."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return f"127.0.0.1:{probe.getsockname()[1]}"
    raise LogshipError("no port is free on 127.0.0.1")


class Demo:
    """One demo. `outcome` is there once `run` has ended, by itself or because it was cancelled."""

    def __init__(self, workers_count: int, seconds: float | None, show: Callable[[str], None]) -> None:
        """`seconds`: None runs until cancelled; `show` gets lines for a person."""
        self.outcome: Outcome | None = None
        self._workers = workers_count
        self._seconds = seconds
        self._show = show
        self._asked_to_stop = asyncio.Event()

    async def run(self) -> None:
        """Start everything, tell the story, stop everything; SIGTERM ends the story. LogshipError if a part does not start."""
        if threading.current_thread() is threading.main_thread():
            # A service manager ends it like Ctrl-C does: the parts are processes of their own and would stay.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._asked_to_stop.set)
        with tempfile.TemporaryDirectory(prefix="logship-demo-") as folder:
            place = Place(Path(folder), free_address(24224), free_address(24280), free_address(8000))
            url = f"http://{place.http}"
            source = "" if place.http == "127.0.0.1:24280" else f" --source {url}"
            async with _collector(place), _shop(place, self._workers) as pid:
                self._show(
                    f"shop       http://{place.shop}   {self._workers} uvicorn workers, about 80 requests a second"
                )
                self._show(f"page       {url}/?last=5m   open it in a browser")
                self._show("try, in another terminal:")
                for question in ("workers", "search 'http.response.status_code >= 500'", "tail", "verify"):
                    self._show(f"  logship {question}{source}")
                await self._story(place, pid)

    async def _story(self, place: Place, shop: int) -> None:
        traffic = Traffic(int(place.shop.rpartition(":")[2]))
        incident = Incident(place.directory / "state", traffic, self._show)
        began = time.monotonic()
        running = [asyncio.create_task(traffic.run()), asyncio.create_task(incident.run(self._seconds))]
        try:
            if self._seconds is None:
                self._show("running until Ctrl-C")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked_to_stop.wait(), self._seconds)
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self._show("stopping; then every event is accounted for")
            await asyncio.to_thread(_stop, shop)
            seconds = time.monotonic() - began
            self.outcome = await asyncio.to_thread(_account, place, seconds, traffic.asked, incident.killed)


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return ""


def _account(place: Place, seconds: float, asked: int, killed: int | None) -> Outcome:
    """Ask the collector, through its API, what became of every event; wait until the last journal was adopted."""
    source = HttpSource(f"http://{place.http}")
    until = time.monotonic() + STOP_SECONDS
    while True:
        verdicts = verify(source, Query(), time.time_ns())
        pending = bool(Home(place.directory / "state").incarnations())
        if time.monotonic() > until or (not pending and all(one.finding == "complete" for one in verdicts)):
            break
        time.sleep(0.5)
    stored = sum(one.stored for one in verdicts)
    dropped = sum(sum(one.dropped.values()) for one in verdicts)
    lost = sum(one.missing for one in verdicts)
    return Outcome(
        seconds=round(seconds, 1),
        asked=asked,
        emitted=stored + dropped + lost,
        stored=stored,
        dropped=dropped,
        lost=lost,
        killed=killed,
        workers=workers(source, time.time_ns() - int((seconds + STOP_SECONDS) * 1e9), time.time_ns()),
        verdicts=verdicts,
    )


@contextlib.asynccontextmanager
async def _collector(place: Place) -> AsyncIterator[int]:
    arguments = ["-m", "logship", "up", "--dir", str(place.directory / "store")]
    arguments += ["--forward", place.forward, "--http", place.http]
    async with _process(place, "collector", arguments, {}, place.http) as pid:
        yield pid


@contextlib.asynccontextmanager
async def _shop(place: Place, workers_count: int) -> AsyncIterator[int]:
    host, _, port = place.shop.rpartition(":")
    arguments = ["-m", "uvicorn", "logship.demo.shop:app", "--host", host, "--port", port]
    arguments += ["--workers", str(workers_count)]
    said = {"LOGSHIP_SERVICE": "shop", "LOGSHIP_AGENT": place.forward, "LOGSHIP_CONSOLE": "off"}
    said |= {"LOGSHIP_ENVIRONMENT": "demo", "LOGSHIP_HEARTBEAT_SECONDS": "5"}
    async with _process(place, "shop", arguments, said, place.shop) as pid:
        yield pid


@contextlib.asynccontextmanager
async def _process(
    place: Place, name: str, arguments: list[str], said: dict[str, str], address: str
) -> AsyncIterator[int]:
    """A part of the demo as a process of its own, from when it listens at `address` until it has stopped in order."""
    words = place.directory / f"{name}.log"
    environment = {**os.environ, "LOGSHIP_STATE_DIR": str(place.directory / "state"), **said}
    with words.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        await _listening(process, name, address, words)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _listening(process: asyncio.subprocess.Process, name: str, address: str, words: Path) -> None:
    host, _, port = address.rpartition(":")
    until = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return
        if process.returncode is not None or time.monotonic() > until:
            last = "\n".join(words.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
            raise LogshipError(f"the demo's {name} did not start:\n{last}")
        await asyncio.sleep(0.1)


def _stop(pid: int) -> None:
    """Ask a process to stop and wait until it has: its last events are in the store or in a journal then."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until and Path(f"/proc/{pid}").exists() and "uvicorn" in _command(pid):
        time.sleep(0.05)
