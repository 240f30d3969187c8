"""The command within this process and as one of its own, a store to ask, and a collector that `logship up` started."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from logship.cli.main import status_of
from logship.cli.terminal import style, text
from logship.event.fields import DROP_REASONS
from logship.store.write.store import Store
from tests.collector.far_end import Sender, event

Told = subprocess.CompletedProcess[str]
Logship = Callable[..., Told]
COMMAND = (sys.executable, "-m", "logship")


def environment(state: Path, **more: str) -> dict[str, str]:
    """Ours without any LOGSHIP_*: what the machine is set to must not decide a test."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOGSHIP_")}
    return {**clean, "LOGSHIP_STATE_DIR": str(state), "LOGSHIP_HTTP": "off", "TZ": "UTC", "COLUMNS": "120", **more}


class Stream(io.TextIOWrapper):
    """A stdout or stderr that remembers; a terminal if it is said to be one."""

    def __init__(self, terminal: bool) -> None:
        self.kept = io.BytesIO()
        self._terminal = terminal
        super().__init__(self.kept, encoding="utf-8", errors="backslashreplace", newline="\n", write_through=True)

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        return self.kept.getvalue().decode()


def invoke(state: Path, *arguments: str, **more: str) -> Told:
    """Run one command to its end in this process: Python and DuckDB start once for all tests.

    With TERMINAL as a variable its stdout and stderr are one."""
    terminal = "TERMINAL" in more
    out, err = Stream(terminal), Stream(terminal)
    with (
        mock.patch.dict(os.environ, environment(state, **more), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        time.tzset()
        _forget()
        status = status_of(arguments)
    time.tzset()
    _forget()
    return subprocess.CompletedProcess(arguments, status, out.text(), err.text())


def _forget() -> None:
    """What a process asks its terminal once."""
    text.has_unicode.cache_clear()
    style.color_count.cache_clear()


@pytest.fixture
def logship(tmp_path: Path) -> Logship:
    """Run one command to its end, here."""

    def run(*arguments: str, **more: str) -> Told:
        return invoke(tmp_path, *arguments, **more)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Logship:
    """Run one command to its end in a process of its own."""

    def run(*arguments: str, **more: str) -> Told:
        return subprocess.run(
            [*COMMAND, *arguments], env=environment(tmp_path, **more), capture_output=True, text=True, timeout=120
        )

    return run


class Kept:
    """A store that the test itself writes: `at` is what to give as --source."""

    def __init__(self, directory: Path) -> None:
        self.store, self.at = Store(directory), str(directory)

    def put(self, *numbers: int, **more: object) -> None:
        now_ns = time.time_ns()
        self.store.append([(now_ns + at, event(number, **more)) for at, number in enumerate(numbers)])


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    one = Kept(tmp_path / "store")
    yield one
    one.store.close()


class Up:
    """`logship up` on port 0; `port` and `http` are where it listens."""

    def __init__(self, state: Path, *arguments: str, prefix: tuple[str, ...] = (), **more: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, *COMMAND, "up", "--forward", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json", *arguments],
            env=environment(state, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        told = json.loads(line)
        self.http: str = told["http"]
        self.port = int(told["forward"][0].rpartition(":")[2])

    def put(self, *numbers: int, **more: object) -> None:
        sender = Sender(self.port)
        chunk = sender.packed(*(event(number, **more) for number in numbers))
        assert sender.acknowledged() == chunk
        sender.close()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The status and what was said on stderr."""
        self.process.send_signal(number)
        said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, said

    def close(self) -> None:
        """The end, if it has not come yet."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    one = Up(tmp_path)
    yield one
    one.close()


def requests_of_a_shop(put: Callable[..., None]) -> None:
    """The requests of three workers, one of which fails and one of which tells of an end."""
    for slot in range(3):
        put(
            *range(slot * 10 + 1, slot * 10 + 9),
            **{
                "event.dataset": "logship.request",
                "event.duration": 12_000_000 * (slot + 1),
                "http.request.id": f"request-{slot}",
                "http.request.method": "GET",
                "http.route": "/orders/{id}",
                "http.response.status_code": 200 + 300 * (slot == 2),
                "log.level": "info",
                "service.name": "shop",
                "service.node.name": f"host/shop/w{slot}",
                "logship.worker.slot": slot,
                "logship.worker.generation": 1,
                "process.pid": 4000 + slot,
            },
        )
    put(9, 10, 19, 20)
    lost = {"event.action": "worker-lost", "logship.in_flight.ids": ["abc"], "logship.in_flight.count": 1}
    put(29, **lost, **{"logship.in_flight.requests": ["GET /slow 1234ms"], "event.dataset": "logship.worker"})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Requests of three workers; for tests that only look."""
    one = Kept(tmp_path_factory.mktemp("shop") / "store")
    requests_of_a_shop(one.put)
    lost = {"event.action": "worker-heartbeat", "logship.requests.in_flight": 3, "logship.loop_lag.max_ns": 10**6}
    one.put(30, **lost, **{f"logship.dropped.{reason}": 7 for reason in DROP_REASONS})
    one.put(31, **{"event.action": "worker-started", "log.level": "error", "error.message": "no way " * 9})
    one.put(32, **{"http.request.id": "abc"})
    yield one
    one.store.close()


def on_terminal(columns: int, *arguments: str, state: Path, **more: str) -> str:
    """What a command shows on a terminal of this width."""
    told = invoke(state, *arguments, TERMINAL="yes", COLUMNS=str(columns), **more)
    assert told.returncode in {0, 1}, told.stderr
    return told.stdout
