"""How evenly the workers of a service share its requests."""

import pytest

from logship.forensics.balance import balances
from logship.forensics.workers import WorkerRow


def row(slot: int, requests: int, state: str = "alive", service: str = "shop", p99_ms: float | None = None) -> WorkerRow:
    """A worker as the table of workers has it."""
    return WorkerRow(
        node=f"h/{service}/w{slot}", service=service, slot=slot, generation=1, pid=100 + slot, incarnation="a" * 24,
        state=state, up_since_ns=0, last_seen_ns=0, lives=1, requests=requests, requests_per_second=0.0, p50_ms=p99_ms,
        p99_ms=p99_ms, errors=0, share=0.0, in_flight=0, loop_lag_mean_ns=None, loop_lag_max_ns=None, dropped=0, present=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("requests", "sentence"),
    [
        ([], "No worker served requests."),
        ([500], "w0 is the only worker."),
        ([30, 40], "Too few requests to compare workers (70; at least 100 are needed)."),
        ([250, 260, 245, 255], "Traffic is balanced: each worker served close to 25 % of requests."),
        ([160, 200, 440, 200], "Traffic is unbalanced: w2 served 44 % of requests (an even share is 25 %)."),
        ([500, 0], "Traffic is unbalanced: w0 served 100 % of requests (an even share is 50 %). 1 worker served none."),
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


def test_a_worker_that_stopped_without_requests_is_not_one_of_those_that_share() -> None:
    (balance,) = balances([row(0, 300), row(1, 310), row(2, 0, state="closed")])
    assert (balance.workers, balance.unbalanced) == (2, False)
