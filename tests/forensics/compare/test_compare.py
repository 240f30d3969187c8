"""What differs between two windows of a store, and what does not."""

from collections.abc import Mapping
from random import Random

import pytest

from logship.errors import QuestionError
from logship.forensics.compare.baseline import DAY_NS, baseline
from logship.forensics.compare.compare import Difference, compare
from logship.search.query import Query
from logship.search.zone import LocalZone
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.compare.shop import BASELINE, WINDOW, Change, fill

Fields = Mapping[str, object]


def differences(store: Store, source: Reader, change: Change) -> list[Difference]:
    fill(store, change)
    return compare(source, WINDOW, BASELINE).differences


def test_equal_windows_do_not_differ(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, _pick: {})
    result = compare(source, WINDOW, BASELINE)
    assert result.differences == []
    assert result.sentence == "3,000 requests compared with 3,000 requests of the baseline: nothing differs."


def test_a_route_that_fails_on_one_worker_is_named(store: Store, source: Reader) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        there = fields["http.route"] == "/a" and fields["service.node.name"] == "h/shop/w1"
        return {"http.response.status_code": 503} if there and pick.random() < 0.4 else {}

    (failing,) = [row for row in differences(store, source, change) if row.measured == "failures"]
    assert failing.fields == {"http.route": "/a", "service.node.name": "h/shop/w1"}
    assert failing.before < 0.02
    assert failing.after == pytest.approx(0.4, abs=0.1)
    assert source.count(Query(None, WINDOW.since_ns, WINDOW.until_ns)) == 3000
    assert "http.route=/a & service.node.name=h/shop/w1: failed requests" in failing.sentence


def test_a_tenant_whose_requests_are_slow_is_named(store: Store, source: Reader) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        return {"event.duration": 10**9} if fields["labels"] == {"tenant": "t7"} else {}

    (slow,) = [row for row in differences(store, source, change) if row.measured == "slowness"]
    assert slow.fields == {"labels.tenant": "t7"}
    assert slow.after == 1


def test_a_client_that_fails_is_named(store: Store, source: Reader) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        if pick.random() < 0.1:
            return {"client.ip": "10.9.9.9", "http.response.status_code": 500}
        return {}

    rows = [row for row in differences(store, source, change) if row.measured == "failures"]
    assert rows[0].fields == {"client.ip": "10.9.9.9"}


def test_a_status_that_became_frequent_is_a_difference_of_traffic(store: Store, source: Reader) -> None:
    def change(fields: Fields, pick: Random) -> Fields:
        return {"http.response.status_code": 404} if fields["http.route"] == "/b" else {}

    rows = [row.fields for row in differences(store, source, change) if row.measured == "traffic"]
    assert {"http.response.status_code": "404"} in rows


def test_an_empty_baseline_is_not_called_equal(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, _pick: {})
    before = Query(None, 0, 10**9)
    result = compare(source, WINDOW, before)
    assert result.not_compared == ["Failures and slowness were not compared: the baseline has no requests."]


def test_baselines_have_names_or_times() -> None:
    now_ns, zone = WINDOW.until_ns or 0, LocalZone()
    assert baseline(WINDOW, "preceding", now_ns, zone) == BASELINE
    assert baseline(WINDOW, "yesterday", now_ns, zone).since_ns == (WINDOW.since_ns or 0) - DAY_NS
    chosen = baseline(WINDOW, "2020-01-01..2020-01-02", now_ns, zone)
    assert (chosen.until_ns or 0) - (chosen.since_ns or 0) == DAY_NS
    for text in ("tomorrow", "2020-01-02..2020-01-01", "1999-01-01..2199-01-01"):
        with pytest.raises(QuestionError):
            baseline(WINDOW, text, now_ns, zone)
