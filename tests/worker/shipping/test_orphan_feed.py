"""The journals of dead workers: adopted, shipped beside our own, reported, removed, or given up."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logship.worker.pipeline import Pipeline
from tests.worker.far_agent import AwakeAgent, Got, Peer, entries
from tests.worker.pipelines import log, run, the_shipper
from tests.worker.serving import until

Make = Callable[..., Pipeline]


def a_dead_worker(
    tmp_path: Path, agent: str, name: str, events: int = 3, goodbye: bool = False, **facts: object
) -> Path:
    """The journal of a worker that was killed after `events` events (or had said goodbye before)."""
    script = f"""
        import os, time
        from pathlib import Path
        from logship.event import build, entry
        from logship.state import home
        from logship.state.identity import Cell, Facts
        from logship.state.journal import Journal
        facts = dict(service="shop", agent={agent!r}, role="worker", host="h", pid=os.getpid()) | {facts!r}
        journal = Journal(home.open_home(Path({str(tmp_path / "state")!r})).journals, Facts(**facts), 16 << 20)
        journal.cells[Cell.SLOT] = 1
        for number in range({events}):
            journal.prepare()
            fields = {{"message": f"{name} {{number}}", "labels": {{"filler": "x" * 2000}}}}
            assert journal.append((entry.begin(time.time_ns(), 2), entry.pairs(fields)))
        if {goodbye}:
            fields = build.closed(build.Counters({events} + 1, 0, journal.identity.dropped()))
            assert journal.append((entry.begin(time.time_ns(), len(fields)), entry.pairs(fields)))
        print(journal.directory, flush=True)
        os._exit(0)
    """
    return Path(run(script, tmp_path, stdout=subprocess.PIPE).stdout.decode().strip())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logship.worker.shipping.orphan_feed.INTERVAL_SECONDS", 0.02)


@pytest.mark.usefixtures("at_once")
def test_what_dead_workers_left_is_shipped_beside_our_own_and_removed(
    a_pipeline: Make, far: AwakeAgent, tmp_path: Path
) -> None:
    dead = [a_dead_worker(tmp_path, far.address, f"dead{number}", 700, goodbye=number == 1) for number in range(3)]
    other = a_dead_worker(tmp_path, far.address, "other", service="billing")
    elsewhere = a_dead_worker(tmp_path, "10.0.0.1:24224", "elsewhere")
    pipeline = a_pipeline(far)
    for number in range(200):
        log(pipeline, f"own {number}")
        time.sleep(0.001)
    until(lambda: not any(path.exists() for path in dead), "the dead workers' journals to be removed")
    assert the_shipper(pipeline).flush(20)
    wanted = {f"dead{worker} {number}" for worker in range(3) for number in range(700)}
    wanted |= {f"own {number}" for number in range(200)}
    arrived = [message for message in far.stored() if not message.startswith("worker")]
    assert set(arrived) == wanted
    assert len(arrived) == len(wanted), "each once"
    assert len(far.stored()) - len(arrived) == 3, "a goodbye, and a report for each that said none"
    assert other.exists()
    assert elsewhere.exists()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("goodbye", [True, False])
def test_a_dead_workers_journal_stays_until_its_last_event_is_acknowledged(
    a_pipeline: Make, far: AwakeAgent, tmp_path: Path, goodbye: bool
) -> None:
    path = a_dead_worker(tmp_path, far.address, "dead", goodbye=goodbye)
    far.answer = lambda peer, frame: None
    pipeline = a_pipeline(far)
    until(lambda: far.got, "the first frame")
    for _ in range(20):
        the_shipper(pipeline).wake()
        time.sleep(0.005)
    assert path.exists()
    for frame in far.got:
        far.peers[0].acknowledge(frame.chunk)
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk)
    until(lambda: not path.exists(), "the journal to be removed")


@pytest.mark.usefixtures("at_once")
def test_what_another_version_wrote_is_kept_and_said_once_and_the_rest_is_shipped(
    a_pipeline: Make, far: AwakeAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = a_dead_worker(tmp_path, far.address, "broken")
    foreign = a_dead_worker(tmp_path, far.address, "foreign")
    with (broken / "00000001.segment").open("r+b") as file:
        file.write(b"LSHIPSG9")
    with (foreign / "identity").open("r+b") as file:
        file.write(b"LSHIPID9")
    good = a_dead_worker(tmp_path, far.address, "good")
    pipeline = a_pipeline(far)
    until(lambda: not good.exists(), "the good one to be shipped")
    for _ in range(20):
        the_shipper(pipeline).wake()
        time.sleep(0.005)
    assert (tmp_path / "state" / "unreadable" / f"{broken.name}-00000001.segment").read_bytes()[:8] == b"LSHIPSG9"
    assert (foreign / "00000001.segment").exists()
    said = [record.message for record in caplog.records]
    assert len(said) == 2, said
    assert {name for name in (broken.name, foreign.name) for text in said if name in text} == {
        broken.name,
        foreign.name,
    }


@pytest.mark.usefixtures("at_once")
def test_over_the_total_limit_the_oldest_dead_workers_events_go_first_even_while_no_agent_answers(
    a_pipeline: Make, far: AwakeAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[dict[str, Any]] = []
    far.answer = lambda peer, frame: None
    dead = [a_dead_worker(tmp_path, far.address, f"dead{number}", 900, goodbye=number == 0) for number in range(4)]
    pipeline = a_pipeline(far, state_limit_bytes=16 * 2**20)
    until(lambda: not list(dead[0].glob("*.segment")), "the oldest to be given up")
    until(lambda: _size(tmp_path / "state" / "journals") <= 16 * 2**20, "the limit to be kept")
    assert list(dead[3].glob("*.segment")), "the newest is kept"
    assert any("LOGSHIP_STATE_LIMIT_BYTES" in record.message for record in caplog.records)

    def store(peer: Peer, frame: Got) -> None:
        told.extend(one for _, one in entries(frame.body) if "logship.dropped.state_limit" in one)
        peer.acknowledge(frame.chunk)

    far.answer = store
    for peer in far.peers:
        peer.socket.shutdown(2)
    until(lambda: not any(path.exists() for path in dead), "everything else to be shipped")
    assert the_shipper(pipeline).flush(20)
    lost = {one["service.ephemeral_id"]: one["logship.dropped.state_limit"] for one in told}
    assert lost[dead[0].name] == 901, "its goodbye was lost with the rest, and the loss is reported all the same"
    assert {f"dead3 {number}" for number in range(900)} <= set(far.stored())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
