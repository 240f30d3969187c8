"""Capacity from hourly totals, where retention has removed the events."""

from datetime import UTC

import pytest

from logship.forensics.capacity.history import HOUR_NS
from logship.forensics.capacity.kept import kept_hours, with_kept
from logship.forensics.capacity.plan import capacity
from logship.forensics.capacity.wanted import wanted_of
from logship.search import kql
from logship.search.query import Hour, Query
from logship.store import hours
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.capacity.test_history import hour as measured
from tests.forensics.lives import START_NS, worker_event

BEGIN_NS = START_NS // HOUR_NS * HOUR_NS - 21 * 24 * HOUR_NS


def kept(number: int, requests: int = 3600, service: str = "shop") -> Hour:
    return Hour(BEGIN_NS + number * HOUR_NS, service, requests, requests // 20, requests * 1e7, 1e6, 9e7, 1e7, 2e7, 5e7)


@pytest.fixture
def three_weeks(store: Store) -> None:
    store.append([worker_event(1, "http-request", event__duration=10**7, http__response__status_code=200)])
    hours.write(store.directory, [kept(number, 3600 + 100 * (number // 168)) for number in range(21 * 24)], 0)


@pytest.mark.usefixtures("three_weeks")
def test_growth_is_known_although_the_events_are_gone(source: Reader) -> None:
    until_ns = START_NS + HOUR_NS
    (service,) = capacity(source, Query(None, BEGIN_NS, until_ns), until_ns, UTC, wanted_of())
    estimates = {estimate.name: estimate for estimate in service.estimates}
    growth, peak = estimates["growth per week"], estimates["peak rate"]
    assert growth.value == pytest.approx(100 * (3700 / 3600 - 1), abs=0.2)
    assert peak.value == pytest.approx(3800 // 20 / 60)
    assert "from the totals of 504 hours" in peak.derived
    assert len(service.by_weekday) == 7


@pytest.mark.usefixtures("three_weeks")
def test_totals_are_of_services_only(source: Reader) -> None:
    window = Query(None, BEGIN_NS, START_NS)
    assert len(kept_hours(source, window.narrowed(kql.parse("service.name: shop")))) == 504
    assert kept_hours(source, window.narrowed(kql.parse("service.name: other"))) == []
    assert kept_hours(source, window.narrowed(kql.parse("http.route: /x"))) == []
    assert kept_hours(source, window.narrowed(kql.parse("not service.name: shop"))) == []


def test_an_hour_that_was_removed_in_part_is_taken_from_the_totals() -> None:
    rows = with_kept([measured(BEGIN_NS, 50), measured(BEGIN_NS + HOUR_NS, 4000)], [kept(0), kept(1), kept(2)])
    assert [(row.start_ns, row.count) for row in rows] == [
        (BEGIN_NS, 3600), (BEGIN_NS + HOUR_NS, 4000), (BEGIN_NS + 2 * HOUR_NS, 3600),
    ]  # fmt: skip
