"""Workers die at random moments, in every way: what they logged is stored once, what they were at is named."""

import itertools
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proofs.figures import row
from tests.proofs.scene import (
    PROVE,
    Collecting,
    Load,
    Shop,
    Stored,
    ask,
    check_nothing_lost,
    listens,
    until,
)

WORKERS = 8 if PROVE else 4
KILLS = 100 if PROVE else 4

pytestmark = pytest.mark.timeout(1800 if PROVE else 180)


def kill_some(shop: Shop, kills: int) -> tuple[set[int], int]:
    """kill -9 one worker after the other at random moments: the pids, and how many did not serve yet."""
    killed: set[int] = set()
    young = 0
    while len(killed) < kills:
        time.sleep(random.uniform(0.05, 1.2))
        notes = shop.notes()
        # One that is still starting is taken now and then; but the others must get to serve at all.
        candidates = sorted((notes.pids if random.random() < 0.2 else notes.serving) - killed)
        if candidates:
            pid = random.choice(candidates)
            young += pid not in notes.serving
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    return killed, young


def check_slots(stored: Stored, workers: int, killed_young: int) -> None:
    """0 to N-1, each life the successor of the one before: the next generation, after its end."""
    slots = stored.generations()
    assert list(slots) == list(range(workers))
    skipped = 0
    for lives in slots.values():
        numbers = [life.generation or 0 for life in lives]
        assert len(set(numbers)) == len(numbers)
        skipped += numbers[-1] - len(numbers)
        for before, after in itertools.pairwise(lives):
            assert before.last_ns <= after.first_ns
    # A generation is counted with the lock: who dies between that and its first event leaves a number without a life.
    assert skipped <= killed_young


def test_killed_workers_lose_nothing_and_tell_what_they_were_at(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with (
        Collecting(state, tmp_path) as collecting,
        Shop(tmp_path, f"127.0.0.1:{collecting.port}", WORKERS, state) as shop,
    ):
        collecting.wait_ready()
        shop.wait_ready()
        with Load(shop.port, 24, 0.05) as load:
            began = time.monotonic()
            killed, young = kill_some(shop, KILLS)
            until(lambda: len(shop.notes().serving) >= WORKERS + KILLS - young, lambda: f"successors\n{shop.said()}")
            lasted = time.monotonic() - began
        shop.stop()
        collecting.wait_adopted()
        notes = shop.notes()
        collecting.stop()
    stored = Stored.read(state / "store")
    check_nothing_lost(stored, notes)
    check_slots(stored, WORKERS, young)
    lost = {event["process.pid"] for event in stored.actions("worker-lost")}
    assert lost == killed & {life.pid for life in stored.lives if life.slot is not None}
    assert len(lost) >= KILLS - young
    cut = notes.begun.keys() - stored.requests().keys()
    row(
        "a worker is killed with -9",
        f"{WORKERS} uvicorn workers under load and the collector, at random moments, {young} while starting",
        f"{KILLS} kills in {lasted:.0f} s, {len(stored.events):,} events",
        lost=len(notes.logged - stored.steps().keys()) + len(notes.ended - stored.requests().keys()),
        doubled=sum(count - 1 for count in stored.ids().values()),
        wrong=sum(verdict.finding != "complete" for verdict in stored.verdicts) + len(cut - stored.named().keys()),
    )
    print(
        f"\nproof 3: {WORKERS} workers, {KILLS} kills -9 in {lasted:.0f} s ({young} of them while starting): "
        f"{len(load.asked)} requests asked, {len(load.answered)} answered, {len(notes.logged)} log calls returned, "
        f"{len(stored.events)} events stored, 0 lost, 0 twice; {len(cut)} requests cut off, "
        f"{len(stored.named())} named; {len(stored.lives)} runs, all complete"
    )


def signalled(number: int) -> Callable[[Shop, int], None]:
    """Die by a signal from outside."""

    def die(shop: Shop, pid: int) -> None:
        os.kill(pid, number)

    return die


def asked(path: str) -> Callable[[Shop, int], None]:
    """Die of a request."""

    def die(shop: Shop, pid: int) -> None:
        ask(shop.port, path, f"deadly-{path[1:]}", 20)

    return die


def eats_memory(shop: Shop, pid: int) -> None:
    """Use the address space up, log without it, go on for a while, and be killed as the kernel does it."""
    answer = ask(shop.port, "/memory", "deadly-memory", 20)
    assert answer.startswith(b"HTTP/1.1 500"), answer
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)


DEATHS = {
    "SIGTERM": (signalled(signal.SIGTERM), "worker-closed"),
    "SIGINT": (signalled(signal.SIGINT), "worker-closed"),
    "SIGABRT": (signalled(signal.SIGABRT), "worker-lost"),
    "segfault": (asked("/segfault"), "worker-lost"),
    "exit": (asked("/exit"), "worker-lost"),
    "memory": (eats_memory, "worker-lost"),
}


def test_every_way_to_die_is_told_and_loses_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    died: dict[str, int] = {}
    with (
        Collecting(state, tmp_path) as collecting,
        Shop(tmp_path, f"127.0.0.1:{collecting.port}", 1, state) as shop,
    ):
        collecting.wait_ready()
        # One process, started again after each death: then it is known whom a request reaches.
        for name, (die, _) in DEATHS.items():
            until(lambda: shop.ended() or listens(shop.port), lambda: f"the shop\n{shop.said()}")
            died[name] = shop.pid
            for number in range(3):
                assert ask(shop.port, "/work", f"{name}-{number}").startswith(b"HTTP/1.1 200")
            die(shop, shop.pid)
            until(shop.ended, lambda: f"the end of {sorted(died)}\n{shop.said()}")
            shop.start()
        until(lambda: len(shop.notes().serving) > len(DEATHS), lambda: f"the last life\n{shop.said()}")
        shop.stop()
        collecting.wait_adopted()
        notes = shop.notes()
        collecting.stop()
    stored = Stored.read(state / "store")
    check_nothing_lost(stored, notes)
    ends = {
        event["process.pid"]: event for action in ("worker-closed", "worker-lost") for event in stored.actions(action)
    }
    assert {name: ends[pid]["event.action"] for name, pid in died.items()} == {
        name: action for name, (_, action) in DEATHS.items()
    }
    assert ends[died["segfault"]]["logship.in_flight.ids"] == ["deadly-segfault"]
    assert ends[died["exit"]]["logship.in_flight.ids"] == ["deadly-exit"]
    (failed,) = [event for event in stored.actions("http-request") if event["http.request.id"] == "deadly-memory"]
    assert (failed["error.type"], failed["http.response.status_code"]) == ("MemoryError", 500)
    assert [life.generation for life in stored.generations()[0]] == list(range(1, len(DEATHS) + 2))
