"""History goes by configured age and size, whatever times events claim."""

import os
import shutil
import time
from pathlib import Path

import pytest

from logship.search.kql import parse
from logship.search.query import Query
from logship.store.files import read_listing
from logship.store.plausible import DAY_NS, plausible
from logship.store.read.reader import Reader
from logship.store.write.maintenance import Maintenance
from logship.store.write.retention import Retention, room
from logship.store.write.store import Store
from tests.store.events import Entry, event

NOW_NS = time.time_ns()
STRANGE = {
    "1970": 1, "1999": 930_000_000 * 10**9, "2107": 4_323_456_000 * 10**9, "2242": 8_583_580_800 * 10**9,
    "in a week": NOW_NS + 7 * DAY_NS,
}  # fmt: skip


def batch(first: int, days_ago: float, events: int = 20) -> list[Entry]:
    at_ns = NOW_NS - int(days_ago * DAY_NS)
    return [event(number, at_ns=at_ns + number) for number in range(first, first + events)]


def retained(store: Store, after_days: float = 0) -> None:
    store._maintenance.retain(NOW_NS + int(after_days * DAY_NS))


@pytest.mark.parametrize("strange_ns", STRANGE.values(), ids=STRANGE)
def test_one_event_of_a_strange_time_keeps_nothing_around_or_behind_it(
    strange_ns: int, directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Maintenance, "_retain_now", lambda *_: None)  # not in the background as well
    with Store(directory, roll_records=21, retention_days=7) as store:
        store.append([*batch(1, 40), event(1_000, at_ns=strange_ns, labels={"strange": "yes"})])
        store.seal()
        store.append(batch(101, 39, events=21))
        store.seal()
        store.append(batch(201, 1, events=21))
        store.seal()
        assert reader.count(Query()) == 63
        retained(store)
        # It is new itself, whatever it says, so it stays for the time that new events stay.
        assert reader.count(Query(parse("labels.strange: yes"))) == 1
        assert reader.count(Query()) == 22
        assert read_listing(directory).whole
        for file in directory.glob("*.parquet"):
            os.utime(file, ns=(NOW_NS, NOW_NS))
        retained(store, after_days=6.5)
        assert reader.count(Query()) == 1
        retained(store, after_days=7.5)
        assert reader.count(Query()) == (1 if strange_ns == STRANGE["in a week"] else 0)
        retained(store, after_days=15)
        assert reader.count(Query()) == 0
        store.append(batch(301, 0))
        assert reader.count(Query()) == 20


def test_deletion_is_logged_with_its_limits(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Store(directory, roll_records=20, retention_days=7, retention_bytes=10**9) as store:
        store.append(batch(1, 40))
        store.seal()
        retained(store)
    assert "retention (7 days and 953 MiB) removed 20 events in 1 segments" in caplog.text


def test_the_smaller_limit_counts(tmp_path: Path) -> None:
    total = shutil.disk_usage(tmp_path).total
    assert Retention().most_bytes(tmp_path) == 0
    assert Retention(limit_bytes=5).most_bytes(tmp_path) == 5
    assert Retention(disk_percent=50).most_bytes(tmp_path) == int(total / 2)
    assert Retention(limit_bytes=5, disk_percent=50).most_bytes(tmp_path) == 5
    assert Retention(limit_bytes=2 * total, disk_percent=50).most_bytes(tmp_path) == int(total / 2)
    free, floor = room(tmp_path)
    assert 0 < floor <= total * 0.05
    assert free <= total


def test_without_limits_nothing_goes(directory: Path, reader: Reader) -> None:
    with Store(directory, roll_records=20) as store:
        store.append(batch(1, 10_000))
        store.seal()
        retained(store)
    assert reader.count(Query()) == 20


def test_plausible_is_from_2001_to_tomorrow() -> None:
    assert plausible(NOW_NS) == (978_307_200 * 10**9, NOW_NS + DAY_NS)
