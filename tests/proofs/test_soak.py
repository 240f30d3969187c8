"""Four workers as quickly as clients can ask, and the collector, on the same cores: nothing dropped, nothing grows.

    LOGSHIP_PROVE=1 pytest tests/proofs/test_soak.py -s                            10 minutes
    LOGSHIP_PROVE=1 LOGSHIP_SOAK_SECONDS=60 pytest tests/proofs/test_soak.py -s    as long as you like
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from logship.forensics.verify import Verdict, verify
from logship.search import kql
from logship.search.query import Query
from logship.store.read.reader import Reader
from tests.proofs.figures import row
from tests.proofs.scene import PROVE, SHOPS, Collecting, Process, environment, free_port, listens, until

SECONDS = float(os.environ.get("LOGSHIP_SOAK_SECONDS") or (600 if PROVE else 8))
WORKERS = 4
CONNECTIONS = 32
LOOKS = 20
# What a process may take more at the end than in the second quarter: caches and the allocator's slack, no growth; the
# collector while it seals, up to the memory that sealing is given.
SLACK_MIB, SEALING_MIB = 24, 160

pytestmark = pytest.mark.timeout(2 * SECONDS + 400)


@dataclass(frozen=True, slots=True)
class Look:
    """What each process takes at one moment, by pid: MiB of memory that is its own, and descriptors."""

    mib: dict[int, int]
    descriptors: dict[int, int]


def look(pids: list[int]) -> Look:
    return Look({pid: own_mib(pid) for pid in pids}, {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in pids})


def own_mib(pid: int) -> int:
    """Anonymous memory: the journal's mapped pages come and go with its segments."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) // 1024


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def serving(pid: int) -> list[int]:
    """The workers: what uvicorn's supervisor started and has a journal open (its resource tracker has none)."""
    return [one for one in children(pid) if ".segment" in Path(f"/proc/{one}/maps").read_text()]


def verdicts(store: Path) -> tuple[int, int, list[Verdict]]:
    """(requests stored, events stored, verdicts)"""
    reader = Reader(store)
    try:
        requests = reader.count(Query(kql.equal("event.action", "http-request")))
        return requests, reader.count(Query()), verify(reader, Query(), time.time_ns())
    finally:
        reader.close()


def test_workers_at_full_speed_drop_nothing_and_nothing_grows(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Collecting(state, tmp_path) as collecting:
        collecting.wait_ready()
        port = free_port()
        around = environment(
            LOGSHIP_STATE_DIR=str(state), LOGSHIP_AGENT=f"127.0.0.1:{collecting.port}", LOGSHIP_SERVICE="shop"
        )
        words = [sys.executable, "-m", "uvicorn", "plain:app", "--port", str(port), "--workers", str(WORKERS)]
        with Process([*words, "--no-access-log"], around, tmp_path / "shop.txt") as shop:
            until(lambda: shop.ended() or listens(port), lambda: f"the shop\n{shop.said()}")
            until(lambda: len(serving(shop.pid)) == WORKERS, lambda: f"its workers\n{shop.said()}")
            asked, looks = flooded(port, lambda: look([collecting.pid, *serving(shop.pid)]))
            shop.stop(signal.SIGTERM)
        collecting.wait_adopted()
        collecting.stop()
    requests, events, judged = verdicts(state / "store")
    dropped = sum(sum(verdict.dropped.values()) for verdict in judged)
    print(
        f"\nsoak: {WORKERS} workers, {CONNECTIONS} connections, {SECONDS:.0f} s: {asked} requests answered "
        f"({asked / SECONDS:.0f} a second), {events} events stored, {dropped} dropped, {asked - requests} requests not stored; "
        f"of {len(judged)} runs {sum(one.finding == 'complete' for one in judged)} complete"
    )
    for number, one in enumerate(looks):
        if number % (LOOKS // 4) == 0 or one is looks[-1]:
            taken = f"MiB {list(one.mib.values())}, descriptors {list(one.descriptors.values())}"
            print(f"  look {number + 1} of {len(looks)}: {taken} (the collector, then the workers)")
    row(
        "nothing but load",
        f"{WORKERS} workers at full speed and the collector on {os.cpu_count()} cores, {SECONDS:.0f} s",
        f"{asked:,} requests, {events:,} events",
        lost=asked - requests,
        doubled=sum(one.duplicates for one in judged),
        wrong=sum(one.finding != "complete" for one in judged),
    )
    assert dropped == 0, [verdict.sentence for verdict in judged]
    assert requests == asked
    assert {verdict.finding for verdict in judged} == {"complete"}, [verdict.sentence for verdict in judged]
    check_nothing_grows(looks, collecting.pid)


def check_nothing_grows(looks: list[Look], collector: int) -> None:
    """The most that each process takes in the last quarter is what it took in the second, give or take."""
    quarter = len(looks) // 4
    for pid in looks[0].mib:
        early, late = looks[quarter : 2 * quarter], looks[-quarter:]
        slack = SEALING_MIB if pid == collector else SLACK_MIB
        assert max(one.mib[pid] for one in late) <= max(one.mib[pid] for one in early) + slack, pid
        held = max(one.descriptors[pid] for one in early) + CONNECTIONS  # a client may come to another worker
        assert max(one.descriptors[pid] for one in late) <= held, pid


def flooded(port: int, see: Callable[[], Look]) -> tuple[int, list[Look]]:
    """(answers that the clients got, what was seen meanwhile)"""
    command = [sys.executable, str(SHOPS / "flood.py"), str(port), str(CONNECTIONS), str(SECONDS)]
    looks = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as clients:
        for _ in range(LOOKS):
            time.sleep(0.9 * SECONDS / LOOKS)
            looks.append(see())
        said, _ = clients.communicate()
    assert clients.returncode == 0
    return int(said), looks
