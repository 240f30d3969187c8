"""The store's writer dies while it takes, seals and merges, and somebody counts all the time."""

import contextlib
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.search.query import Query
from logship.store.files import read_listing
from logship.store.read.reader import Reader
from logship.store.write.store import Appended, Store
from tests.proofs.figures import row
from tests.proofs.scene import PROVE, ROOT
from tests.store.events import events

KILLS = 30 if PROVE else 3
MOMENTS = ("takes", "seals", "merges")
BATCH = 7
LOOK_SECONDS = 20.0

pytestmark = pytest.mark.timeout(1800 if PROVE else 180)

WRITER = """
    import os, sys, time
    from logship.store.write import merging, superseded
    from logship.store.write.store import Store
    from tests.store.events import events
    merging.MERGE_SEGMENTS, superseded.GRACE_SECONDS = 3, 0.2
    store = Store(sys.argv[1], roll_records=140)
    at, batch, pause = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    print("ready", flush=True)
    while True:
        store.append(events(at, at + batch - 1))
        at += batch
        time.sleep(pause)  # merging waits while many logs wait to be sealed
        os.write(1, b"%d\\n" % (at - 1))
"""


class Writer:
    """A process that appends, with pauses of so many seconds. `acknowledged`: the highest sequence that it knows is stored."""

    def __init__(self, directory: Path, first: int, pause: float = 0.002) -> None:
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(directory), str(first), str(BATCH), str(pause)]
        self.acknowledged = 0
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})
        assert self._process.stdout
        self._said = self._process.stdout
        assert self._said.readline() == b"ready\n"
        self._hearing = threading.Thread(target=self._hear, name="hearing")
        self._hearing.start()

    def kill(self) -> None:
        """kill -9, and hear what it had said."""
        self._process.kill()
        self._process.wait()
        self._hearing.join()
        self._said.close()

    def _hear(self) -> None:
        for line in self._said:
            self.acknowledged = int(line)


def doing(directory: Path) -> set[str]:
    """What the writer is at, as file names tell."""
    found = {"takes"}
    for name in os.listdir(directory):
        if name.endswith(".tmp") and name.count(".") == 1:
            first, _, last = name.removesuffix(".tmp").partition("-")
            found.add("seals" if first == last else "merges")
    return found


def wait_for(moment: str, directory: Path) -> str:
    """Return when the writer does this; or something else, if it never seems to."""
    deadline = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < deadline:
        if moment in doing(directory):
            return moment
        time.sleep(0.0005)
    return "takes"


def wait_for_a_merge(directory: Path) -> bool:
    """Whether a segment was merged before too long: one log has 140 records and a few more, so larger segments are merged."""
    deadline = time.monotonic() + 3 * LOOK_SECONDS
    while time.monotonic() < deadline:
        if any(segment.rows > 200 for segment in read_listing(directory).segments):
            return True
        time.sleep(0.05)
    return False


class Counting:
    """A reader that counts without a pause: at least what was acknowledged before, and never less than before."""

    def __init__(self, directory: Path) -> None:
        self.least, self.counts = 0, list[tuple[int, int]]()
        self._directory, self._done = directory, threading.Event()

    @contextlib.contextmanager
    def all_the_time(self) -> Iterator[None]:
        counting = threading.Thread(target=self._count, name="counting")
        counting.start()
        try:
            yield
        finally:
            self._done.set()
            counting.join()

    def _count(self) -> None:
        reader = Reader(self._directory, threads=1)
        while not self._done.is_set():
            least = self.least
            if least:
                self.counts.append((least, reader.count(Query())))
        reader.close()


def test_kill_9_loses_nothing_that_was_acknowledged_and_repeats_nothing(tmp_path: Path) -> None:
    directory, moments, last = tmp_path / "store", Counter[str](), 0
    counting = Counting(directory)
    with counting.all_the_time():
        for kill in range(KILLS):
            # Beginning a little before what is stored is a resend: those are duplicates.
            writer = Writer(directory, max(1, last - 20))
            try:
                enough = last + 300 + 97 * (kill % 5)
                deadline = time.monotonic() + LOOK_SECONDS
                while writer.acknowledged < enough and time.monotonic() < deadline:
                    counting.least = max(last, writer.acknowledged)
                    time.sleep(0.001)
                moments[wait_for(MOMENTS[kill % 3], directory)] += 1
            finally:
                writer.kill()
            last = check(directory, max(last, writer.acknowledged))
            counting.least = last
        # A busy machine may have killed each writer before it merged: the last one lives until it has.
        writer = Writer(directory, last + 1, pause=0.05)
        try:
            merged = wait_for_a_merge(directory)
        finally:
            writer.kill()
        last = check(directory, max(last, writer.acknowledged))
    assert merged
    assert counting.counts
    assert all(least <= counted <= last for least, counted in counting.counts)
    # Counting something twice, in a merge, would make a later count smaller.
    counts = [counted for _, counted in counting.counts]
    assert counts == sorted(counts)
    row(
        "the store's writer is killed with -9",
        "while it appends, seals and merges, with a reader that counts all the time",
        f"{KILLS} kills, {last:,} events, {len(counts):,} counts",
        lost=sum(max(0, least - counted) for least, counted in counting.counts),
        doubled=sum(max(0, counted - last) for _, counted in counting.counts),
        wrong=sum(later < earlier for earlier, later in itertools.pairwise(counts)),
    )
    print(
        f"\nthe store's writer killed -9 {KILLS} times, at which it {dict(moments)}: {last} events, 0 acknowledged lost, "
        f"0 twice; {len(counts)} counts by a reader meanwhile, 0 wrong"
    )


def check(directory: Path, acknowledged: int) -> int:
    """Open what the kill left: every acknowledged event is there once. Return the last sequence."""
    with Store(directory) as store:
        reader = Reader(directory, threads=1)
        (life,) = reader.incarnations(Query())
        ((first, last),) = life.stored
        assert (first, life.duplicates, reader.count(Query())) == (1, 0, last)
        reader.close()
        # At most the batch that was under way is there without having been acknowledged.
        assert acknowledged <= last <= acknowledged + BATCH
        resent = events(max(1, last - 500), last)
        assert store.append(resent) == Appended(0, duplicates=len(resent))
    return last
