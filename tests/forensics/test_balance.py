"""How evenly the workers of a service share its requests."""

import random

import pytest

from logship.forensics.balance import Balance, balances
from logship.forensics.connections import Connections
from logship.forensics.timeline import Slice, Timeline
from logship.forensics.workers import WorkerRow

HOUR_NS = 3600 * 10**9
MINUTE_NS = 60 * 10**9


def row(slot: int, requests: int, state: str = "alive", service: str = "shop", busy_s: float = 0.0) -> WorkerRow:
    """A worker as the table of workers has it."""
    return WorkerRow(
        node=f"h/{service}/w{slot}", service=service, slot=slot, generation=1, pid=100 + slot, incarnation="a" * 24,
        state=state, up_since_ns=0, last_seen_ns=0, lives=1, requests=requests, requests_per_second=0.0, p50_ms=None,
        p99_ms=None, errors=0, share=0.0, in_flight=0, loop_lag_mean_ns=None, loop_lag_max_ns=None, dropped=0,
        present=((0, HOUR_NS),), busy_ns=int(busy_s * 1e9),
    )  # fmt: skip


def hour(minutes: list[list[int]]) -> Timeline:
    """An hour of requests: one list for each minute, with a number for each worker."""
    return Timeline(
        MINUTE_NS,
        [
            Slice(at * MINUTE_NS, {f"h/shop/w{slot}": n for slot, n in enumerate(counts)}, {})
            for at, counts in enumerate(minutes)
        ],
    )


def judged_hour(minutes: list[list[int]]) -> Balance:
    rows = [row(slot, sum(counts)) for slot, counts in enumerate(zip(*minutes, strict=True))]
    (balance,) = balances(rows, hour(minutes))
    return balance


# Tables that users of gunicorn and uWSGI published with their complaints, and what is fair.
@pytest.mark.parametrize(
    ("requests", "unbalanced", "effective", "cramers_v"),
    [
        ([96, 4, 0, 0, 0], True, 1.1, 0.95),
        ([21, 34, 0, 20, 25], True, 3.8, 0.28),
        ([20, 19, 20, 21, 20], False, 5.0, 0.02),
        ([4800, 5100, 5400, 5700, 6000, 6600, 8200, 27900], True, 4.7, 0.32),
        ([18, 26, 20, 15, 21], False, 4.8, 0.09),
        ([505_000, 495_000, 500_000, 500_000], False, 4.0, 0.0),
    ],
)
def test_published_tables(requests: list[int], unbalanced: bool, effective: float, cramers_v: float) -> None:
    (balance,) = balances([row(slot, count) for slot, count in enumerate(requests)])
    assert balance.unbalanced is unbalanced
    assert balance.effective == pytest.approx(effective, abs=0.1)
    assert balance.cramers_v == pytest.approx(cramers_v, abs=0.01)


@pytest.mark.parametrize(
    ("requests", "sentence"),
    [
        ([], "No worker served requests."),
        ([500], "w0 is the only worker."),
        ([30, 40], "Too few requests to compare workers (70; at least 100 are needed)."),
        ([250, 260, 245, 255], "Traffic is balanced: each worker served close to 25 % of requests."),
        (
            [160, 200, 440, 200],
            "Traffic is unbalanced: w2 served 44 % of requests (an even share is 25 %); the traffic of 4 workers lands on 3.3.",
        ),
        (
            [500, 0],
            (
                "Traffic is unbalanced: w0 served 100 % of requests (an even share is 50 %); the traffic of 2 workers lands on "
                "1.0. w1 is alive and served none."
            ),
        ),
    ],
)
def test_the_sentence_compares_the_busiest_worker_with_an_even_share(requests: list[int], sentence: str) -> None:
    rows = [row(slot, count) for slot, count in enumerate(requests)]
    assert [balance.sentence for balance in balances(rows)] == ([sentence] if requests else [])


def test_each_service_is_judged_alone() -> None:
    rows = [row(0, 900, service="a"), row(1, 100, service="a"), row(0, 500, service="b"), row(1, 500, service="b")]
    assert [(balance.service, balance.judged, balance.unbalanced) for balance in balances(rows)] == [
        ("a", True, True),
        ("b", True, False),
    ]


def test_the_effective_number_of_workers_is_that_of_an_even_spread() -> None:
    (balance,) = balances([row(0, 300), row(1, 300), row(2, 300), row(3, 0)])
    assert balance.effective == pytest.approx(3)
    assert (balance.workers, balance.idle, balance.unbalanced) == (4, 1, True)
    assert balance.unserved == ["h/shop/w3"]


def test_a_worker_that_stopped_without_requests_is_not_one_of_those_that_share() -> None:
    (balance,) = balances([row(0, 300), row(1, 310), row(2, 0, state="closed")])
    assert (balance.workers, balance.unbalanced) == (2, False)


@pytest.mark.parametrize(
    ("busy_s", "weight"),
    [
        ((800, 800, 2400, 800), "It matters: w2 had 50 % of the handling time."),
        ((1500, 1500, 1500, 1500), "It costs little: the handling time is shared evenly."),
        ((40, 40, 120, 40), "It costs little at this rate: w2 had 0.033 requests at a time on average."),
    ],
)
def test_the_sentence_says_whether_it_matters(busy_s: tuple[float, ...], weight: str) -> None:
    rows = [
        row(slot, count, busy_s=busy)
        for slot, (count, busy) in enumerate(zip((160, 200, 440, 200), busy_s, strict=True))
    ]
    (balance,) = balances(rows)
    assert balance.sentence.endswith(weight)


def test_uneven_handling_time_is_enough_if_the_counts_differ_by_more_than_chance() -> None:
    rows = [row(0, 10_500, busy_s=3000), row(1, 9_500, busy_s=900)]
    (balance,) = balances(rows)
    assert balance.cramers_v < 0.1
    assert balance.unbalanced


def test_few_connections_are_a_reason_for_uneven_shares() -> None:
    rows = [row(slot, count) for slot, count in enumerate((160, 200, 440, 200))]
    (balance,) = balances(rows, clients=lambda _service, _requests: Connections({"h/shop/w0": 16}, 60.0))
    assert (balance.unbalanced, balance.connections) == (False, 16)
    assert balance.sentence == (
        "Shares differ, but not by more than chance: w2 served 44 % of requests (an even share is 25 %), and "
        "16 connections are too few to spread evenly."
    )


def test_connections_are_not_read_if_the_shares_are_even() -> None:
    def unwanted(service: str, requests: int) -> Connections:
        raise AssertionError((service, requests))

    (balance,) = balances([row(0, 500), row(1, 510)], clients=unwanted)
    assert balance.connections is None


def test_a_worker_that_came_late_is_not_expected_to_have_served_what_was_before() -> None:
    minutes = [[100, 100, 0]] * 50 + [[70, 65, 68]] * 10
    rows = [row(slot, sum(counts)) for slot, counts in enumerate(zip(*minutes, strict=True))]
    late = WorkerRow(
        **{name: getattr(rows[2], name) for name in WorkerRow.__slots__} | {"present": ((50 * MINUTE_NS, HOUR_NS),)}
    )
    (balance,) = balances([rows[0], rows[1], late], hour(minutes))
    assert not balance.unbalanced
    (without,) = balances(rows, hour(minutes))
    assert without.unbalanced


def test_a_worker_that_was_hot_for_five_minutes_of_an_hour_is_found() -> None:
    chance = random.Random(3)
    minutes = [[chance.randint(85, 115) for _ in range(4)] for _ in range(60)]
    minutes[30:35] = [[40, 40, 280, 40]] * 5
    balance = judged_hour(minutes)
    assert (balance.unbalanced, balance.busiest) == (True, "h/shop/w2")
    assert (balance.hot_since_ns, balance.hot_until_ns) == (30 * MINUTE_NS, 35 * MINUTE_NS)
    assert balance.sentence == (
        "Traffic was unbalanced for 5 min: w2 served 70 % of requests (an even share is 25 %; 25 % in the rest of the time)."
    )


def test_natural_unevenness_is_not_called_hot() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        minutes = [[chance.randint(8, 32) for _ in range(4)] for _ in range(60)]
        balance = judged_hour(minutes)
        assert not balance.unbalanced, balance.sentence
