"""Orphans: who adopts, what is shipped, how an end is told, and that two adopters never share one."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from logship.errors import JournalUnreadable
from logship.event import entry
from logship.state import end_report, home, identity, journal_directory, locks, orphans, segment, survey
from logship.state.identity import Facts
from logship.state.journal import Journal

DEAD_WORKER = """
    import os, sys, time
    from pathlib import Path
    from logship.event import build, entry
    from logship.state import home, identity, journal, segment
    from logship.state.identity import Cell, Facts
    state = home.open_home(Path(sys.argv[1]))
    facts = Facts(service="shop", host="web", pid=os.getpid(), supervisor=int(sys.argv[3]), started_ns=time.time_ns(),
                  tells_closing=True)
    made = journal.Journal(state.journals, facts, 8 << 20)
    cells = made.cells
    cells[Cell.SLOT], cells[Cell.GENERATION] = 3, 7
    def request(span, ended):
        made.inflight.begin(time.time_ns(), span, b"request-" + span, b"GET", b"/orders/" + span)
        if ended:
            log(span, "http-request")
    def log(span, action):
        fields = {"span.id": span.decode(), "event.action": action}
        made.append((entry.begin(time.time_ns(), 2), entry.pairs(fields)))
    def goodbye():
        fields = build.closed(build.Counters(cells[Cell.SEQUENCE] + 1, 0, made.identity.dropped()))
        return made.append((entry.begin(time.time_ns(), len(fields)), entry.pairs(fields)), True)
    exec(sys.argv[2])
    os.kill(os.getpid(), 9)
"""


def a_dead_worker(state: Path, last_words: str, supervisor: int = 0) -> Path:
    """Let a process write a journal and be killed; return its directory."""
    before = set(home.Home(state).incarnations())
    script = textwrap.dedent(DEAD_WORKER)
    done = subprocess.run([sys.executable, "-c", script, str(state), last_words, str(supervisor)], check=False)
    assert done.returncode == -9
    (name,) = set(home.Home(state).incarnations()) - before
    return state / "journals" / name


def report(directory: Path, finder: Facts | None = None) -> dict[str, object] | None:
    orphan = orphans.adopt(directory)
    assert orphan is not None
    try:
        packed = end_report.report_of(orphan.end(), finder or Facts(host="web", supervisor=1))
        return None if packed is None else entry.unpack(packed)[1]
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
    assert report(a_dead_worker(tmp_path, "request(b'b' * 16, True); made.inflight.map[-256:] = bytes(256); goodbye()")) is None


def test_a_goodbye_that_was_dropped_does_not_count_however_the_table_says_it_was_meant(tmp_path: Path) -> None:
    """A full disk at a clean end: the intention stands in the table, the goodbye does not stand in the journal."""
    said = report(
        a_dead_worker(
            tmp_path,
            "request(b'b' * 16, True); cells[Cell.DROPPED + 1] = 40; cells[Cell.SEQUENCE] = 42; cells[Cell.CLOSING] = 43",
        )
    )
    assert said is not None
    assert said["event.action"] == "worker-closed"
    assert (said["logship.emitted"], said["logship.dropped.segment_late"]) == (43, 40)


def test_a_goodbye_that_does_not_tell_of_every_loss_is_followed_by_a_report_that_does(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "request(b'b' * 16, True); made.inflight.map[-256:] = bytes(256); goodbye()")
    orphan = orphans.adopt(directory)
    assert orphan is not None
    orphan.refuse()  # the agent would not have one of the last events
    orphan.release()
    said = report(directory)
    assert said is not None
    assert said["logship.dropped.refused"] == 1
    assert said["event.sequence"] == 3


def test_a_goodbye_that_cannot_be_read_does_not_count_and_what_is_unreadable_is_reported(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "[request(b'%016d' % n, True) for n in range(9)]; goodbye()")
    assert flipped(directory, 9) == 10
    said = report(directory)
    assert said is not None
    assert said["logship.journal.unreadable_events"] == 1
    assert isinstance(said["logship.journal.unreadable_bytes"], int)
    assert said["logship.journal.unreadable_bytes"] > 100
    assert said["event.sequence"] == 11
    assert "1 event in its journal could not be read" in str(said["message"])


# Damage.


def flipped(directory: Path, record: int) -> int:
    """Flip a bit in one record of the first segment and return its number."""
    path = directory / segment.file_name(1)
    data = bytearray(path.read_bytes())
    index = memoryview(data)[segment.INDEX_AT : segment.DATA_AT].cast("Q")
    end = index[record] & 0xFFFFFFFF
    index.release()
    data[segment.DATA_AT + end - 30] ^= 1
    path.write_bytes(data)
    return record + 1


def test_a_damaged_record_costs_itself_alone_and_its_segment_is_set_aside(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "[request(b'%016d' % n, True) for n in range(700)]")
    lost = {flipped(directory, 3), flipped(directory, 600)}
    orphan = orphans.adopt(directory)
    assert orphan is not None
    shipped: list[int] = []
    for entries, mark in orphan.pending():
        shipped += [entry.unpack(one)[1]["event.sequence"] for one in entries]
        assert mark == 1 << 32 | shipped[-1], "places run on over what cannot be read"
        orphan.advance(mark, len(entries))
    assert set(range(1, 701)) - set(shipped) == lost
    assert orphan.unreadable()[0] == 2
    assert "2 events" in orphan.set_aside()
    orphan.remove()
    assert not directory.exists()
    (kept,) = (tmp_path / "unreadable").iterdir()
    assert kept.name == f"{directory.name}-00000001.segment"
    assert len(segment.read(kept)) == 698


def test_a_second_adopter_counts_what_cannot_be_read_as_the_first_did(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "[request(b'%016d' % n, True) for n in range(700)]")
    flipped(directory, 3)
    flipped(directory, 600)
    first = orphans.adopt(directory)
    assert first is not None
    for (entries, mark), _ in zip(first.pending(), range(2), strict=False):
        first.advance(mark, len(entries))  # as far as behind the first of the two, then it is killed
    first.release()
    said = report(directory)
    assert said is not None
    assert said["logship.journal.unreadable_events"] == 2


def test_what_was_acknowledged_before_it_was_damaged_is_no_loss(tmp_path: Path) -> None:
    directory = a_dead_worker(
        tmp_path, "[request(b'%016d' % n, True) for n in range(700)]; identity.move_mark(cells, (1 << 32) | 100)"
    )
    flipped(directory, 50)
    said = report(directory)
    assert said is not None
    assert "logship.journal.unreadable_events" not in said


def test_a_segment_that_cannot_be_read_at_all_does_not_keep_the_others(tmp_path: Path) -> None:
    directory = a_dead_worker(
        tmp_path, "[(made.prepare(), request(b'%016d' % n, True), log(b'x' * 60000, 'big')) for n in range(40)]"
    )
    numbers = segment.numbers(directory)
    (directory / segment.file_name(2)).write_bytes(b"garbage" * 100_000)
    orphan = orphans.adopt(directory)
    assert orphan is not None
    shipped = sum(len(entries) for entries, _ in orphan.pending())
    assert 40 < shipped < 80
    assert orphan.unreadable() == (0, 700_000)
    assert "an unknown number of events (700000 bytes)" in orphan.set_aside()
    orphan.remove()
    assert len(numbers) > 3


def test_facts_that_are_damaged_are_said_with_the_way_out_and_read_from_the_events(tmp_path: Path) -> None:
    directory = a_dead_worker(
        tmp_path, "made.append((entry.begin(time.time_ns(), 2), entry.pairs({'service.name': 'shop', 'host.name': 'web'})))"
    )
    data = bytearray((directory / "identity").read_bytes())
    for at in identity.FACTS_AT:
        data[at + 12] ^= 1
    (directory / "identity").write_bytes(data)
    with pytest.raises(JournalUnreadable, match="logship up --adopt"):
        survey.known_facts(directory)
    found, problems = survey.survey(tmp_path)
    assert found == []
    assert "logship up --adopt" in problems[0]
    said = report(directory)
    assert said is not None
    assert (said["service.name"], said["host.name"]) == ("shop", "web")


@pytest.mark.parametrize("size", [0, 100, 4000])
def test_a_table_that_was_cut_off_costs_no_event_and_its_counters_are_not_taken_for_none(tmp_path: Path, size: int) -> None:
    directory = a_dead_worker(tmp_path, "[request(b'%016d' % n, True) for n in range(20)]; goodbye()")
    os.truncate(directory / "identity", size)
    orphan = orphans.adopt(directory)
    assert orphan is not None
    assert sum(len(entries) for entries, _ in orphan.pending()) == 21
    end = orphan.end()
    orphan.release()
    assert end.sequence == 21
    assert end.reported == (size == 4000), "the goodbye tells everything, if the table agrees"


@pytest.mark.parametrize("cell", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 20])
@pytest.mark.parametrize("bit", [0, 9, 40, 63])
def test_a_bit_flipped_in_any_cell_never_makes_a_killed_worker_complete_or_its_report_unsendable(
    tmp_path: Path, cell: int, bit: int
) -> None:
    state = home.open_home(tmp_path / "state")
    made = Journal(state.journals, Facts(service="shop", host="web", tells_closing=True, started_ns=1), 8 << 20)
    assert made.directory is not None
    fields = {"message": "one"}
    for _ in range(10):
        assert made.append((entry.begin(1_700_000_000 * 10**9, len(fields)), entry.pairs(fields)))
    made.cells[cell] ^= 1 << bit
    locks.release(made.directory / "lock")
    orphan = orphans.adopt(made.directory)
    assert orphan is not None
    assert sum(len(entries) for entries, _ in orphan.pending()) == 10, "an event too often rather than one too few"
    packed = end_report.report_of(orphan.end(), Facts(host="web"))
    assert packed is not None
    said = entry.unpack(packed)[1]
    assert said["event.sequence"] >= 11
    assert entry.parse_event_id(said["event.id"]) == (made.incarnation, said["event.sequence"])
    assert all(value < 1 << 53 for value in said.values() if isinstance(value, int))
    orphan.release()


def test_only_one_of_two_adopters_gets_an_orphan(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "request(b'a' * 16, False)")
    orphan = orphans.adopt(directory)
    assert orphan is not None
    assert orphans.adopt(directory) is None, "we hold it already"
    code = f"from logship.state import orphans; from pathlib import Path; print(orphans.adopt(Path({str(directory)!r})))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == "None"
    orphan.remove()
    assert not directory.exists()
    assert home.Home(tmp_path).incarnations() == []


def test_an_orphan_is_shipped_from_its_mark_on(tmp_path: Path) -> None:
    directory = a_dead_worker(
        tmp_path, "[request(b'%016d' % n, True) for n in range(700)]; identity.move_mark(cells, (1 << 32) | 100)"
    )
    orphan = orphans.adopt(directory)
    assert orphan is not None
    batches = list(orphan.pending())
    assert [len(entries) for entries, _ in batches] == [500, 100]
    orphan.advance(batches[0][1], 500)
    assert [len(entries) for entries, _ in orphan.pending()] == [100]
    orphan.release()


def test_giving_an_orphan_up_counts_every_event_that_is_lost(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "[request(b'%016d' % n, True) for n in range(700)]")
    orphan = orphans.adopt(directory)
    assert orphan is not None
    assert orphan.give_up() == 700
    assert orphan.end().dropped["state_limit"] == 700
    assert list(orphan.pending()) == []
    orphan.release()


def test_a_living_owner_is_seen_and_left_alone(tmp_path: Path) -> None:
    state = home.open_home(tmp_path)
    journal = Journal(state.journals, Facts(service="shop"), 8 << 20)
    assert journal.directory is not None
    code = f"from logship.state import survey; from pathlib import Path; print(survey.owner(Path({str(journal.directory)!r})))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == os.getpid()
    assert orphans.adopt(journal.directory) is None
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


def test_giving_up_counts_what_cannot_be_read_as_well(tmp_path: Path) -> None:
    directory = a_dead_worker(tmp_path, "[request(b'%016d' % n, True) for n in range(700)]")
    flipped(directory, 3)
    orphan = orphans.adopt(directory)
    assert orphan is not None
    assert orphan.give_up() == 699
    orphan.release()
    said = report(directory)
    assert said is not None
    assert (said["logship.dropped.state_limit"], said["logship.journal.unreadable_events"]) == (699, 1)


def test_a_half_made_directory_is_no_journal_and_is_swept_later(tmp_path: Path) -> None:
    state = home.open_home(tmp_path)
    (state.journals / ".0123456789abcdef01234567").mkdir()
    assert home.Home(tmp_path).incarnations() == []
    assert journal_directory.sweep_unfinished(tmp_path) == 0
    assert journal_directory.sweep_unfinished(tmp_path, older_than_seconds=-1) == 1


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
