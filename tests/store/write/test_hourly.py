"""Hourly totals of a store, which are kept for longer than the events."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.search.hourly import HOUR_NS, KEPT_NS
from logship.search.query import Hour
from logship.store import hours
from logship.store.read.reader import Reader
from logship.store.write.hourly import LATE_NS, HourlyTotals
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, beat, worker_event

HOUR_START_NS = START_NS // HOUR_NS * HOUR_NS
LATER_NS = HOUR_START_NS + 2 * HOUR_NS + LATE_NS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        for number in range(120):
            at_s = 0.5 + number / 2
            store.append([worker_event(
                2 * number + 1, "http-request", at_s=at_s, event__duration=(number + 1) * 10**6,
                http__response__status_code=200,
            )])  # fmt: skip
            time_ns, event = beat(2 * number + 2, at_s=at_s + 0.1)
            own = {"logship.process.cpu_ns": 10**9 + number * 10**6, "logship.loop.utilization": 0.25}
            store.append([(time_ns, event | own | {"logship.requests.in_flight": number % 7})])
        yield store


def test_an_hour_has_the_numbers_of_its_events(store: Store) -> None:
    HourlyTotals(store.directory).update(LATER_NS)
    with_reader = Reader(store.directory)
    (hour,) = with_reader.hours(HOUR_START_NS, LATER_NS)
    with_reader.close()
    assert (hour.service, hour.requests, hour.workers, hour.in_flight) == ("shop", 120, 1, 6)
    assert hour.start_ns == HOUR_START_NS
    assert hour.peak_requests == 119
    assert hour.cpu_ns == 119 * 10**6
    assert hour.utilization == pytest.approx(0.25)
    assert (hour.duration_min_ns, hour.duration_max_ns) == (10**6, 120 * 10**6)
    assert hour.p50_ns == pytest.approx(60.5 * 10**6)


def test_an_hour_waits_for_late_events(store: Store) -> None:
    HourlyTotals(store.directory).update(HOUR_START_NS + HOUR_NS + LATE_NS - SECOND)
    assert hours.read(store.directory) == ([], [])


def test_hours_are_added_once(store: Store) -> None:
    totals = HourlyTotals(store.directory)
    totals.update(LATER_NS)
    totals.update(LATER_NS + HOUR_NS)
    HourlyTotals(store.directory).update(LATER_NS + 2 * HOUR_NS)
    assert len(hours.read(store.directory)[0]) == 1


def test_damaged_lines_are_set_aside_and_named(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    before = HOUR_START_NS // HOUR_NS
    hours.write(store.directory, [hour_of(before - 2), hour_of(before - 1)], 0)
    path = store.directory / hours.NAME
    first, second = path.read_bytes().splitlines(keepends=True)
    damaged = first.replace(b'"shop"', b'"ship"')
    path.write_bytes(damaged + second)
    with caplog.at_level(logging.ERROR):
        HourlyTotals(store.directory).update(LATER_NS)
    assert "1 damaged line kept as hours.bad" in caplog.text
    assert (store.directory / "hours.bad").read_bytes() == damaged
    kept, bad = hours.read(store.directory)
    assert [hour.start_ns // HOUR_NS for hour in kept] == [before - 1, before]
    assert bad == []


def test_two_years_are_kept(tmp_path: Path) -> None:
    now_ns = KEPT_NS + 10 * HOUR_NS
    hours.write(tmp_path, [hour_of(number) for number in (5, 9, 10, 11)], now_ns)
    assert [hour.start_ns // HOUR_NS for hour in hours.read(tmp_path)[0]] == [10, 11]


def test_the_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "LIMIT_BYTES", 2000)
    hours.write(tmp_path, [hour_of(number) for number in range(100)], 0)
    kept = [hour.start_ns // HOUR_NS for hour in hours.read(tmp_path)[0]]
    assert (tmp_path / hours.NAME).stat().st_size <= 2000
    assert kept == list(range(kept[0], 100))


def hour_of(number: int) -> Hour:
    return Hour(number * HOUR_NS, "shop", 3600, 80, 3.6e10, 1e6, 9e7, 1e7, 2e7, 5e7)
