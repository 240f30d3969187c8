"""The reason of a stall, from clocks and samples."""

import pytest

from logship.worker.stalls.cause import Reason, StackSample, held_by_another, reason_of
from logship.worker.stalls.clocks import Moment
from logship.worker.stalls.stack import Call, Stack

MS = 10**6
BEFORE = Moment(0, 0, 0)
BUSY: Stack = (Call("/app/shop.py", 7, "work", "shop"),)


def sample(at_ms: float, cpu_ms: float, late_ms: float = 0, switches: int = 0, **more: object) -> StackSample:
    """A sample; the process used as much CPU as the loop unless said otherwise."""
    process_ms = float(str(more.get("process_ms", cpu_ms)))
    moment = Moment(int(at_ms * MS), int(cpu_ms * MS), int(process_ms * MS))
    waited_ns = int(float(str(more.get("waited_ms", 0))) * MS)
    stack = more.get("stack", BUSY)
    assert isinstance(stack, tuple)
    return StackSample(moment, int(late_ms * MS), switches, waited_ns, int(str(more.get("task", 1))), stack)


CASES: dict[Reason, list[StackSample]] = {
    "blocking_call": [sample(40, 1), sample(200, 1), sample(400, 1)],
    "computing": [sample(40, 39), sample(200, 190), sample(400, 390)],
    "interpreter_held": [sample(490, 480, late_ms=440, switches=80)],
    "not_scheduled": [sample(490, 1, late_ms=440, switches=1)],
    "many_callbacks": [sample(40 * number, 40 * number, task=number) for number in range(1, 6)],
    "unknown": [],
}


@pytest.mark.parametrize("reason", CASES)
def test_each_reason_has_its_signs(reason: Reason) -> None:
    assert reason_of(BEFORE, CASES[reason], 500 * MS, 0, 100 * MS) == reason


def test_collections_that_take_half_of_the_time_are_the_reason() -> None:
    assert reason_of(BEFORE, CASES["interpreter_held"], 500 * MS, 250 * MS, 100 * MS) == "garbage_collection"
    assert reason_of(BEFORE, CASES["interpreter_held"], 500 * MS, 200 * MS, 100 * MS) == "interpreter_held"


def test_a_lock_that_is_held_without_cpu_differs_from_a_stopped_process_by_the_wake_ups() -> None:
    held, stopped = ([sample(490, 0, late_ms=440, switches=switches)] for switches in (80, 1))
    assert reason_of(BEFORE, held, 500 * MS, 0, 100 * MS) == "interpreter_held"
    assert reason_of(BEFORE, stopped, 500 * MS, 0, 100 * MS) == "not_scheduled"


def test_computing_on_a_busy_machine_is_computing_and_waiting_for_a_processor_alone_is_not() -> None:
    slowed = [sample(40, 13), sample(200, 66, waited_ms=107), sample(400, 132, waited_ms=240)]
    starved = [sample(40, 2), sample(200, 10, waited_ms=150), sample(400, 20, waited_ms=340)]
    assert reason_of(BEFORE, slowed, 500 * MS, 0, 100 * MS) == "computing"
    assert reason_of(BEFORE, starved, 500 * MS, 0, 100 * MS) == "not_scheduled"


def test_a_late_watchdog_on_a_busy_machine_blames_nobody_for_less_than_the_limit() -> None:
    short = [sample(105, 40, late_ms=70, switches=5)]
    assert reason_of(BEFORE, short, 110 * MS, 0, 100 * MS) == "not_scheduled"
    starved = [sample(490, 150, late_ms=440, switches=6)]
    assert reason_of(BEFORE, starved, 500 * MS, 0, 100 * MS) == "computing"


def test_a_loop_that_waits_in_select_is_kept_from_running_by_somebody_else() -> None:
    idle = [sample(at, 0, process_ms=at, stack=()) for at in (40, 200, 400)]
    assert reason_of(BEFORE, idle, 500 * MS, 0, 100 * MS) == "interpreter_held"
    assert held_by_another(BEFORE, idle)
    assert not held_by_another(BEFORE, CASES["interpreter_held"])
    assert reason_of(BEFORE, [sample(at, 0, stack=()) for at in (40, 400)], 500 * MS, 0, 100 * MS) == "not_scheduled"
