"""`logship verify` reports whether all events are stored."""

import json

import pytest

from tests.cli.conftest import Kept, Logship


@pytest.mark.parametrize(("sequences", "status", "finding"), [((1, 2, 3), 0, "complete"), ((1, 3), 1, "missing")])
def test_verify_says_whether_everything_arrived(
    kept: Kept, logship: Logship, sequences: tuple[int, ...], status: int, finding: str
) -> None:
    kept.put(*sequences)
    kept.put(4, **{"event.dataset": "logship.worker", "event.action": "worker-closed", "logship.emitted": 4})
    told = logship("verify", "--json", "--source", kept.at)
    assert told.returncode == status
    assert json.loads(told.stdout)["finding"] == finding


def test_verify_that_cannot_know_is_status_4(kept: Kept, logship: Logship) -> None:
    kept.put(1, 3)
    told = logship("verify", "--json", "--source", kept.at)
    assert json.loads(told.stdout)["finding"] == "unknown"
    assert told.returncode == 4
