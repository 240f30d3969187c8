"""What `verify` says of real workers: clean runs are complete, and what was done to their events is named."""

import contextlib
import os
import random
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logship.forensics.verify import Verdict, verify
from logship.search.query import Query
from logship.store.files import read_listing
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from logship.wire.entries import EntryLimits
from logship.wire.receive import Decoder, acknowledge
from tests.proofs.figures import row
from tests.proofs.scene import (
    PROVE,
    SHOPS,
    Collecting,
    Load,
    Process,
    Shop,
    Stored,
    check_nothing_lost,
    environment,
    free_port,
    until,
)

RUNS = 20 if PROVE else 1
WORKERS = 2
LINES = 3000
MINUTE_NS = 60 * 10**9

pytestmark = pytest.mark.timeout(1800 if PROVE else 180)


def play(folder: Path) -> Stored:
    """Two workers under load; one is killed, the collector is killed, everything is restarted, and then stopped."""
    state = folder / "state"
    with (
        Collecting(state, folder) as collecting,
        Shop(folder, f"127.0.0.1:{collecting.port}", WORKERS, state, LOGSHIP_ACK_TIMEOUT_SECONDS="2") as shop,
    ):
        collecting.wait_ready()
        shop.wait_ready()

        def serve(workers: int) -> None:
            until(lambda: len(shop.notes().serving) >= workers, lambda: f"{workers} workers\n{shop.said()}")

        with Load(shop.port, 8, 0.03) as load:
            until(lambda: len(load.answered) > 20, lambda: f"answers\n{shop.said()}")
            os.kill(random.choice(sorted(shop.notes().serving)), signal.SIGKILL)
            serve(WORKERS + 1)
            collecting.kill_and_restart()
            time.sleep(random.uniform(0, 0.5))
            shop.stop()
            shop.start()
            serve(2 * WORKERS + 1)
            enough = len(load.answered) + 20
            until(lambda: len(load.answered) > enough, lambda: f"answers\n{shop.said()}")
        shop.stop()
        collecting.wait_adopted()
        notes = shop.notes()
        collecting.stop()
    stored = Stored.read(state / "store")
    check_nothing_lost(stored, notes)
    return stored


def test_clean_runs_with_restarts_and_kills_are_complete(tmp_path: Path) -> None:
    verdicts: list[Verdict] = []
    for run in range(RUNS):
        (folder := tmp_path / str(run)).mkdir()
        verdicts += play(folder).verdicts
    assert {verdict.finding for verdict in verdicts} == {"complete"}
    assert len(verdicts) >= RUNS * (2 * WORKERS + 1)
    stored = sum(verdict.stored for verdict in verdicts)
    row(
        "workers, the collector and the server are restarted or killed",
        "one worker killed with -9, then the collector, then the server restarted and stopped, under load",
        f"{RUNS} rounds, {len(verdicts)} runs, {stored:,} events",
        lost=sum(verdict.missing for verdict in verdicts),
        doubled=sum(max(0, verdict.duplicates) for verdict in verdicts),
        wrong=sum(verdict.finding != "complete" for verdict in verdicts),
    )
    print(f"\nverify: {RUNS} rounds with kills and restarts, {len(verdicts)} runs, {stored} events: all complete")


class Agent:
    """Stores what it takes, as the collector does, but for the frames that `steals` names: those it acknowledges only."""

    def __init__(self, directory: Path, port: int, steals: Callable[[int], bool]) -> None:
        self.store, self._steals, self._frames = Store(directory, roll_records=500), steals, 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name="agent")
        self._thread.start()

    def close(self) -> None:
        for one in (self._listener, self._connection):
            with contextlib.suppress(OSError):
                if one is not None:
                    one.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.store.seal()
        self.store.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connection = connection
                decoder = Decoder(EntryLimits())
                with connection, contextlib.suppress(OSError):
                    while received := connection.recv(65536):
                        for batch in decoder.feed(received):
                            if not self._steals(self._frames):
                                self.store.append(batch.entries)
                            self._frames += 1
                            assert batch.chunk is not None
                            connection.sendall(acknowledge(batch.chunk))


@contextlib.contextmanager
def agent(folder: Path, port: int, steals: Callable[[int], bool] = lambda _: False) -> Iterator[Agent]:
    """An agent that is closed, with all it has sealed, when the `with` is over."""
    made = Agent(folder / "store", port, steals)
    try:
        yield made
    finally:
        made.close()


def burst(folder: Path, port: int, *words: object, **changes: str) -> Process:
    """The process that logs lines."""
    around = environment(
        LOGSHIP_STATE_DIR=str(folder / "state"),
        LOGSHIP_AGENT=f"127.0.0.1:{port}",
        LOGSHIP_SERVICE="burst",
        **changes,
    )
    return Process([sys.executable, SHOPS / "burst.py", *map(str, words)], around, folder / "burst.txt")


def finish(process: Process) -> None:
    until(process.ended, process.said)
    assert process.process is not None
    assert process.process.returncode == 0, process.said()


def judge(folder: Path) -> Verdict:
    """The verdict of somebody who asks a minute later."""
    reader = Reader(folder / "store")
    try:
        (verdict,) = verify(reader, Query(), time.time_ns() + MINUTE_NS)
    finally:
        reader.close()
    return verdict


def test_a_frame_that_was_acknowledged_and_not_stored_is_missing_and_the_worker_not_to_blame(tmp_path: Path) -> None:
    port = free_port()
    with agent(tmp_path, port, lambda frame: frame == 1), burst(tmp_path, port, LINES, "--flushed") as process:
        finish(process)
    verdict = judge(tmp_path)
    assert (verdict.finding, verdict.state, verdict.dropped) == ("missing", "closed", {})
    assert verdict.stored + verdict.missing == verdict.judged_to > LINES
    assert verdict.after_acknowledgement == verdict.missing > 0
    assert "all of them lost after the agent had acknowledged them" in verdict.sentence


def test_what_the_store_lost_is_missing_between_two_times(tmp_path: Path) -> None:
    port = free_port()
    with agent(tmp_path, port), burst(tmp_path, port, LINES, "--flushed") as process:
        finish(process)
    assert judge(tmp_path).finding == "complete"
    lost = read_listing(tmp_path / "store").segments[2]
    (tmp_path / "store" / lost.name).unlink()
    verdict = judge(tmp_path)
    assert (verdict.finding, verdict.missing, verdict.after_acknowledgement) == ("missing", lost.rows, lost.rows)
    assert verdict.gap_after is not None
    assert verdict.gap_before is not None


def test_what_a_full_journal_dropped_is_told_with_its_reason_and_is_not_missing(tmp_path: Path) -> None:
    port = free_port()
    with burst(tmp_path, port, 8 * LINES, LOGSHIP_JOURNAL_LIMIT_BYTES=str(2 * 2**20)) as process:
        until(lambda: "logged" in process.said(), process.said)
        with agent(tmp_path, port):
            finish(process)
    verdict = judge(tmp_path)
    assert (verdict.finding, verdict.missing, verdict.after_acknowledgement) == ("missing", 0, 0)
    assert list(verdict.dropped) == ["journal_full"]
    assert verdict.dropped["journal_full"] == verdict.judged_to - verdict.stored > 0


def test_a_tail_that_was_never_delivered_is_unknown(tmp_path: Path) -> None:
    port = free_port()
    with burst(tmp_path, port, LINES, "--hang") as process:
        with agent(tmp_path, port) as taking:
            until(lambda: Reader(taking.store.directory).count(Query()) >= LINES // 2, process.said)
        process.stop(signal.SIGKILL)
    shutil.rmtree(tmp_path / "state")
    verdict = judge(tmp_path)
    assert (verdict.finding, verdict.state, verdict.missing) == ("unknown", "silent", 0)
    assert "no end was recorded" in verdict.sentence
