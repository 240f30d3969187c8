"""The collector dies at random moments: what it acknowledged is there, once. And one frame that nobody takes."""

import contextlib
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.errors import WireError
from logship.state import home
from logship.wire.entries import EntryLimits
from logship.wire.receive import Batch, Decoder, acknowledge
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
    until,
)
from tests.proofs.sender import Insistent

KILLS = 50 if PROVE else 3
BURST = 3000
POISONED = 1234

pytestmark = pytest.mark.timeout(1800 if PROVE else 180)


def test_a_killed_collector_has_stored_what_it_acknowledged_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with (
        Collecting(state, tmp_path) as collecting,
        Shop(tmp_path, f"127.0.0.1:{collecting.port}", 2, state, LOGSHIP_ACK_TIMEOUT_SECONDS="2") as shop,
    ):
        collecting.wait_ready()
        shop.wait_ready()
        began = time.monotonic()
        with Load(shop.port, 16, 0.03) as load, Insistent(collecting.port) as insistent:
            for _ in range(KILLS):
                time.sleep(random.uniform(0, 1.5))
                collecting.kill_and_restart()
            time.sleep(0.5)
        lasted = time.monotonic() - began
        shop.stop()
        collecting.wait_adopted()
        notes = shop.notes()
        collecting.stop()
    stored = Stored.read(state / "store")
    ours = {verdict.incarnation: verdict for verdict in stored.verdicts}
    stored.verdicts.remove(ours[insistent.incarnation])  # it tells no end: nobody can say what came after
    check_nothing_lost(stored, notes)
    ids = stored.ids()
    acknowledged = [f"{insistent.incarnation}-{number:012d}" for number in range(1, insistent.acknowledged + 1)]
    assert insistent.acknowledged
    row(
        "the collector is killed with -9",
        "a shop of 2 workers under load and a sender that repeats what is not acknowledged, at random moments",
        f"{KILLS} kills in {lasted:.0f} s, {len(stored.events):,} events",
        lost=len(notes.logged - stored.steps().keys()) + len(notes.ended - stored.requests().keys())
        + sum(not ids[one] for one in acknowledged),
        doubled=sum(count - 1 for count in ids.values()),
        wrong=sum(verdict.finding != "complete" for verdict in stored.verdicts),
    )
    assert all(ids[one] == 1 for one in acknowledged)
    print(
        f"\nproof 4: collector killed -9 {KILLS} times in {lasted:.0f} s: {len(stored.events)} events stored, "
        f"{len(load.asked)} requests, {len(acknowledged)} acknowledged to a sender of our own; "
        f"0 lost, 0 twice, {len(stored.verdicts)} runs complete"
    )


class Fussy:
    """A receiver that acknowledges each frame but those that hold the poison: it closes the connection on them."""

    def __init__(self) -> None:
        self.taken: list[dict[str, object]] = []
        self.refusals = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="fussy")
        self._connections: list[socket.socket] = []
        self._serving: list[threading.Thread] = []
        self._thread.start()

    def close(self) -> None:
        """Close every socket and wait for the threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._serving:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._serving.append(threading.Thread(target=self._serve, args=(connection,)))
                self._serving[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        decoder = Decoder(EntryLimits())
        with connection, contextlib.suppress(OSError, WireError):
            while received := connection.recv(65536):
                for batch in decoder.feed(received):
                    if any(record["message"] == "poison" for _, record in batch.entries):
                        self.refusals += 1
                        return
                    self._take(batch, connection)

    def _take(self, batch: Batch, connection: socket.socket) -> None:
        assert batch.chunk is not None
        connection.sendall(acknowledge(batch.chunk))
        self.taken += [record for _, record in batch.entries]

    def numbers(self) -> Counter[int]:
        """How often each line arrived; sizes only fit when the poison alone is missing."""
        lines = [record for record in self.taken if record["message"] == "line"]
        return Counter(int(record["numeric_labels"]["number"]) for record in lines)  # type: ignore[index]

    def last(self, action: str) -> dict[str, object] | None:
        """The newest event with this action."""
        return next((record for record in reversed(self.taken) if record.get("event.action") == action), None)


@pytest.fixture
def fussy() -> Iterator[Fussy]:
    made = Fussy()
    yield made
    made.close()


def burst(folder: Path, agent: str, *words: object) -> Process:
    """The process that logs lines and one poison."""
    around = environment(
        LOGSHIP_STATE_DIR=str(folder / "state"),
        LOGSHIP_AGENT=agent,
        LOGSHIP_SERVICE="burst",
        LOGSHIP_ACK_TIMEOUT_SECONDS="2",
    )
    return Process([sys.executable, SHOPS / "burst.py", *map(str, words)], around, folder / "burst.txt")


def check_all_but_the_poison(fussy: Fussy, folder: Path) -> None:
    expected = set(range(BURST)) - {POISONED}
    assert fussy.numbers().keys() == expected
    (kept,) = (folder / "state" / "refused").iterdir()
    assert b"poison" in kept.read_bytes()


def test_a_frame_that_is_always_refused_does_not_hold_up_the_others(tmp_path: Path, fussy: Fussy) -> None:
    with burst(tmp_path, f"127.0.0.1:{fussy.port}", BURST, "--poisoned", POISONED) as process:
        until(process.ended, lambda: f"the end; {len(fussy.taken)} arrived\n{process.said()}")
        assert process.process is not None
        assert process.process.returncode == 0, process.said()
    check_all_but_the_poison(fussy, tmp_path)
    closed = fussy.last("worker-closed")
    assert closed is not None
    print(f"\nproof 4: one refused record of {BURST}: {fussy.refusals} refusals until it was found, all others arrived")


def test_a_refused_record_of_a_dead_process_is_counted_where_it_was_numbered(tmp_path: Path, fussy: Fussy) -> None:
    agent = f"127.0.0.1:{fussy.port}"
    with burst(tmp_path, agent, BURST, "--poisoned", POISONED, "--hang") as dying:
        until(lambda: "logged" in dying.said(), dying.said)
        dying.stop(signal.SIGKILL)
    assert home.Home(tmp_path / "state").incarnations()
    with burst(tmp_path, agent, 1, "--hang") as heir:
        until(lambda: fussy.last("worker-ended") is not None, lambda: f"the report\n{heir.said()}")
        heir.stop(signal.SIGKILL)
    check_all_but_the_poison(fussy, tmp_path)
    report = fussy.last("worker-ended")
    assert report is not None
    assert report["logship.dropped.refused"] == 1
