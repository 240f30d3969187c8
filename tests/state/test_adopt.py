"""Orphans: who adopts, what is shipped, how an end is told, and that two adopters never share one."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import ormsgpack
import pytest

from logship.event import entry
from logship.state import adopt, home, inflight, locks
from logship.state.identity import Facts
from logship.state.journal import Journal

DEAD_WORKER = """
    import os, sys, time
    from pathlib import Path
    from logship.event import entry
    from logship.state import home, journal, inflight
    from logship.state.identity import Cell, Facts
    state = home.open_home(Path(sys.argv[1]))
    facts = Facts(service="shop", host="web", pid=os.getpid(), supervisor=int(sys.argv[3]), started_ns=time.time_ns(),
                  tells_closing=True)
    made = journal.Journal(state.journals, facts, 8 << 20)
    cells = made.cells
    cells[Cell.SLOT], cells[Cell.GENERATION] = 3, 7
    def request(span, ended):
        cell = made.inflight.free.pop()
        inflight.CELL.pack_into(made.inflight.map, cell, time.time_ns(), span, b"request-" + span, b"GET", b"/orders/" + span)
        if ended:
            log(span, "http-request")
    def log(span, action):
        fields = {"span.id": span.decode(), "event.action": action}
        made.append((entry.begin(time.time_ns(), 2), entry.pairs(fields)))
    exec(sys.argv[2])
    os.kill(os.getpid(), 9)
"""


def a_dead_worker(state: Path, last_words: str, supervisor: int = 0) -> Path:
    """Let a process write a journal and be killed; return its directory."""
    before = set(home.incarnations(state))
    script = textwrap.dedent(DEAD_WORKER)
    done = subprocess.run([sys.executable, "-c", script, str(state), last_words, str(supervisor)], check=False)
    assert done.returncode == -9
    (name,) = set(home.incarnations(state)) - before
    return state / "journals" / name


def report(directory: Path, finder: Facts | None = None) -> dict[str, object] | None:
    orphan = adopt.adopt(directory)
    assert orphan is not None
    try:
        packed = adopt.report_of(orphan.end(), finder or Facts(host="web", supervisor=1))
        return None if packed is None else ormsgpack.unpackb(packed, ext_hook=lambda tag, data: data)[1]
    finally:
        orphan.release()


def test_requests_in_flight_at_death_are_named_and_those_that_had_ended_are_not(tmp_path: Path) -> None:
    said = report(a_dead_worker(tmp_path, "request(b'a' * 16, False); request(b'b' * 16, True)"))
    assert said is not None
    assert said["event.action"] == "worker-lost"
    assert said["event.reason"] == "requests_in_flight"
    assert said["logship.in_flight.ids"] == ["request-" + "a" * 16]
    assert said["logship.in_flight.count"] == 1
    assert (said["logship.worker.slot"], said["logship.worker.generation"]) == (2, 7)


def test_a_request_that_logged_on_its_way_is_still_in_flight(tmp_path: Path) -> None:
    said = report(a_dead_worker(tmp_path, "request(b'a' * 16, False); log(b'a' * 16, 'order-placed')"))
    assert said is not None
    assert said["logship.in_flight.ids"] == ["request-" + "a" * 16]


def test_the_report_has_the_sequence_after_the_last_so_its_id_is_the_same_whoever_emits_it(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "request(b'b' * 16, True); request(b'a' * 16, False)")
    first, second = report(directory), report(directory)
    assert first is not None
    assert second is not None
    assert first["event.id"] == second["event.id"] == f"{directory.name}-000000000002"


def test_a_death_that_the_supervisor_survived_is_a_loss_even_with_nothing_in_flight(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "request(b'b' * 16, True)", supervisor=os.getpid())
    said = report(directory, Facts(host="web", supervisor=os.getpid()))
    assert said is not None
    assert (said["event.action"], said["event.reason"]) == ("worker-lost", "supervisor_survived")


def test_an_end_that_nothing_explains_is_not_called_a_loss(tmp_path: Path) -> None:
    said = report(a_dead_worker(tmp_path, "request(b'b' * 16, True)", supervisor=2**22 - 1))
    assert said is not None
    assert (said["event.action"], said["event.outcome"]) == ("worker-ended", "unknown")


def test_a_worker_that_was_being_shut_down_is_not_lost_unless_requests_were_cut_off(tmp_path: Path) -> None:
    quiet = report(a_dead_worker(tmp_path, "request(b'b' * 16, True); cells[Cell.CLOSING] = 1", os.getpid()))
    cut = report(a_dead_worker(tmp_path, "request(b'b' * 16, False); cells[Cell.CLOSING] = 1", os.getpid()))
    assert quiet is not None
    assert cut is not None
    assert (quiet["event.action"], cut["event.action"]) == ("worker-closed", "worker-lost")


def test_a_worker_that_said_goodbye_needs_no_report(tmp_path: Path) -> None:
    assert report(a_dead_worker(tmp_path, "request(b'b' * 16, True); made.inflight.map[-256:] = bytes(256); "
                                "cells[Cell.CLOSING] = 2")) is None  # fmt: skip


def test_only_one_of_two_adopters_gets_an_orphan(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "request(b'a' * 16, False)")
    orphan = adopt.adopt(directory)
    assert orphan is not None
    assert adopt.adopt(directory) is None, "we hold it already"
    code = f"from logship.state import adopt; from pathlib import Path; print(adopt.adopt(Path({str(directory)!r})))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == "None"
    orphan.remove()
    assert not directory.exists()
    assert home.incarnations(tmp_path) == []


def test_an_orphan_is_shipped_from_its_mark_on(tmp_path: Path) -> None:
    directory = a_dead_worker(
        tmp_path, "[request(b'%016d' % n, True) for n in range(700)]; cells[Cell.MARK] = (1 << 32) | 100"
    )
    orphan = adopt.adopt(directory)
    assert orphan is not None
    batches = list(orphan.pending())
    assert [len(entries) for entries, _ in batches] == [500, 100]
    orphan.advance(batches[0][1], 500)
    assert [len(entries) for entries, _ in orphan.pending()] == [100]
    orphan.release()


def test_giving_an_orphan_up_counts_every_event_that_is_lost(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "[request(b'%016d' % n, True) for n in range(700)]")
    orphan = adopt.adopt(directory)
    assert orphan is not None
    assert orphan.give_up() == 700
    assert orphan.end().dropped["state_limit"] == 700
    assert list(orphan.pending()) == []
    orphan.release()


def test_a_living_owner_is_seen_and_left_alone(tmp_path: Path) -> None:
    state = home.open_home(tmp_path)
    journal = Journal(state.journals, Facts(service="shop"), 8 << 20)
    assert journal.directory is not None
    code = f"from logship.state import adopt; from pathlib import Path; print(adopt.owner(Path({str(journal.directory)!r})))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == os.getpid()
    assert adopt.adopt(journal.directory) is None
    locks.release(journal.directory / "lock")


def test_a_forked_child_holds_none_of_its_parents_locks(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert locks.hold(path)
    child = os.fork()
    if child == 0:
        os._exit(0 if locks.holder(path) == os.getppid() and not locks.hold(path) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert locks.holder(path) == os.getpid(), "the child's exit must not free our lock"
    locks.release(path)
    assert locks.holder(path) is None


def test_the_in_flight_table_cuts_long_text_and_shows_the_oldest_first(tmp_path: Path) -> None:
    table = inflight.InFlight(tmp_path / "inflight")
    for start, path in ((20, b"/second"), (10, b"/first" + b"x" * 500)):
        inflight.CELL.pack_into(table.map, table.free.pop(), start, b"s" * 16, b"id", b"GET", path)
    first, second = inflight.read(tmp_path)
    assert (first.started_ns, len(first.path)) == (10, 152)
    assert (second.path, second.method, second.request_id) == ("/second", "GET", "id")
    assert table.count() == 2


def test_a_half_made_directory_is_no_journal_and_is_swept_later(tmp_path: Path) -> None:
    state = home.open_home(tmp_path)
    (state.journals / ".0123456789abcdef01234567").mkdir()
    assert home.incarnations(tmp_path) == []
    assert adopt.sweep_unfinished(tmp_path) == 0
    assert adopt.sweep_unfinished(tmp_path, older_than_seconds=-1) == 1


@pytest.mark.parametrize("text", ["../../etc", ".hidden", "", "a b/c"])
def test_names_from_settings_cannot_leave_the_state_directory(text: str) -> None:
    name = home.safe_name(text)
    assert "/" not in name
    assert not name.startswith(".")
    assert name


def test_the_event_id_can_be_computed_and_read_back_anywhere() -> None:
    assert entry.parse_event_id(entry.event_id("ab" * 12, 7)) == ("ab" * 12, 7)
    assert len(entry.event_id("ab" * 12, 10**12 - 1)) == entry.ID_BYTES <= 64
    assert entry.parse_event_id("somebody-elses") is None
