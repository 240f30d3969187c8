"""The command as a process, and a collector that `logship up` started."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collector.far_end import Sender, event

Logship = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = (sys.executable, "-m", "logship")


def environment(state: Path, **more: str) -> dict[str, str]:
    """Ours without any LOGSHIP_*: what the machine is set to must not decide a test."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOGSHIP_")}
    return {**clean, "LOGSHIP_STATE_DIR": str(state), "LOGSHIP_HTTP": "off", "TZ": "UTC", "COLUMNS": "120", **more}


@pytest.fixture
def logship(tmp_path: Path) -> Logship:
    """Run one command to its end."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], env=environment(tmp_path, **more), capture_output=True, text=True, timeout=60
        )

    return run


class Up:
    """`logship up` on port 0; `forward` and `http` are where it listens."""

    def __init__(self, state: Path, *arguments: str, **more: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "up", "--forward", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json", *arguments],
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
        said = self.process.communicate(timeout=30)[1]
        return self.process.returncode, said


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    one = Up(tmp_path)
    yield one
    if one.process.poll() is None:
        one.process.kill()
    one.process.communicate()
