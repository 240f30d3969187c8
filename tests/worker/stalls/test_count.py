"""The counters of stalls: what the events say, and also a stall whose worker is killed before it ends."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from logship.state.metric_file import STALL_CELLS
from logship.state.metric_totals import read_all
from logship.worker.stalls.count import StallCount
from tests.worker.driving import desk
from tests.worker.serving import Server, until

SECOND_NS = 10**9


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, "uvicorn blocking:app --port {port}") as server:
        server.wait_ready()
        yield server


def counted(server: Server) -> dict[str, tuple[int, int]]:
    """Return the stalls that worker 0 has counted, and the nanoseconds in them, by reason."""
    (slot,) = [slot for slot in read_all(server.state) if slot.slot == 0]
    both = {reason: (slot.counter(count), slot.counter(time_ns)) for reason, (count, time_ns) in STALL_CELLS.items()}
    return {reason: numbers for reason, numbers in both.items() if any(numbers)}


def test_the_counters_say_what_the_events_say(server: Server) -> None:
    for path in ("/sleep", "/sleep", "/compute", "/long"):
        server.ask(path)
        time.sleep(0.2)
    until(lambda: len(server.actions("loop-stalled")) >= 4, "four stalls")
    time.sleep(0.5)
    durations = [event["event.duration"] for event in server.actions("loop-stalled")]
    told = counted(server)
    assert sum(count for count, _ in told.values()) == len(durations)
    assert sum(time_ns for _, time_ns in told.values()) == sum(durations)
    assert told["blocking_call"][0] >= 3


def test_a_stall_is_counted_although_its_worker_is_killed_in_it(server: Server) -> None:
    before = counted(server).get("blocking_call", (0, 0))
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(server.ask, "/forever")
        until(lambda: server.actions("loop-stalling"), "the report of a stall that lasts")
        time.sleep(1.5)
        os.kill(server.pid, signal.SIGKILL)
        hanging.exception(timeout=30)
    count, time_ns = counted(server)["blocking_call"]
    assert count == before[0] + 1
    # Reported after one second; the watchdog adds to it ten times a second.
    assert 2 * SECOND_NS < time_ns - before[1] < 30 * SECOND_NS


def test_a_long_stall_keeps_its_first_reason_and_is_counted_once(tmp_path: Path) -> None:
    with desk(tmp_path / "state") as worker:
        pipeline = worker.pipeline()
        count = StallCount(pipeline)
        count.lasts(SECOND_NS)
        count.add("blocking_call", SECOND_NS)
        count.lasts(3 * SECOND_NS)
        count.add("computing", 2 * SECOND_NS)
        count.end()
        count.lasts(9 * SECOND_NS)
        count.add("computing", SECOND_NS // 2)
        cells = pipeline.metrics.cells
        told = {reason: (cells[one], cells[time_ns]) for reason, (one, time_ns) in STALL_CELLS.items() if cells[one]}
    assert told == {"blocking_call": (1, 3 * SECOND_NS), "computing": (1, SECOND_NS // 2)}
