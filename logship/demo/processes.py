"""The processes of the demo: a collector, and the shop under uvicorn."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from logship.errors import LogshipError
from logship.state.home import Home

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
LOG_LINES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """The demo's directory, and the HOST:PORT of its listeners."""

    directory: Path
    forward: str
    http: str
    shop: str

    @property
    def state(self) -> Home:
        """The state directory of the workers."""
        return Home(self.directory / "state")


def free_address(preferred: int) -> str:
    """Return `127.0.0.1:preferred` if nothing listens there, else a port from the system. LogshipError if there is none."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return f"127.0.0.1:{probe.getsockname()[1]}"
    raise LogshipError("no port is free on 127.0.0.1")


@contextlib.asynccontextmanager
async def collector(layout: Layout) -> AsyncIterator[int]:
    """Run `logship up`; yield its pid once it listens. LogshipError with its last output if it does not start."""
    arguments = ["-m", "logship", "up", "--dir", str(layout.directory / "store")]
    arguments += ["--forward", layout.forward, "--http", layout.http]
    async with _process(layout, "collector", arguments, {}, layout.http) as pid:
        yield pid


@contextlib.asynccontextmanager
async def shop(layout: Layout, workers: int) -> AsyncIterator[int]:
    """Run the shop under uvicorn; yield its pid once it listens. LogshipError with its last output if it does not start."""
    host, _, port = layout.shop.rpartition(":")
    arguments = ["-m", "uvicorn", "logship.demo.shop:app", "--host", host, "--port", port]
    arguments += ["--workers", str(workers)]
    settings = {"LOGSHIP_SERVICE": "shop", "LOGSHIP_AGENT": layout.forward, "LOGSHIP_CONSOLE": "off"}
    settings |= {"LOGSHIP_ENVIRONMENT": "demo", "LOGSHIP_HEARTBEAT_SECONDS": "5"}
    async with _process(layout, "shop", arguments, settings, layout.shop) as pid:
        yield pid


@contextlib.asynccontextmanager
async def _process(
    layout: Layout, name: str, arguments: Sequence[str], settings: Mapping[str, str], address: str
) -> AsyncIterator[int]:
    log = layout.directory / f"{name}.log"
    environment = {**os.environ, "LOGSHIP_STATE_DIR": str(layout.state.path), **settings}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        await _listening(process, name, address, log)
        yield process.pid
    finally:
        await _end(process)


async def _listening(process: asyncio.subprocess.Process, name: str, address: str, log: Path) -> None:
    """Wait until `process` listens at `address`. LogshipError if it ends before, or after 60 seconds."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return
        if process.returncode is not None or time.monotonic() > until:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise LogshipError("\n".join([f"the demo's {name} did not start:", *lines[-LOG_LINES_SHOWN:]]))
        await asyncio.sleep(0.1)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop a process by SIGTERM, and by SIGKILL if it does not end within 15 seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def stop_shop(pid: int) -> None:
    """Stop the shop and wait until it has ended: then its last events are in the store or in a journal."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until and "uvicorn" in _command_line(pid):
        time.sleep(0.05)


def _command_line(pid: int) -> str:
    """Return the command line of a process; empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return ""
