"""`logship top` lists values with their share."""

import json

from tests.cli.conftest import Kept, Logship
from tests.cli.helpers import lines


def test_top_lists_values_with_their_share(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, 3, **{"http.route": "/a"})
    kept.put(4, **{"http.route": "/b"})
    kept.put(5)
    told = logship("top", "http.route", "--source", kept.at)
    assert lines(told.stdout) == [["/a", "3", "75.0%"], ["/b", "1", "25.0%"]]
    (row,) = map(
        json.loads, logship("top", "http.route", "--limit", "1", "--json", "--source", kept.at).stdout.splitlines()
    )
    assert row == {"value": "/a", "events": 3, "share": 0.75}
    assert logship("top", "http.route", "event.sequence: 5", "--source", kept.at).returncode == 1
    assert logship("top", "http.rout", "--source", kept.at).returncode == 2
