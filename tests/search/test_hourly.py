"""Totals of hours from the events of any source."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from logship.search.hourly import HOUR_NS, hour_of, hour_start, totals
from logship.search.query import Hour, Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import START_NS, beat, worker_event

BEGIN_NS = hour_start(START_NS)
OTHER = "d" * 24


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Reader]:
    """Two hours of two services: 120 requests in a minute, and one request an hour later; 3 requests of the other service."""
    with Store(tmp_path / "store") as store:
        for number in range(120):
            at_s = 0.5 + number / 2
            store.append([worker_event(2 * number + 1, "http-request", at_s=at_s, event__duration=(number + 1) * 10**6)])
            time_ns, event = beat(2 * number + 2, at_s=at_s + 0.1)
            own = {"logship.process.cpu_ns": 10**9 + number * 10**6, "logship.loop.utilization": 0.25}
            store.append([(time_ns, event | own | {"logship.requests.in_flight": number % 7})])
        store.append([worker_event(500, "http-request", at_s=3600, event__duration=5)])
        for number in range(3):
            store.append([
                worker_event(number + 1, "http-request", life=OTHER, at_s=number, service__name="billing", event__duration=7)
            ])  # fmt: skip
        reader = Reader(store.directory)
        yield reader
        reader.close()


def test_an_hour_has_the_numbers_of_its_requests_and_heartbeats(source: Reader) -> None:
    hour = totals(source, Query(None, BEGIN_NS, BEGIN_NS + HOUR_NS))[1]
    assert (hour.start_ns, hour.service, hour.requests, hour.peak_requests) == (BEGIN_NS, "shop", 120, 119)
    assert (hour.workers, hour.cpu_ns, hour.in_flight) == (1, 119 * 10**6, 6)
    assert hour.utilization == pytest.approx(0.25)
    assert (hour.duration_min_ns, hour.duration_max_ns, hour.duration_sum_ns) == (10**6, 120 * 10**6, 7260 * 10**6)
    assert hour.p50_ns == pytest.approx(60.5 * 10**6)


def test_hours_and_services_are_apart(source: Reader) -> None:
    hours = totals(source, Query(None, BEGIN_NS, BEGIN_NS + 2 * HOUR_NS))
    assert [((hour.start_ns - BEGIN_NS) // HOUR_NS, hour.service, hour.requests) for hour in hours] == [
        (0, "billing", 3), (0, "shop", 120), (1, "shop", 1),
    ]  # fmt: skip
    assert (hours[0].workers, hours[0].cpu_ns, hours[2].workers) == (0, 0, 0)


def test_an_hour_is_read_back_from_its_values() -> None:
    hour = Hour(BEGIN_NS, "shop", 3600, 80, 3.6e10, 1e6, 9e7, 1e7, 2e7, 5e7, workers=4)
    values = asdict(hour)
    assert hour_of(values | {"of_a_later_release": 1}) == hour
    assert hour_of({name: value for name, value in values.items() if name != "workers"}) == Hour(*list(values.values())[:10])
    assert hour_of({name: value for name, value in values.items() if name != "requests"}) is None
    assert hour_of(values | {"requests": "many"}) is None
    assert hour_of(values | {"service": None}) is None
