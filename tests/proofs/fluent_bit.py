"""A real Fluent Bit, as it is found on PATH, with the settings that make its acknowledgement mean stored."""

import json
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import needs
from tests.proofs.scene import Process, environment, free_port, listens, until

BINARY = shutil.which("fluent-bit")
NOT_THERE = "fluent-bit is not on PATH: install Fluent Bit 4.2 or newer to have this shown with the real one"
needed = needs.program("fluent-bit", BINARY, NOT_THERE)

_START = re.compile(r'\{"')


class FluentBit(Process):
    """One Fluent Bit: a forward input with filesystem storage, and one output. `kill_and_restart` keeps its storage.

    `listens`: more settings of the input; `output`: those of the output, by default a file of JSON lines."""

    def __init__(self, folder: Path, listens: Mapping[str, object], output: Mapping[str, object] | None = None) -> None:
        self.port, self.folder = free_port(), folder
        source = {"name": "forward", "storage.type": "filesystem", "buffer_max_size": "16M", **listens}
        if "unix_path" not in source:
            source |= {"listen": "127.0.0.1", "port": self.port}
        sink = output or {"name": "file", "match": "*", "path": str(folder), "file": "out.jsonl", "format": "plain"}
        service = {
            "flush": 1,
            "grace": 2,
            "log_level": "warn",
            "scheduler.base": 1,
            "scheduler.cap": 2,
            "storage.path": str(folder / "storage"),
            "storage.sync": "normal",
            "storage.checksum": "off",  # on: the chunk that is open at a kill is thrown away
        }
        config = folder / "fluent-bit.yaml"
        # JSON is YAML.
        config.write_text(json.dumps({"service": service, "pipeline": {"inputs": [source], "outputs": [sink]}}))
        super().__init__([BINARY or "", "-c", config], environment(), folder / "fluent-bit.txt")
        self._unix = Path(str(source["unix_path"])) if "unix_path" in source else None

    def wait_ready(self) -> None:
        """Return when it listens."""
        until(
            lambda: self.ended() or (self._unix.exists() if self._unix else listens(self.port)),
            lambda: f"Fluent Bit\n{self.said()}",
        )
        assert not self.ended(), self.said()

    def kill_and_restart(self) -> None:
        """kill -9, and again with the same port and storage."""
        self.stop(signal.SIGKILL)
        self.start()
        self.wait_ready()

    def records(self) -> list[dict[str, Any]]:
        """What it wrote so far; a line that a kill tore in the middle is left out, but not what was written behind it."""
        out = self.folder / "out.jsonl"
        lines = out.read_text(errors="replace").splitlines() if out.exists() else []
        return [found for line in lines if (found := _record(line)) is not None]


def _record(line: str) -> dict[str, Any] | None:
    for start in _START.finditer(line):
        try:
            found: dict[str, Any] = json.loads(line[start.start() :])
        except ValueError:
            continue
        return found
    return None
