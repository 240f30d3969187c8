"""Workers whose clock is wrong, or jumps while they run: nothing is lost, and no verdict or time window is fooled."""

import random
import signal
import sys
import time
from pathlib import Path

import pytest

from logship.forensics.verify import Verdict, verify
from logship.search.query import Query
from logship.store.read.reader import Reader
from tests import needs
from tests.proofs.figures import row
from tests.proofs.scene import PROVE, SHOPS, Collecting, Process, environment, until

RUNS = 40
EVENTS = 500
# Offsets of a clock: of 1970 and 2100, of other years, of an hour and of moments.
OFFSETS = ("-56y", "+74y", "-10y", "+400d", "-2h", "+2h", "-30s", "+0")
HOUR_NS = 3600 * 10**9

pytestmark = pytest.mark.timeout(1800 if PROVE else 180)


def libfaketime() -> str:
    """The library that fakes the clock; the test is left out, with a sentence, where there is none."""
    libraries = [path for root in ("/usr/lib", "/usr/local/lib") for path in Path(root).rglob("libfaketime.so.1")]
    if not libraries:
        needs.lacks("faketime", "libfaketime is not on this machine (Debian: apt-get install faketime)")
    return str(libraries[0])


def play(folder: Path, port: int, state: Path, killed: bool) -> None:
    """One process logs EVENTS lines while its clock jumps; then it is killed, or ends in order."""
    clock, library = folder / "clock", libfaketime()
    clock.write_text(f"{random.choice(OFFSETS)}\n")
    around = environment(
        LOGSHIP_STATE_DIR=str(state), LOGSHIP_AGENT=f"127.0.0.1:{port}", LOGSHIP_SERVICE="clock",
        LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1", DONT_FAKE_MONOTONIC="1",
    )  # fmt: skip
    words = [sys.executable, str(SHOPS / "clock.py"), str(EVENTS), *(["--hang"] if killed else [])]
    with Process(words, around, folder / "clock.txt") as process:

        def logged() -> bool:
            jump(folder, clock)
            return "logged" in process.said() or process.ended()

        until(logged, process.said)
        if killed:
            process.stop(signal.SIGKILL)
        until(process.ended, process.said)


def jump(folder: Path, clock: Path) -> None:
    """Set the clock, in one step."""
    (folder / "next").write_text(f"{random.choice(OFFSETS)}\n")
    (folder / "next").rename(clock)


@pytest.mark.prove
def test_a_wrong_clock_costs_no_event_and_fools_no_verdict(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Collecting(state, tmp_path) as collecting:
        collecting.wait_ready()
        for run in range(RUNS):
            (folder := tmp_path / f"run{run}").mkdir()
            play(folder, collecting.port, state, killed=run % 2 == 1)
        collecting.wait_adopted()
        collecting.stop()
    source, now_ns = Reader(state / "store"), time.time_ns()
    try:
        verdicts = [one for one in verify(source, Query(), now_ns) if one.service == "clock"]
        stored = source.count(Query())
        recent = source.count(Query(None, now_ns - HOUR_NS, now_ns))
    finally:
        source.close()
    row(
        "the clock of a worker is wrong and jumps",
        f"{EVENTS} events while the clock jumps between years from 1970 to 2100, half of the processes killed with -9",
        f"{RUNS} processes, {stored:,} events",
        lost=sum(max(0, EVENTS - one.stored) for one in verdicts) + EVENTS * (RUNS - len(verdicts)),
        doubled=sum(max(0, one.duplicates) for one in verdicts),
        wrong=sum(not right(one) for one in verdicts),
    )
    assert len(verdicts) == RUNS
    assert all(one.stored >= EVENTS for one in verdicts), [one.sentence for one in verdicts]
    assert all(map(right, verdicts)), [one.sentence for one in verdicts]
    assert recent < stored, "events of other years are not of the last hour"


def right(verdict: Verdict) -> bool:
    """Whether the verdict is true: all events are stored, so none may be called missing or doubled."""
    return verdict.missing == 0 and not verdict.dropped and verdict.duplicates <= 0 and verdict.finding != "missing"
