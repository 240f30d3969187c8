"""Slots: 0 to N-1, the same number after a restart, through deaths and rolling restarts."""

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WORKER = """
    import os, sys, time
    from pathlib import Path
    from logship.state.slots import Slots
    folder, service, instance, workers = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]) or None
    slots = Slots(folder, service, instance, os.getppid() if sys.argv[5] == "same" else 999_999, workers)
    claim = slots.claim_one()
    print(claim.slot, claim.generation, int(claim.replacement), flush=True)
    while True:
        time.sleep(0.02)
        changed = slots.poll()
        if changed:
            print(changed.slot, changed.generation, int(changed.replacement), flush=True)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def one(
        service: str = "shop", instance: str = "8000", workers: int = 2, kin: str = "same"
    ) -> "subprocess.Popen[str]":
        arguments = [str(tmp_path), service, instance, str(workers), kin]
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), *arguments], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield one
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def said(process: "subprocess.Popen[str]") -> tuple[int, int, bool]:
    assert process.stdout is not None
    slot, generation, heir = process.stdout.readline().split()
    return int(slot), int(generation), heir == "1"


def kill(process: "subprocess.Popen[str]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_workers_get_the_numbers_from_zero_and_a_successor_gets_its_predecessors_with_the_next_generation(
    start: Start,
) -> None:
    first, second = start(), start()
    assert sorted([said(first)[0], said(second)[0]]) == [0, 1]
    kill(first)
    assert said(start())[1:] == (2, False)


def test_in_a_rolling_restart_an_heir_takes_the_oldest_label_and_keeps_the_first_slot_that_frees(start: Start) -> None:
    old = [start(workers=1)]
    assert said(old[0]) == (0, 1, False)
    heir = start(workers=1)
    assert said(heir) == (0, 2, True), "two processes under one label for as long as they overlap"
    kill(old[0])
    assert said(heir) == (0, 2, False)


def test_workers_of_another_supervisor_are_never_inherited_from(start: Start) -> None:
    assert said(start(workers=1, kin="other"))[0] == 0
    assert said(start(workers=1)) == (1, 1, False)


def test_two_services_and_two_instances_keep_their_slots_apart(start: Start) -> None:
    assert [said(start("shop", "8001"))[0], said(start("shop", "8002"))[0], said(start("mail", "8001"))[0]] == [0, 0, 0]


def test_with_an_unknown_number_of_workers_a_young_worker_moves_down_when_a_lower_slot_frees(start: Start) -> None:
    first = start(workers=0)
    assert said(first)[0] == 0
    second = start(workers=0)
    assert said(second)[0] == 1
    kill(first)
    assert said(second)[0] == 0


def test_after_an_upgrade_the_new_workers_come_down_once_the_old_supervisor_is_gone(start: Start) -> None:
    old = [start(kin="gone"), start(kin="gone")]
    slots = [said(process)[0] for process in old]
    assert sorted(slots) == [0, 1]
    new = start()
    assert said(new) == (2, 1, False)
    kill(old[1])
    assert said(new) == (slots[1], 2, False)


def test_while_the_old_supervisor_lives_its_numbers_are_left_to_it(start: Start) -> None:
    old = [start(), start()]
    slots = [said(process)[0] for process in old]
    assert sorted(slots) == [0, 1]
    new = start(kin="other")
    assert said(new) == (2, 1, False)
    kill(old[0])
    successor = start()
    assert said(successor) == (slots[0], 2, False)
    assert new.stdout is not None
    assert select.select([new.stdout], [], [], 0.5)[0] == []
