"""What several tests of commands share."""

import json
import select
import signal
import subprocess
from pathlib import Path

from tests.cli.conftest import COMMAND, Kept, environment


def lines(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def two_services(kept: Kept) -> None:
    for first, service, slot in ((1, "shop", 0), (11, "shop", 1), (21, "billing", 0)):
        worker = {"service.name": service, "service.node.name": f"h/{service}/w{slot}", "logship.worker.slot": slot}
        life = {"service.ephemeral_id": f"{first:024x}", "event.dataset": "logship.request", "event.duration": 10**6}
        for number in range(1, 5):
            kept.put(number, **worker, **life, **{"event.id": f"{first:024x}-{number:012d}"})
    lost = {"logship.in_flight.requests": ["GET /a 3ms"], "logship.in_flight.ids": ["a"], "logship.in_flight.count": 1}
    kept.put(30, **lost, **{"service.name": "billing", "event.action": "worker-lost", "error.type": "bank.Declined"})


class Reading:
    """A command whose stdout is read line by line."""

    def __init__(self, tmp_path: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *words], 0, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out, self.told = self.process.stdout, self.process.stderr

    def line(self) -> dict[str, object]:
        assert select.select([self.out], [], [], 30)[0], "nothing came"
        found: dict[str, object] = json.loads(self.out.readline())
        return found

    def end(self) -> bytes:
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=30)[1]
        assert self.process.returncode == 0
        return said
