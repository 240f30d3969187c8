"""Everything that an overview shows, read together."""

from logship.forensics.overview import HEARTBEATS_SPAN_NS, overview
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS
from tests.forensics.test_standout import UNTIL_NS, worker


def test_it_has_the_parts_of_the_window(store: Store, source: Reader) -> None:
    store.append([*worker(0), *worker(1)])
    seen = overview(source, Query(None, START_NS, UNTIL_NS), UNTIL_NS, 10 * SECOND, 60 * SECOND)
    assert [row.slot for row in seen.workers] == [0, 1]
    assert seen.covered_ns > 200 * SECOND
    assert sum(bucket.events for bucket in seen.traffic) == 300
    assert {bucket.start_ns % (10 * SECOND) for bucket in seen.traffic} == {0}
    assert {(bucket.key, bucket.and_key) for bucket in seen.traffic} == {("h/shop/w0", "200"), ("h/shop/w1", "200")}
    assert sum(stat.count for stat in seen.latency) == 300
    assert {stat.key for stat in seen.routes} == {"/r0", "/r1", "/r2"}
    assert [beat["service.node.name"] for beat in seen.heartbeats] == ["h/shop/w0", "h/shop/w1"]
    assert [mark["event.action"] for mark in seen.marks] == ["worker-started"] * 2
    assert seen.failures == []
    assert seen.standout.findings == []


def test_a_long_window_has_no_heartbeats(store: Store, source: Reader) -> None:
    store.append(worker(0))
    since_ns = UNTIL_NS - HEARTBEATS_SPAN_NS - 1
    seen = overview(source, Query(None, since_ns, UNTIL_NS), UNTIL_NS, 60 * SECOND, 60 * SECOND)
    assert seen.heartbeats == []
    assert len(seen.workers) == 1
