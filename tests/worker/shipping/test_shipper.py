"""The shipping thread: its deadlines, its death, fork, and what it says."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from logship.state import home
from logship.state.identity import Cell
from logship.worker.loop_lag import LoopLag
from logship.worker.pipeline import Pipeline
from logship.worker.shipping import shipper as shippers
from logship.worker.shipping.shipper import Shipper
from tests.worker.far_agent import AwakeAgent
from tests.worker.pipelines import log, run, the_shipper
from tests.worker.serving import until

Make = Callable[..., Pipeline]


# Deadlines.


def test_flush_comes_back_true_when_everything_is_acknowledged(a_pipeline: Make, far: AwakeAgent) -> None:
    pipeline = a_pipeline(far)
    log(pipeline, *map(str, range(1200)))
    assert the_shipper(pipeline).flush(20)
    assert far.stored() == [str(number) for number in range(1200)]
    assert pipeline.journal.pending_events() == 0


def test_flush_comes_back_false_at_its_deadline_and_the_events_stay(a_pipeline: Make, far: AwakeAgent) -> None:
    far.answer = lambda peer, frame: None
    pipeline = a_pipeline(far)
    log(pipeline, "one")
    assert not the_shipper(pipeline).flush(0.2)
    assert not the_shipper(pipeline).flush(0)
    assert pipeline.journal.pending_events() == 1


def test_flush_waits_for_what_was_logged_before_and_not_for_those_who_go_on_logging(
    a_pipeline: Make, far: AwakeAgent
) -> None:
    pipeline = a_pipeline(far)
    going_on = True

    def talk() -> None:
        while going_on:
            pipeline.record({"message": "talk"})
            time.sleep(0.0005)

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        for number in range(5):
            log(pipeline, f"before {number}")
            assert the_shipper(pipeline).flush(20)
            assert f"before {number}" in far.stored()
    finally:
        going_on = False
        talker.join()


def test_flush_of_a_journal_without_an_agent_or_without_events_has_nothing_to_wait_for(a_pipeline: Make) -> None:
    pipeline = a_pipeline("off")
    assert the_shipper(pipeline).flush(60)
    log(pipeline, "kept")
    assert the_shipper(pipeline).flush(60)
    assert pipeline.journal.pending_events() == 1


def test_after_stop_events_stay_in_the_journal_and_flush_ships_them_all_the_same(a_pipeline: Make, far: AwakeAgent) -> None:
    pipeline = a_pipeline(far)
    log(pipeline, "before")
    assert the_shipper(pipeline).stop(20)
    log(pipeline, "after")
    the_shipper(pipeline).wake()
    the_shipper(pipeline).revive()
    assert not the_shipper(pipeline).alive()
    assert pipeline.journal.pending_events() == 1
    assert the_shipper(pipeline).flush(20)
    assert far.stored() == ["before", "after"]


# A thread that dies. pytest would report its end, which here is the point.

dying = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Dies:
    """A chore that ends the thread it is called from, as nothing of ours should."""

    def __init__(self) -> None:
        self.times = 0

    def tick(self, now: float) -> float:
        self.times += 1
        if self.times == 1:
            raise SystemExit
        return 60.0


def dead_in(pipeline: Pipeline) -> Shipper:
    ships = the_shipper(pipeline)
    ships._due.append(0.0)
    ships._tasks.append(Dies())
    ships.wake()
    until(lambda: not ships.alive(), "the thread to die")
    return ships


@dying
def test_a_thread_that_died_is_started_again_by_a_full_segment(a_pipeline: Make, far: AwakeAgent) -> None:
    pipeline = a_pipeline(far)
    log(pipeline, "before")
    assert the_shipper(pipeline).flush(20)
    dead_in(pipeline)
    log(pipeline, *(f"event {number}" for number in range(30)), size_bytes=50_000)
    until(lambda: not pipeline.journal.pending_events(), "everything to arrive")
    assert far.stored() == ["before", *(f"event {number}" for number in range(30))]


@dying
def test_a_thread_that_died_is_started_again_by_flush(a_pipeline: Make, far: AwakeAgent) -> None:
    pipeline = a_pipeline(far)
    ships = dead_in(pipeline)
    log(pipeline, "one")
    assert ships.flush(20)
    assert far.stored() == ["one"]


@dying
def test_a_thread_that_died_is_started_again_by_the_event_loop_of_the_server(
    a_pipeline: Make, far: AwakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logship.worker.loop_lag.INTERVAL_SECONDS", 0.01)
    pipeline = a_pipeline(far)
    ships = dead_in(pipeline)
    log(pipeline, "one")

    async def serve() -> None:
        LoopLag(asyncio.get_running_loop(), pipeline.revive_shipper)
        while pipeline.journal.pending_events():
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(serve(), 20))
    assert ships.alive()
    assert far.stored() == ["one"]


def test_a_chore_that_stumbles_is_said_and_holds_up_nobody(
    a_pipeline: Make, far: AwakeAgent, caplog: pytest.LogCaptureFixture
) -> None:
    class Stumbles:
        def tick(self, now: float) -> float:
            raise ValueError("not today")

    pipeline = a_pipeline(far)
    ships = the_shipper(pipeline)
    ships._due.append(0.0)
    ships._tasks.append(Stumbles())
    ships.wake()
    until(lambda: caplog.records, "the stumble")
    log(pipeline, "one")
    assert ships.flush(20)
    assert {record.message for record in caplog.records} == {"internal error in Stumbles; next try in 10 s. Please report it"}


def test_an_outlet_that_stumbles_is_tried_again_and_nothing_is_lost(
    a_pipeline: Make, far: AwakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = a_pipeline(far)
    outlet = the_shipper(pipeline).outlet
    step, failures = outlet.step, iter([MemoryError()])

    def once(now: float) -> None:
        for failure in failures:
            raise failure
        step(now)

    monkeypatch.setattr(outlet, "step", once)
    log(pipeline, "one")
    assert the_shipper(pipeline).flush(20)
    assert far.stored() == ["one"]


def test_after_fork_each_process_has_its_own_journal_and_its_own_thread(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(
        f"""
        import os, sys, threading
        import logship
        logship.configure(agent="file:{out}", service="shop")
        log = logship.get_logger()
        log.info("parent before")
        assert logship.flush(10)
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                assert [one.name for one in threading.enumerate()] == ["MainThread"]
                log.info(f"child {{number}}")
                assert "logship-shipper" in [one.name for one in threading.enumerate()]
                if number == 2 and os.fork() == 0:
                    log.info("grandchild")
                    sys.exit()
                if number == 2:
                    os.wait()
                sys.exit()
        for _ in range(3):
            assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        log.info("parent after")
        """,
        tmp_path,
    )
    events = [orjson.loads(text) for text in out.read_bytes().splitlines()]
    said = [event for event in events if event["event.dataset"] == "logship.app"]
    wanted = ["child 0", "child 1", "child 2", "grandchild", "parent after", "parent before"]
    assert sorted(event["message"] for event in said) == wanted
    lives = {event["service.ephemeral_id"]: event["process.pid"] for event in said}
    assert len(lives) == len(set(lives.values())) == 5
    assert len({event["event.id"] for event in events}) == len(events)
    assert home.Home(tmp_path / "state").incarnations() == [] or all(
        (tmp_path / "state" / "journals" / name).is_dir() for name in home.Home(tmp_path / "state").incarnations()
    )


# Words.


def test_an_agent_that_never_answers_is_named_once(
    a_pipeline: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shippers, "WARN_AFTER_SECONDS", 0.05)
    pipeline = a_pipeline("127.0.0.1:9")
    log(pipeline, "one")
    until(lambda: caplog.records, "the warning")
    for _ in range(10):
        the_shipper(pipeline).wake()
        time.sleep(0.02)
    (warning,) = caplog.records
    assert "127.0.0.1:9" in warning.message
    assert "connection refused" in warning.message
    assert "LOGSHIP_AGENT" in warning.message
    assert warning.levelno == logging.WARNING


def test_an_agent_that_has_answered_is_not_warned_of(
    a_pipeline: Make, far: AwakeAgent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = a_pipeline(far)
    log(pipeline, "one")
    assert the_shipper(pipeline).flush(20)
    monkeypatch.setattr(shippers, "WARN_AFTER_SECONDS", 0.0)
    far.answer = lambda peer, frame: None
    log(pipeline, "two")
    until(lambda: len(far.got) == 2, "the second frame")
    assert caplog.records == []


def test_the_acknowledged_mark_and_its_goal_are_the_same_number(a_pipeline: Make, far: AwakeAgent) -> None:
    pipeline = a_pipeline(far)
    assert pipeline.journal.written() == 0
    log(pipeline, *map(str, range(100)), size_bytes=20_000)
    assert the_shipper(pipeline).flush(20)
    assert pipeline.journal.cells[Cell.MARK] == pipeline.journal.written()
    assert far.got[0].messages[0] == "0"
