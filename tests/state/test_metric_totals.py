"""Metrics of a state directory: counters go on over the runs of a slot, whenever they are folded."""

import os
import time
from pathlib import Path

import pytest

from logship.state import locks, metric_totals
from logship.state.home import Home, make_directory
from logship.state.metric_file import EXIT_CODE_ZERO, MetricCell, MetricFacts, MetricFile, labels_of
from logship.state.metric_totals import SETTLED_NS, SlotMetrics

FACTS = MetricFacts("shop", "8000", "host", "3.5", "uvicorn", os.getpid(), True)
OLD_NS = SETTLED_NS * 2
LABELS = labels_of("GET", "/", 200)


class Scene:
    """A state directory with runs of one slot."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.folder = metric_totals.folder_of(self.home, "shop", "8000")
        for directory in (path, self.home.journals):
            make_directory(directory)

    def run(self, name: str, requests: int, slot: int = 0, alive: bool = False, **cells: int) -> MetricFile:
        """Write the metrics of a run that began `requests` requests and ended all of them but one."""
        incarnation = name * 24
        file = metric_totals.create(self.home, incarnation, FACTS)
        index = file.series(LABELS)
        assert index is not None
        values = {"PID": os.getpid() if alive else 1, "SLOT": slot + 1, "BEGUN": requests, "ENDED": requests - 1}
        values["UPDATED_NS"] = time.time_ns() - OLD_NS
        for cell, value in {**values, **cells}.items():
            file.cells[MetricCell[cell]] = value
        file.cells[index] = requests - 1
        if alive:
            make_directory(self.home.journal(incarnation))
            assert locks.hold(self.home.journal(incarnation) / "lock")
        return file

    def end(self, name: str) -> None:
        """Let a run end."""
        locks.release(self.home.journal(name * 24) / "lock")
        (self.home.journal(name * 24) / "lock").unlink()
        self.home.journal(name * 24).rmdir()

    def only(self) -> SlotMetrics:
        """Return the metrics of the only slot."""
        (slot,) = metric_totals.read_all(self.home.path)
        return slot

    def fold(self, slot: int = 0) -> int:
        return metric_totals.fold(self.home, self.folder, slot, time.time_ns())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "state")


def numbers(slot: SlotMetrics) -> tuple[int, int, int, dict[str, int]]:
    """Return (requests that began, those in the first bucket, interrupted ones, deaths)."""
    return slot.counter(MetricCell.BEGUN), slot.series[LABELS][0], slot.interrupted, dict(slot.deaths)


def test_a_request_that_was_counted_by_its_reason_is_not_lost_as_well(scene: Scene) -> None:
    scene.run("a", 5, ENDED=3, REASON=4, EXIT_CODE=EXIT_CODE_ZERO - 9)
    assert scene.only().interrupted == 1


def test_counters_go_on_over_runs_and_folds(scene: Scene) -> None:
    scene.run("a", 5, EXIT_CODE=EXIT_CODE_ZERO - 9, GENERATION=1)
    scene.run("b", 7, CLOSED=1, GENERATION=2)
    scene.run("c", 3, alive=True, GENERATION=3)
    expected = (15, 4 + 6 + 2, 2, {"SIGKILL": 1})
    assert numbers(scene.only()) == expected
    assert scene.fold() == 2
    assert sorted(path.name for path in scene.folder.iterdir()) == ["0.total", f"{'c' * 24}.metrics"]
    assert numbers(scene.only()) == expected
    assert scene.fold() == 0
    scene.end("c")
    assert (len(scene.only().runs), scene.only().generation) == (0, 3)
    assert scene.fold() == 1
    assert numbers(scene.only()) == (15, 12, 3, {"SIGKILL": 1, "unknown": 1})


def test_a_fold_that_was_killed_counts_each_run_once(scene: Scene) -> None:
    scene.run("a", 5)
    before = numbers(scene.only())
    kept = (scene.folder / f"{'a' * 24}.metrics").read_bytes()
    scene.fold()
    (scene.folder / f"{'a' * 24}.metrics").write_bytes(kept)  # it was killed before it removed the file
    assert numbers(scene.only()) == before
    assert scene.fold() == 1
    assert numbers(scene.only()) == before


def test_only_settled_runs_of_the_slot_are_folded(scene: Scene) -> None:
    scene.run("a", 5, UPDATED_NS=time.time_ns())
    scene.run("b", 5, slot=1)
    scene.run("c", 5, alive=True)
    scene.run("d", 5)
    make_directory(scene.home.journal("d" * 24))  # nobody has adopted its journal yet
    assert scene.fold() == 0
    scene.end("c")


def test_a_run_that_ended_a_moment_ago_has_no_verdict(scene: Scene) -> None:
    scene.run("a", 5, UPDATED_NS=time.time_ns())
    assert numbers(scene.only())[2:] == (1, {})


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"CLOSED": 1}, ""),
        ({"EXIT_CODE": EXIT_CODE_ZERO}, ""),
        ({"EXIT_CODE": EXIT_CODE_ZERO - 15}, ""),
        ({"EXIT_CODE": EXIT_CODE_ZERO + 3}, "exit_3"),
        ({"EXIT_CODE": EXIT_CODE_ZERO - 11}, "SIGSEGV"),
        ({"EXIT_CODE": EXIT_CODE_ZERO - 9, "OUT_OF_MEMORY": 1}, "out_of_memory"),
        ({}, "unknown"),
    ],
)
def test_the_reason_of_a_death(scene: Scene, cells: dict[str, int], reason: str) -> None:
    scene.run("a", 5, 0, False, **cells)
    assert dict(scene.only().deaths) == ({reason: 1} if reason else {})


def test_an_end_between_requests_is_a_crash_if_the_supervisor_goes_on(scene: Scene) -> None:
    scene.run("a", 5, ENDED=5)
    assert dict(scene.only().deaths) == {"unknown": 1}


def test_an_exit_is_noted_for_its_process(scene: Scene) -> None:
    scene.run("a", 5, PID=4711)
    scene.run("b", 5, PID=4712, ENDED=5)
    metric_totals.note_exit(scene.home.path, 4711, -9, out_of_memory=False)
    metric_totals.note_exit(scene.home.path, 4712, 0, out_of_memory=False)
    assert dict(scene.only().deaths) == {"SIGKILL": 1}


def test_a_damaged_file_costs_its_own_numbers_only(scene: Scene) -> None:
    scene.run("a", 5)
    scene.run("b", 7)
    (scene.folder / f"{'a' * 24}.metrics").write_bytes(b"x" * 100)
    (scene.folder / "0.total").write_bytes(b"y" * 100)
    assert scene.only().counter(MetricCell.BEGUN) == 7


def test_no_directory_has_no_metrics(tmp_path: Path) -> None:
    assert metric_totals.read_all(tmp_path / "none") == []
