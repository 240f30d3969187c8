"""`logship findings`: what stands out, with exit statuses that do not call an unchecked window quiet."""

import json

import pytest

from tests.cli.conftest import Kept, Logship, requests_of_a_shop


@pytest.fixture
def shop(kept: Kept) -> Kept:
    """Three workers with eight requests each; all of the third failed, and it said nothing for a while."""
    requests_of_a_shop(kept.put)
    return kept


def test_findings_name_the_failing_route_and_the_query_behind_it(shop: Kept, logship: Logship) -> None:
    done = logship("findings", "--json", "--since", "1h", "--source", shop.at)
    assert done.returncode == 0
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    (failing,) = [finding for finding in findings if finding["kind"] == "route-failing"]
    assert failing["sentence"] == "/orders/{id} failed 8 times of 24 requests (33 %)."
    assert failing["severity"] == "critical"
    count = logship("count", failing["kql"], "--since", "1h", "--source", shop.at)
    assert count.stdout.strip() == "8"
    assert "w2 is the only worker" in done.stderr


def test_the_table_has_the_severity_and_the_sentence(shop: Kept, logship: Logship) -> None:
    done = logship("findings", "--since", "1h", "--source", shop.at)
    assert "critical" in done.stdout
    assert "/orders/{id} failed 8 times" in done.stdout


def test_a_window_without_workers_is_not_called_quiet(shop: Kept, logship: Logship) -> None:
    done = logship("findings", "--since", "2020-01-01", "--until", "2020-01-02", "--source", shop.at)
    assert (done.returncode, done.stdout) == (4, "")
    assert "nothing was checked" in done.stderr


def test_nothing_stands_out_is_status_1(shop: Kept, logship: Logship) -> None:
    done = logship("findings", "logship.worker.slot: 0", "--since", "1h", "--source", shop.at)
    assert "failed" not in done.stdout
    if done.returncode == 1:
        assert "Nothing stands out" in done.stderr
    else:
        assert "silent" in done.stdout
