"""A real Fluent Bit with the configuration that operators mount, its variables taken from the file beside it."""

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from logship.elastic import mapping
from logship.event.entry import TAG
from tests import needs
from tests.elastic.node import Server
from tests.proofs.scene import Process, environment, free_port, listens, until

BINARY = shutil.which("fluent-bit")
NOT_THERE = "fluent-bit is not on PATH: install Fluent Bit 5.0.6 or newer to have its configuration run"
needed = needs.program("fluent-bit", BINARY, NOT_THERE)
FOLDER = Path(__file__).parents[2] / "pipelines/fluent-bit"
CONFIG = FOLDER / "logship.yaml"
OUTPUTS = ("FLB_TO_ELASTICSEARCH", "FLB_TO_SPLUNK", "FLB_TO_HTTP", "FLB_TO_FILE")


def defaults() -> dict[str, str]:
    """The variables of logship.env."""
    lines = (FOLDER / "logship.env").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


class Agent(Process):
    """One Fluent Bit. No output is chosen but those that `changes` choose."""

    def __init__(self, folder: Path, changes: Mapping[str, str], config: Path = CONFIG) -> None:
        self.port, self.http, self.folder = free_port(), free_port(), folder
        self.socket = folder / "forward.sock"
        own = {
            "FLB_PORT": str(self.port),
            "FLB_SOCKET": str(self.socket),
            "FLB_STORAGE": str(folder / "storage"),
            "FLB_HTTP_PORT": str(self.http),
            "FLB_RETRY_SECONDS": "2",
            "FILE_DIRECTORY": str(folder / "out"),
        }
        around = environment(**{**defaults(), **dict.fromkeys(OUTPUTS, "none"), **own, **changes})
        super().__init__([BINARY or "", "-c", config], around, folder / "fluent-bit.txt")

    def wait_ready(self) -> None:
        """Return when it listens, on both."""
        until(
            lambda: self.ended() or (listens(self.port) and self.socket.exists()),
            lambda: f"Fluent Bit\n{self.said()}",
        )
        assert not self.ended(), self.said()

    def kill_and_restart(self) -> None:
        """kill -9, and again with the same ports and storage."""
        self.stop(signal.SIGKILL)
        self.start()
        self.wait_ready()


def to_elastic(elastic: Server, namespace: str) -> dict[str, str]:
    """The variables that choose this Elasticsearch."""
    parts = urlsplit(elastic.url)
    return {
        "FLB_TO_ELASTICSEARCH": TAG,
        "ES_HOST": parts.hostname or "",
        "ES_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "ES_TLS": "on" if parts.scheme == "https" else "off",
        "ES_CA_FILE": elastic.ca_file,
        "ES_USER": elastic.user,
        "ES_PASSWORD": elastic.password,
        "ES_STREAM": mapping.stream(namespace),
    }
