"""`logship context` shows the events around an event."""

import json
from pathlib import Path

from tests.cli.conftest import Kept, Logship, Up


def test_context_is_of_the_same_worker_or_of_all(kept: Kept, logship: Logship) -> None:
    for number in range(1, 9):
        kept.put(number, **{"service.node.name": f"h/w{number % 2}", "http.request.id": f"r{number}"})
    asked = ("context", "r4", "-B", "1", "-A", "2", "--json")
    source = ("--source", kept.at)
    told = logship(*asked, *source).stdout.splitlines()
    assert [json.loads(line)["event.sequence"] for line in told] == [2, 4, 6, 8]
    told = logship(*asked, "--all", *source).stdout.splitlines()
    assert [json.loads(line)["event.sequence"] for line in told] == [3, 4, 5, 6]
    assert logship("context", "nothing", *source).returncode == 1


def test_context_of_a_service_is_that_of_all_its_workers(up: Up, tmp_path: Path, logship: Logship) -> None:
    for number in range(1, 9):
        service = "shop" if number < 7 else "billing"
        up.put(
            number,
            **{"service.node.name": f"h/w{number % 2}", "http.request.id": f"r{number}", "service.name": service},
        )
    for source in (up.http, str(tmp_path / "store")):
        shown = logship("context", "r6", "-B", "2", "--service", "shop", "--json", "--source", source).stdout
        assert [json.loads(line)["event.sequence"] for line in shown.splitlines()] == [4, 5, 6]
