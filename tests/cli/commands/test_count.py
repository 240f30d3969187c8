"""`logship count` counts events."""

import json

from tests.cli.conftest import Kept, Logship


def test_count_counts(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, 3)
    told = logship("count", "event.sequence >= 2", "--source", kept.at)
    assert (told.returncode, told.stdout) == (0, "2\n")
    assert json.loads(logship("count", "--json", "--source", kept.at).stdout) == {"count": 3}
    assert logship("count", "event.sequence > 9", "--source", kept.at).returncode == 1
