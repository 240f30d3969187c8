"""Journals that a full disk cut short or that damage hit: what is left is stored, and no verdict is better than the truth."""

import contextlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from logship.state import home, segment
from logship.state.identity import SIZE_BYTES as TABLE_BYTES
from logship.state.inflight import SIZE_BYTES as CELLS_BYTES
from tests.proofs.figures import row
from tests.proofs.scene import PROVE, Collecting, Stored, environment, until

EVENTS = 1000
FLIPS = 40 if PROVE else 4
FULL_DISKS = 3 if PROVE else 1

pytestmark = pytest.mark.timeout(1800 if PROVE else 300)


ENDS = {"shutdown()": "logship.shutdown(0)", "the end of the script": "pass", "kill -9": "os.kill(os.getpid(), 9)"}


def live_and_end(state: Path, agent: str, events: int, end: str) -> Path:
    """The journal that a process leaves which logs `events` lines while its agent is away, and ends as `end` says."""
    script = (
        "import os, logship; logship.configure(); log = logship.get_logger('life')\n"
        f"for number in range({events}): log.info('line', number=number, filling='x' * 300)\n{ENDS[end]}\n"
    )
    around = environment(LOGSHIP_STATE_DIR=str(state), LOGSHIP_AGENT=agent, LOGSHIP_SERVICE="life")
    before = set(home.Home(state).incarnations())
    subprocess.run([sys.executable, "-c", script], env=around, stderr=subprocess.DEVNULL, check=False)
    (name,) = set(home.Home(state).incarnations()) - before
    return state / "journals" / name


def damaged(data: bytearray, part: str) -> str:
    """Flip a bit that matters, zero a sector, or cut the end off; say which."""
    used = {"identity": TABLE_BYTES, "inflight": CELLS_BYTES}.get(part) or segment.DATA_AT + EVENTS * 600
    match random.choice(("flip", "flip", "zeros", "cut")):
        case "flip":
            at = random.randrange(min(used, len(data)))
            data[at] ^= 1 << random.randrange(8)
            return f"bit flipped at {at}"
        case "zeros":
            at = random.randrange(min(used, len(data))) // 512 * 512
            data[at : at + 512] = bytes(512)
            return f"512 zeros at {at}"
        case _:
            at = random.randrange(min(used, len(data)))
            del data[at:]
            return f"cut to {at}"


def test_damage_in_a_journal_costs_what_it_hit_and_no_verdict_hides_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Collecting(state, tmp_path) as collecting:
        collecting.wait_ready()
        agent = f"127.0.0.1:{collecting.port}"
        collecting.stop()
        originals = [live_and_end(state, agent, EVENTS, end) for end in ("kill -9", "shutdown()")]
        for one in originals:
            one.rename(tmp_path / one.name)
        hit: dict[str, Judged] = {}
        for number in range(FLIPS):
            # Under its own name: the ids in it are of that name. One at a time, each in a store of its own.
            original = tmp_path / originals[number % 2].name
            part = random.choice(("00000001.segment", "00000001.segment", "identity", "inflight"))
            copy = state / "journals" / original.name
            shutil.copytree(original, copy)
            data = bytearray((copy / part).read_bytes())
            what = f"{part} {damaged(data, part)}, {'closed' if number % 2 else 'killed'}"
            (copy / part).write_bytes(data)
            hit[what] = judged(collecting, state, copy)
        wrong = [f"{what}: {one.wrong}" for what, one in hit.items() if one.wrong]
        doubled = sum(one.doubled for one in hit.values())
    row(
        "a bit flipped, a sector zeroed, a file truncated in the journal of a crashed worker",
        f"{EVENTS} events, killed -9 or closed in order, one random damage in a segment, the identity or the in-flight table",
        f"{FLIPS} journals",
        lost=sum(one.lost for one in hit.values()),
        doubled=doubled,
        wrong=len(wrong),
    )
    assert not wrong, wrong
    assert doubled == 0


class Judged(NamedTuple):
    """What became of one damaged journal: events that the damage cost, events stored twice, a verdict that is not true."""

    lost: int
    doubled: int
    wrong: str


def judged(collecting: Collecting, state: Path, copy: Path) -> Judged:
    """Let the collector adopt what is damaged, and compare what it stored with what it says."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(state / "store")
    collecting.start()
    collecting.wait_ready()
    time.sleep(2.5)
    until(lambda: not copy.exists() or copy.name in collecting.said(), lambda: f"adoption\n{collecting.said()}")
    collecting.stop()
    stored = Stored.read(state / "store")
    kept = copy.exists()
    if kept:
        shutil.rmtree(copy)
    verdicts = [verdict for verdict in stored.verdicts if verdict.incarnation == copy.name]
    lines = [event for event in stored.events if event.get("message") == "line"]
    lost, doubled = EVENTS - len(lines), len(lines) - len({event["event.id"] for event in lines})
    # Without a verdict the journal must be where it was, and named.
    findings = [verdict.finding for verdict in verdicts]
    if (not findings and not kept) or (lost and findings == ["complete"]):
        return Judged(lost, doubled, f"{findings} with {lost} missing")
    return Judged(lost, doubled, "")


@pytest.fixture
def small_disks(tmp_path: Path) -> Iterator[list[Path]]:
    """File systems of 8 MiB."""
    disks = [tmp_path / f"disk{number}" for number in range(FULL_DISKS * 3)]
    mounted: list[Path] = []
    try:
        for disk in disks:
            disk.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", "mode=0700,size=8m", "none", str(disk)]
            try:
                subprocess.run(command, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as error:
                pytest.skip(f"a tmpfs cannot be mounted here ({error}); run as root")
            mounted.append(disk)
        yield disks
    finally:
        for disk in mounted:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.prove
def test_events_that_a_full_disk_cost_are_told_however_the_life_ended(small_disks: list[Path], tmp_path: Path) -> None:
    events, lost, doubled, wrong = 20_000, 0, 0, []
    ends = list(ENDS) * FULL_DISKS
    for disk, end in zip(small_disks, ends, strict=True):
        state = disk / "state"
        folder = tmp_path / f"collector-of-{disk.name}"
        folder.mkdir()
        with Collecting(state, folder, LOGSHIP_STORE_DIR=str(folder / "store")) as collecting:
            collecting.wait_ready()
            collecting.stop(signal.SIGKILL)
            live_and_end(state, f"127.0.0.1:{collecting.port}", events, end)
            collecting.start()
            collecting.wait_ready()
            collecting.wait_adopted()
            collecting.stop()
        stored = Stored.read(folder / "store")
        ids = [event["event.id"] for event in stored.events if event.get("message") == "line"]
        lines, doubled = len(ids), doubled + len(ids) - len(set(ids))
        (verdict,) = stored.verdicts
        dropped = sum(verdict.dropped.values())
        lost += events - lines - dropped
        if verdict.finding != "missing" or dropped < events / 4 or verdict.missing:
            wrong.append(f"{end}: {verdict.sentence}")
    row(
        "the disk is full and the agent is unreachable",
        f"{events:,} events on a tmpfs of 8 MiB; then {', '.join(ENDS)}",
        f"{len(ends)} runs",
        lost=lost,
        doubled=doubled,
        wrong=len(wrong),
    )
    assert not wrong
    assert lost == 0, "stored or counted"
    assert doubled == 0
