"""`logship trace` draws a request, by its id, its trace or one of its events."""

import json

from tests.cli.conftest import Kept, Logship


def test_trace_takes_the_id_of_a_request_of_a_trace_or_of_an_event(kept: Kept, logship: Logship) -> None:
    more = {"http.request.id": "abc", "trace.id": "def", "http.request.method": "GET", "event.duration": 5_000_000}
    kept.put(1, **more)
    kept.put(2, **{"http.request.id": "abc", "trace.id": "def"})
    for one in ("abc", "def", "0" * 24 + "-000000000002"):
        told = logship("trace", one, "--json", "--source", kept.at)
        assert [json.loads(line)["event.sequence"] for line in told.stdout.splitlines()] == [1, 2]
    told = logship("trace", "abc", "--source", kept.at)
    assert told.returncode == 0
    assert "event 1" in told.stdout
    assert "event 2" in told.stdout
    told = logship("trace", "nothing", "--source", kept.at)
    assert (told.returncode, told.stdout) == (1, "")


def test_trace_draws_a_request_that_its_worker_took_with_it(kept: Kept, logship: Logship) -> None:
    kept.put(
        1,
        **{
            "event.action": "worker-lost",
            "logship.in_flight.ids": ["abc", "def"],
            "logship.in_flight.requests": ["GET /slow 1234ms", "GET /other 1ms"],
            "logship.in_flight.count": 2,
        },
    )
    told = logship("trace", "abc", "--source", kept.at)
    assert told.returncode == 0
    assert "GET /slow was interrupted: its worker crashed" in told.stdout
    assert "other" not in told.stdout


def test_trace_of_a_service_leaves_out_the_others(kept: Kept, logship: Logship) -> None:
    for number, service in ((1, "shop"), (2, "billing")):
        more = {"http.request.id": f"r{number}", "trace.id": "t", "http.request.method": "GET", "event.duration": 10**6}
        kept.put(number, **more, **{"service.name": service})
    shown = logship("trace", "t", "--service", "shop", "--json", "--source", kept.at)
    assert [json.loads(line)["event.sequence"] for line in shown.stdout.splitlines()] == [1]
    assert logship("trace", "t", "--service", "other", "--source", kept.at).returncode == 1
