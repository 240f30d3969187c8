"""`logship capacity`: rows, JSON and exit statuses."""

import json

from tests.cli.conftest import Kept, Logship, requests_of_a_shop


def test_each_number_has_its_derivation(kept: Kept, logship: Logship) -> None:
    requests_of_a_shop(kept.put)
    done = logship("capacity", "--source", kept.at)
    assert done.returncode == 0
    assert "not enough history" in done.stdout
    assert "derived from durations only" in done.stdout
    done = logship("capacity", "--json", "--latency", "1s", "--source", kept.at)
    (service,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"service", "workers", "estimates", "by_hour", "by_weekday", "sentence"} == set(service)
    assert all(estimate["derived"] for estimate in service["estimates"])


def test_an_invalid_target_is_refused(kept: Kept, logship: Logship) -> None:
    done = logship("capacity", "--target", "170%", "--source", kept.at)
    assert done.returncode == 2
    assert "invalid target '170%'" in done.stderr


def test_an_empty_store_is_status_1(kept: Kept, logship: Logship) -> None:
    assert logship("capacity", "--source", kept.at).returncode == 1
