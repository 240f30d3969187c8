"""A collector that is killed at any moment, or that works while somebody checks, leaves nothing that looks like tampering."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from logship.search.query import Query
from logship.store.chain.check import ChainCheck
from logship.store.chain.record import CHAIN
from logship.store.read.reader import Reader
from logship.store.write import maintenance, merging, superseded
from logship.store.write.store import Store
from tests.store.events import events

ROOT = Path(__file__).parents[3]
# The file of the chain is the only thing that is written with this function, one record at a time.
WRITER = """
    import os, signal, sys, time
    from logship.store.chain import writer
    from logship.store.write import merging
    from logship.store.write.retention import Retention
    from logship.store.write.store import Store
    from tests.store.events import events

    directory, kind, moment, last = sys.argv[1], sys.argv[2].encode(), sys.argv[3], int(sys.argv[4])
    write_all, merging.MERGE_SEGMENTS = writer.write_all, 3

    def die(handle, line):
        if b'"kind":"%b"' % kind not in line:
            return write_all(handle, line)
        if moment != "before":
            write_all(handle, line[: len(line) // 2] if moment == "half" else line)
        os.kill(os.getpid(), signal.SIGKILL)

    writer.write_all = die
    with Store(directory, roll_records=1000) as store:
        for at in range(last + 1, last + 100, 10):
            store.append(events(at, at + 9))
            os.write(1, b"%d\\n" % (at + 9))
            store.seal()
            if kind == b"remove":
                store._maintenance.remover.retention = Retention(0, 1)
                store._maintenance.retain(0)
        time.sleep(60)
"""


def killed(directory: Path, kind: str, moment: str, last: int) -> int:
    """Return the last event that was acknowledged by a writer that is killed at this record."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(directory), kind, moment, str(last)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=50)
    assert ended.returncode == -signal.SIGKILL
    return int((ended.stdout.split() or [str(last).encode()])[-1])


def count(directory: Path) -> int:
    reader = Reader(directory, threads=1)
    found = reader.count(Query())
    reader.close()
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("moment", ["before", "half", "after"])
@pytest.mark.parametrize("kind", ["seal", "merge", "remove"])
def test_kill_9_at_a_record_is_not_an_accusation_and_loses_nothing(kind: str, moment: str, tmp_path: Path) -> None:
    with Store(directory := tmp_path / "store") as store:
        store.append(events(1, 20))
        store.seal()
    check = ChainCheck(directory)
    anchor = check.anchor()
    last = killed(directory, kind, moment, 20)
    for _ in range(2):
        assert (check.integrity(Query()).finding, check.integrity(Query(), [anchor]).finding) == ("consistent", "intact")
        if kind != "remove":
            assert count(directory) == last
        with Store(directory) as store:
            store.append(events(last + 1, last + 5))
            store.seal()
        last += 5
    found = check.integrity(Query())
    assert (found.finding, found.not_recorded, found.read) == ("consistent", 0, found.segments)


@pytest.mark.parametrize("moment", ["before", "half", "after"])
def test_kill_9_while_the_chain_begins(moment: str, tmp_path: Path) -> None:
    directory = tmp_path / "store"
    killed(directory, "begin", moment, 0)
    assert ChainCheck(directory).integrity(Query()).finding in {"unknown", "consistent"}
    with Store(directory) as store:
        store.append(events(1, 5))
        store.seal()
    assert ChainCheck(directory).integrity(Query()).finding == "consistent"
    assert sorted(path.name for path in directory.glob(f"{CHAIN}*")) == [CHAIN]


@pytest.mark.prove
@pytest.mark.timeout(120)
def test_a_check_while_the_collector_seals_merges_and_removes_is_not_an_accusation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "MERGE_SEGMENTS", 3)
    monkeypatch.setattr(superseded, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(maintenance, "_RETENTION_EVERY_SECONDS", 0.0)
    done = threading.Event()

    def write() -> None:
        with Store(tmp_path / "store", roll_records=50, retention_bytes=60_000) as store:
            deadline = time.monotonic() + 60
            for at in itertools.count(1, 25):
                store.append(events(at, at + 24))
                time.sleep(0.08)  # merging waits while many logs wait to be sealed
                chain = (tmp_path / "store" / CHAIN).read_bytes()
                if all(b'"kind":"%b"' % kind in chain for kind in (b"merge", b"remove")) or time.monotonic() > deadline:
                    break
        done.set()

    Store(tmp_path / "store").close()
    writing = threading.Thread(target=write, name="writing")
    writing.start()
    check, findings = ChainCheck(tmp_path / "store"), []
    while not done.is_set():
        found = check.integrity(Query())
        findings.append((found.finding, found.flaws))
        time.sleep(0.01)
    writing.join()
    assert {finding for finding, _ in findings} <= {"consistent"}, [flaws for _, flaws in findings if flaws][:3]
    chain = (tmp_path / "store" / CHAIN).read_bytes()
    assert all(b'"kind":"%b"' % kind in chain for kind in (b"seal", b"merge", b"remove"))
