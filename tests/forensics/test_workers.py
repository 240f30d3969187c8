"""One row for each worker, with the numbers of the time asked for."""

import pytest

from logship.forensics.workers import covered_ns, workers
from logship.search.kql import parse
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, beat, requests, worker_event
from tests.store.events import LIFE, OTHER

THIRD = "f" * 24


def test_a_row_says_who_it_is_and_how_it_does(store: Store, source: Reader) -> None:
    store.append(
        [
            worker_event(1, "worker-started", at_s=0),
            *[
                worker_event(
                    n, "http-request", event__duration=n * 10**6, http__response__status_code=500 if n == 5 else 200
                )
                for n in range(2, 8)
            ],
            beat(
                8,
                dropped={"journal_full": 2, "refused": 1},
                logship__requests__in_flight=3,
                logship__loop_lag__mean_ns=10,
                logship__loop_lag__max_ns=90,
            ),
            *requests(range(1, 3), life=OTHER, slot=1, event__duration=10**6),
        ]
    )
    first, second = workers(source, START_NS - SECOND, START_NS + 12 * SECOND)
    assert (first.node, first.service, first.slot, first.generation, first.pid) == ("h/shop/w0", "shop", 0, 1, 100)
    assert (first.incarnation, first.state, first.lives) == (LIFE, "alive", 1)
    assert (first.up_since_ns, first.last_seen_ns) == (START_NS, START_NS + 8 * SECOND)
    assert (first.requests, first.errors, first.share) == (6, 1, 0.75)
    assert first.requests_per_second == pytest.approx(6 / 12)
    assert first.p50_ms == pytest.approx(4.5)
    assert first.p99_ms == pytest.approx(6.95)
    assert (first.in_flight, first.loop_lag_mean_ns, first.loop_lag_max_ns, first.dropped) == (3, 10, 90, 3)
    assert (second.slot, second.requests, second.share, second.in_flight) == (1, 2, 0.25, None)


@pytest.mark.parametrize(
    ("end", "after_s", "state"),
    [
        (None, 20, "alive"),
        (None, 40, "silent"),
        ("worker-closed", 20, "closed"),
        ("worker-lost", 20, "lost"),
        ("worker-ended", 400, "ended"),
    ],
)
def test_the_state_is_how_the_newest_life_stands(
    end: str | None, after_s: int, state: str, store: Store, source: Reader
) -> None:
    store.append([*requests([1, 2]), *([beat(3, end, logship__requests__in_flight=2)] if end else [])])
    (row,) = workers(source, START_NS, START_NS + after_s * SECOND)
    assert row.state == state
    assert row.in_flight is None


def test_a_slot_keeps_its_row_over_restarts(store: Store, source: Reader) -> None:
    store.append([*requests([1, 2]), beat(3, "worker-lost", {"journal_full": 4})])
    store.append(
        requests([1], life=THIRD, logship__worker__generation=2, process__pid=900, at_s=5, event__duration=1000)
    )
    (row,) = workers(source, START_NS, START_NS + 10 * SECOND)
    assert (row.lives, row.generation, row.pid, row.state, row.dropped) == (2, 2, 900, "alive", 4)
    assert row.up_since_ns == START_NS + 5 * SECOND
    assert row.requests == 1


def test_processes_without_a_slot_are_no_workers(store: Store, source: Reader) -> None:
    script = worker_event(1, "supervisor-message")
    del script[1]["service.node.name"], script[1]["logship.worker.slot"]
    store.append([script])
    assert workers(source, START_NS, START_NS + 10 * SECOND) == []


def test_slots_are_in_the_order_of_their_numbers(store: Store, source: Reader) -> None:
    for slot in (10, 2, 1):
        store.append(requests([1], life=f"{slot:024x}", slot=slot))
    assert [row.slot for row in workers(source, START_NS, START_NS + 2 * SECOND)] == [1, 2, 10]
    assert workers(source, 0, START_NS) == []


def test_the_lag_is_the_worst_of_the_time_asked_for(store: Store, source: Reader) -> None:
    lags = [4, 2_900, 6]
    store.append(
        [beat(n, logship__loop_lag__max_ns=lag, logship__loop_lag__mean_ns=n) for n, lag in enumerate(lags, start=1)]
    )
    (row,) = workers(source, START_NS, START_NS + 10 * SECOND)
    assert (row.loop_lag_max_ns, row.loop_lag_mean_ns) == (2_900, 2)
    (row,) = workers(source, START_NS + 3 * SECOND, START_NS + 90 * SECOND)
    assert (row.state, row.loop_lag_max_ns) == ("silent", 6)


def test_a_rate_is_over_the_time_with_data(store: Store, source: Reader) -> None:
    store.append([*requests(range(1, 11)), beat(11, "worker-closed")])
    store.append(requests(range(1, 11), life=THIRD, at_s=5_000, logship__worker__generation=2))
    (row,) = workers(source, START_NS - 3600 * SECOND, START_NS + 5_010 * SECOND)
    assert row.present == ((START_NS + SECOND, START_NS + 11 * SECOND), (START_NS + 5_000 * SECOND, START_NS + 5_010 * SECOND))
    assert row.requests_per_second == 0  # without a duration nothing was served
    assert covered_ns([row, row]) == 20 * SECOND


def test_a_share_is_within_the_service(store: Store, source: Reader) -> None:
    served = {"event__duration": 10**6}
    store.append(requests(range(1, 4), **served))
    store.append(requests(range(1, 2), life=OTHER, slot=1, **served))
    store.append(requests(range(1, 5), life=THIRD, service__name="billing", **served))  # a node of the same name
    end_ns = START_NS + 10 * SECOND
    rows = workers(source, START_NS, end_ns)
    assert [(row.service, row.slot, row.requests, row.share) for row in rows] == [
        ("billing", 0, 4, 1.0),
        ("shop", 0, 3, 0.75),
        ("shop", 1, 1, 0.25),
    ]
    (row,) = workers(source, START_NS, end_ns, parse("service: billing"))
    assert (row.service, row.requests) == ("billing", 4)
