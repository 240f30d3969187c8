"""`logship errors`: rows, JSON, an example of each trace, exit statuses."""

import json
import time

import pytest

from tests.cli.conftest import Kept, Logship

TRACE = 'Traceback (most recent call last):\n  File "/app/shop/pay.py", line 3, in pay\nshop.Declined: card 1'


@pytest.fixture
def failing(kept: Kept) -> Kept:
    """A service with one exception, twice."""
    for number in (1, 2):
        kept.store.append([(time.time_ns(), {
            "event.id": f"{'a' * 24}-{number:012d}", "message": "payment failed", "event.dataset": "logship.app",
            "service.name": "shop", "service.node.name": f"h/shop/w{number}", "http.route": "/pay",
            "error.id": "e" * 32, "error.type": "shop.Declined", "error.message": "card 1",
            "error.stack_trace": TRACE,
        })])  # fmt: skip
    return kept


def test_a_group_has_its_place_and_its_workers(failing: Kept, logship: Logship) -> None:
    done = logship("errors", "--last", "45m", "--json", "--source", failing.at)
    [row] = [json.loads(line) for line in done.stdout.splitlines()]
    assert (row["type"], row["culprit"], row["events"]) == ("shop.Declined", "shop/pay.py pay", 2)
    assert sorted(row["workers"]) == ["h/shop/w1", "h/shop/w2"]
    assert "2 exceptions in 1 group." in done.stderr


def test_the_trace_is_printed_on_request(failing: Kept, logship: Logship) -> None:
    done = logship("errors", "--last", "45m", "--trace", "--source", failing.at)
    assert done.returncode == 0
    assert 'File "/app/shop/pay.py", line 3, in pay' in done.stdout


def test_without_exceptions_the_status_is_1(kept: Kept, logship: Logship) -> None:
    assert logship("errors", "--last", "45m", "--source", kept.at).returncode == 1
