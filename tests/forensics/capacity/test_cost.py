"""The cost of a request, from used time and numbers of requests."""

import random

import pytest

from logship.forensics.capacity.cost import CostSample, cost_of


def samples(count: int, idle: float, each_s: float, low: int, high: int) -> list[CostSample]:
    """Samples of 60 s of a worker that uses `idle` seconds a second and `each_s` per request, with 5 % noise."""
    chance = random.Random(5)
    rows = []
    for _ in range(count):
        requests = chance.randint(low, high)
        rows.append(CostSample(60, requests, (idle * 60 + each_s * requests) * chance.gauss(1, 0.05)))
    return rows


def test_idle_time_is_not_part_of_the_cost_where_the_rate_varies() -> None:
    cost = cost_of("CPU", samples(60, 0.02, 0.005, 10, 2000))
    assert cost is not None
    assert cost.seconds == pytest.approx(0.005, rel=0.05)
    assert cost.method.startswith("least squares")
    assert 0 < cost.error < 0.05


def test_at_a_steady_rate_used_time_is_divided() -> None:
    cost = cost_of("CPU", samples(5, 0.0, 0.005, 990, 1010))
    assert cost is not None
    assert cost.seconds == pytest.approx(0.005, rel=0.05)
    assert cost.method.startswith("time used / ")


def test_few_requests_have_no_cost() -> None:
    assert cost_of("CPU", samples(3, 0.0, 0.005, 10, 20)) is None
    assert cost_of("CPU", []) is None
    assert cost_of("event loop", [CostSample(60, 1000, 0.0)]) is None
