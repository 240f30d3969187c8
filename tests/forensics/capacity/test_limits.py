"""What workers carry, how many a peak needs, and what limits them."""

import pytest

from logship.forensics.capacity.cost import Cost
from logship.forensics.capacity.estimate import Estimate
from logship.forensics.capacity.history import HOUR_NS, History
from logship.forensics.capacity.limits import (
    as_bound,
    carried,
    concurrency,
    limit_estimate,
    limiting,
    most_rate,
    on_cores,
    utilization,
    workers_needed,
)
from tests.forensics.capacity.test_history import MONDAY_NS, MS, hour

CPU = Cost("CPU", 0.005, 0.01, "divided")
HISTORY = History(
    [hour(MONDAY_NS, 36_000, 10, 20), hour(MONDAY_NS + HOUR_NS, 72_000, 10, 900)], MONDAY_NS, MONDAY_NS + 2 * HOUR_NS
)
CALM = History([hour(MONDAY_NS, 36_000, 10, 20)], MONDAY_NS, MONDAY_NS + HOUR_NS)


def test_the_resource_that_is_used_up_first_limits() -> None:
    loop, pool = Cost("event loop", 0.008, 0.01, ""), Cost("thread pool", 0.2, 0.01, "", 40)
    assert limiting([CPU, loop, pool]) is loop
    assert limiting([]) is None
    estimate = limit_estimate([CPU, pool], 3)
    assert estimate.text == "CPU: 200/s per worker"
    assert "up to 3 connections waited to be accepted" in estimate.derived


def test_the_maximum_rate_is_below_saturation_by_the_latency() -> None:
    relaxed, strict = (most_rate(CALM, 2, CPU, latency_ms * MS).value for latency_ms in (10_000, 40))
    assert relaxed == pytest.approx(400, rel=0.01)
    assert strict is not None
    assert 150 < strict < 300


def test_the_interval_of_the_maximum_includes_that_no_time_was_idle() -> None:
    estimate = most_rate(CALM, 2, Cost("CPU", 0.005, 0.01, "line", most_seconds=0.008), 10_000 * MS)
    assert estimate.low == pytest.approx(250, rel=0.01)
    assert estimate.high == pytest.approx(408, rel=0.01)


def test_workers_that_share_cores_share_the_maximum() -> None:
    shared = on_cores([CPU, Cost("event loop", 0.006, 0.01, "")], 4, 2)
    assert [cost.limit for cost in shared] == [0.5, 1.0]
    limit = limiting(shared)
    assert most_rate(CALM, 4, limit, 100_000 * MS).value == pytest.approx(400, rel=0.01)
    assert "each worker has 0.50 of a CPU core" in most_rate(CALM, 4, limit, 100_000 * MS).derived
    assert on_cores([CPU], 2, 4) == on_cores([CPU], 2, None) == [CPU]


def test_a_loop_that_is_occupied_without_cpu_is_explained() -> None:
    estimate = limit_estimate([CPU, Cost("event loop", 0.02, 0.01, "")], 0)
    assert "4.0 times its CPU time: calls block the event loop" in estimate.derived
    assert "times its CPU time" not in limit_estimate([CPU, Cost("event loop", 0.006, 0.01, "")], 0).derived


def test_the_maximum_is_not_below_what_was_carried() -> None:
    slow = Cost("event loop", 0.2, 0.01, "")
    estimate = most_rate(CALM, 1, slow, 5_000 * MS)
    assert (estimate.value, estimate.confidence) == (10, "uncertain")
    assert "the model gives only" in estimate.derived


def test_a_latency_that_is_exceeded_already_leaves_no_rate() -> None:
    assert most_rate(CALM, 2, CPU, 10 * MS).value == 0


def test_without_cpu_time_what_was_carried_is_a_lower_bound() -> None:
    estimate = most_rate(HISTORY, 2, None, 500 * MS)
    assert (estimate.value, estimate.text, estimate.confidence) == (10, "at least 10/s", "uncertain")
    assert "derived from durations only" in estimate.derived
    assert carried(HISTORY, 10 * MS).value is None


def test_workers_needed_keep_the_target() -> None:
    assert workers_needed(500, CALM, CPU, 0.7).value == 4
    assert workers_needed(500, CALM, None, 0.7).text == "at most 8"
    assert workers_needed(0, CALM, CPU, 0.7).value == 1


def test_concurrency_and_utilization_of_a_peak() -> None:
    assert concurrency(200, CALM).value == pytest.approx(2)
    assert utilization(200, 2, CPU).value == pytest.approx(50)
    assert utilization(200, 0, CPU).derived == "no worker is alive"


def test_a_maximum_that_no_traffic_came_near_is_a_lower_bound() -> None:
    most = Estimate("maximum rate", 200.0, "requests/s", "200/s", "2 workers x 100/s", "modelled", 150.0, 250.0)
    assert as_bound(most, 100.0) == most
    bound = as_bound(most, 10.0)
    assert (bound.text, bound.confidence, bound.value) == ("at least 200/s", "uncertain", 200.0)
    assert "the peak was 5% of it" in bound.derived
    assert as_bound(bound, 10.0) == bound
    nothing = Estimate("maximum rate", 0.0, "requests/s", "none at 100 ms", "", "modelled")
    assert as_bound(nothing, 10.0) == nothing
