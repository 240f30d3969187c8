"""`logship patterns`: rows, JSON, exit statuses, and a query for each pattern."""

import json
import time

import pytest

from tests.cli.conftest import Kept, Logship

HOUR_NS = 3600 * 10**9


@pytest.fixture
def hours(kept: Kept) -> Kept:
    """A service that logged one kind of line an hour ago, and a second one now."""
    now_ns = time.time_ns()
    for number in range(60):
        usual = {"message": f"order {number} placed", "event.dataset": "logship.app", "service.name": "shop"}
        new = {**usual, "message": f"pool of {number} is empty"}
        lines = [(now_ns - HOUR_NS, usual), (now_ns, usual), (now_ns, new)]
        ids = [f"{'a' * 24}-{3 * number + place + 1:012d}" for place in range(3)]
        kept.store.append([(at, {**line, "event.id": id_}) for (at, line), id_ in zip(lines, ids, strict=True)])
    return kept


def test_a_new_pattern_comes_first_with_a_query_that_finds_its_events(hours: Kept, logship: Logship) -> None:
    done = logship("patterns", "--last", "45m", "--json", "--source", hours.at)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["pattern"], row["change"], row["events"], row["baseline_events"]) for row in rows] == [
        ("pool of <*> is empty", "new", 60, 0), ("order <*> placed", "same", 60, 60),
    ]  # fmt: skip
    assert "120 log lines in 2 patterns. Compared with the baseline: 1 new." in done.stderr
    count = logship("count", rows[0]["kql"], "--last", "45m", "--source", hours.at)
    assert count.stdout.strip() == "60"


def test_a_query_and_a_limit_are_heeded(hours: Kept, logship: Logship) -> None:
    done = logship("patterns", "pool", "--last", "45m", "--source", hours.at)
    assert (done.returncode, "order" in done.stdout) == (0, False)
    done = logship("patterns", "--last", "45m", "--limit", "1", "--source", hours.at)
    assert "only the first 1 of 2 patterns" in done.stderr


def test_without_log_lines_the_status_is_1(kept: Kept, logship: Logship) -> None:
    assert logship("patterns", "--last", "45m", "--source", kept.at).returncode == 1
