"""`logship compare`: rows, JSON and exit statuses."""

import json
import time

import pytest

from tests.cli.conftest import Kept, Logship, requests_of_a_shop


@pytest.fixture
def halves(kept: Kept) -> Kept:
    """A service without failures an hour ago, and now with a route that fails on one worker."""
    hour_ns = 3600 * 10**9
    for number in range(240):
        slot = number % 3
        request = {
            "event.dataset": "logship.request", "event.action": "http-request", "event.duration": 10**7,
            "http.route": "/a", "http.request.method": "GET", "service.name": "shop",
            "service.node.name": f"h/shop/w{slot}", "http.response.status_code": 200,
        }  # fmt: skip
        now_ns = time.time_ns()
        old, new = (dict(request) | {"event.id": f"{slot:024x}-{2 * number + side + 1:012d}"} for side in (0, 1))
        new["http.response.status_code"] = 500 if slot == 1 else 200
        kept.store.append([(now_ns - hour_ns, old), (now_ns, new)])
    return kept


def test_the_worker_that_fails_is_named_with_a_query(halves: Kept, logship: Logship) -> None:
    done = logship("compare", "--last", "45m", "--json", "--source", halves.at)
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[0]["fields"] == {"service.node.name": "h/shop/w1"}
    assert (rows[0]["before"], rows[0]["after"], rows[0]["n_after"]) == (0, 1, 80)
    count = logship("count", rows[0]["kql"], "--last", "45m", "--source", halves.at)
    assert count.stdout.strip() == "80"


def test_without_a_baseline_nothing_is_called_equal(kept: Kept, logship: Logship) -> None:
    requests_of_a_shop(kept.put)
    done = logship("compare", "--last", "45m", "--source", kept.at)
    assert "the baseline has no requests" in done.stderr


def test_an_unknown_baseline_is_refused(halves: Kept, logship: Logship) -> None:
    done = logship("compare", "--baseline", "tomorrow", "--source", halves.at)
    assert done.returncode == 2
    assert "invalid baseline 'tomorrow': use preceding, yesterday, last-week, or SINCE..UNTIL" in done.stderr


def test_an_empty_window_is_status_4(kept: Kept, logship: Logship) -> None:
    assert logship("compare", "--since", "2020-01-01", "--until", "2020-01-02", "--source", kept.at).returncode == 4
