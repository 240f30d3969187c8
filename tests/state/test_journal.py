"""The journal against a plain list, torn by kills, threads, signals and full limits."""

import asyncio
import errno
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.event import entry
from logship.state import home, mapping, orphans, segment, survey
from logship.state.identity import Cell, Facts
from logship.state.journal import Journal

MIB = 2**20


@pytest.fixture
def state(tmp_path: Path) -> home.Home:
    return home.open_home(tmp_path / "state")


def journal_in(state: home.Home | None, limit_bytes: int = 16 * MIB) -> Journal:
    made = Journal(state.journals if state else None, Facts(service="shop", pid=os.getpid()), limit_bytes)
    made.prepare()
    return made


def event(text: str, size_bytes: int = 0) -> tuple[tuple[bytes, bytes]]:
    fields = {"message": text, "labels": {"filler": "x" * size_bytes}}
    return ((entry.begin(time.time_ns(), len(fields)), entry.pairs(fields)),)


def fields_of(record: bytes) -> dict[str, object]:
    found = entry.unpack(record)[1]
    assert isinstance(found, dict)
    return found


def records(directory: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for number in segment.numbers(directory):
        found += map(fields_of, segment.read(directory / segment.file_name(number)))
    return found


def directory_of(journal: Journal) -> Path:
    assert journal.directory is not None
    return journal.directory


def test_what_was_appended_is_read_back_in_order_with_its_sequence_and_id(state: home.Home) -> None:
    journal = journal_in(state)
    for number in range(5):
        assert journal.append(*event(f"event {number}"))
    found = records(directory_of(journal))
    assert [one["message"] for one in found] == [f"event {number}" for number in range(5)]
    assert [one["event.sequence"] for one in found] == [1, 2, 3, 4, 5]
    assert found[4]["event.id"] == f"{journal.incarnation}-000000000005"
    assert journal.cells[Cell.SEQUENCE] == 5


def test_events_cross_segments_without_loss(state: home.Home) -> None:
    journal = journal_in(state)
    for number in range(400):
        journal.append(*event(str(number), 10_000))
        journal.prepare()
    assert [one["message"] for one in records(directory_of(journal))] == [str(number) for number in range(400)]
    assert len(segment.numbers(directory_of(journal))) >= 4


def test_a_full_journal_refuses_the_newest_event_and_counts_it_but_keeps_room_for_heartbeats(state: home.Home) -> None:
    journal = journal_in(state, 2 * segment.SIZE_BYTES)
    kept = 0
    while journal.append(*event("more", 10_000)):
        journal.prepare()
        kept += 1
    assert journal.identity.dropped()["journal_full"] == 1
    assert not journal.append(*event("more", 10_000))
    assert journal.append(*event("heartbeat"), reserved=True)
    assert journal.cells[Cell.SEQUENCE] == kept + 3
    sequences = [one["event.sequence"] for one in records(directory_of(journal))]
    assert sequences == [*range(1, kept + 1), kept + 3], "the refused events stay visible as a gap"


def test_a_journal_that_was_full_takes_events_again_once_they_are_acknowledged(state: home.Home) -> None:
    journal = journal_in(state, 2 * segment.SIZE_BYTES)
    while journal.append(*event("more", 10_000)):
        journal.prepare()
    first = journal.segment_after(0)
    assert first is not None
    journal.acknowledge(first, first.count, first.count)
    journal.prepare()
    assert journal.append(*event("again", 10_000))
    assert first.path is not None
    assert not first.path.exists()


def test_while_the_shipping_thread_does_not_come_an_append_makes_its_segment_and_nothing_is_dropped(
    state: home.Home,
) -> None:
    journal = journal_in(state)

    async def burst() -> int:
        return sum(journal.append(*event(str(number), 60_000)) for number in range(100))

    assert asyncio.run(burst()) == 100
    assert len(segment.numbers(directory_of(journal))) >= 6, "far beyond the two that lay ready"
    assert [one["message"] for one in records(directory_of(journal))] == [str(number) for number in range(100)]
    assert journal.identity.dropped() == dict.fromkeys(journal.identity.dropped(), 0)


def test_an_append_beyond_a_full_disk_is_a_counted_drop_and_tries_it_once(
    state: home.Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_in(state)
    tried = 0

    def full(descriptor: int, offset: int, size: int) -> None:
        nonlocal tried
        tried += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    reserve = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", full)
    kept = sum(journal.append(*event("burst", 60_000)) for _ in range(100))
    assert 45 < kept < 60
    assert journal.identity.dropped()["segment_late"] == 100 - kept
    assert journal.cells[Cell.SEQUENCE] == 100
    assert tried == 1, "each log call would try in vain"
    assert not list(directory_of(journal).glob("00000004*"))
    monkeypatch.setattr(os, "posix_fallocate", reserve)
    journal.prepare()
    assert journal.append(*event("again", 60_000))


def test_a_segment_that_came_too_late_goes_behind_the_one_that_an_append_made(
    state: home.Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_in(state)
    make, said = mapping.make, 0

    def log_until(number: int) -> None:
        nonlocal said
        while not (part := journal.segment_after(number - 1)) or not journal.is_current(part):
            assert journal.append(*event(str(said), 60_000))
            said += 1

    def made_slowly(path: Path, size_bytes: int, present: bool) -> object:
        made = make(path, size_bytes, present)
        if path.name == segment.file_name(4):  # requests fill all that is ready while the shipping thread makes this one
            log_until(5)
        return made

    log_until(2)
    monkeypatch.setattr(mapping, "make", made_slowly)
    journal.prepare()
    assert segment.numbers(directory_of(journal)) == [1, 2, 3, 5, 6, 7]
    log_until(7)
    assert [one["message"] for one in records(directory_of(journal))] == [str(number) for number in range(said)]
    adopted = [one.number for one in journal._segments]
    assert adopted == sorted(adopted)


def test_an_event_larger_than_a_segment_is_counted_and_nothing_breaks(state: home.Home) -> None:
    journal = journal_in(state)
    assert not journal.append(*event("huge", segment.DATA_BYTES))
    assert journal.identity.dropped()["internal_error"] == 1
    assert journal.append(*event("small"))


def test_a_memory_journal_keeps_events_without_a_directory() -> None:
    journal = journal_in(None)
    assert journal.directory is None
    assert journal.append(*event("in memory"))
    assert journal.pending_events() == 1


def test_the_mark_moves_and_full_segments_behind_it_are_unlinked(state: home.Home) -> None:
    journal = journal_in(state)
    for _ in range(150):
        journal.append(*event("x", 20_000))
        journal.prepare()
    first = journal.segment_after(0)
    assert first is not None
    journal.acknowledge(first, 3, 3)
    assert journal.pending_events() == 147
    assert first.number in segment.numbers(directory_of(journal))
    journal.acknowledge(first, first.count, first.count - 3)
    assert first.number not in segment.numbers(directory_of(journal))
    assert journal.pending_events() == 150 - first.count


def test_a_call_from_inside_another_is_kept_and_written_before_that_one_returns(
    state: home.Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_in(state)
    rotate = Journal._rotate

    def interrupted(self: Journal, size_bytes: int) -> str:
        assert self.append(*event("from inside"))  # as a signal handler would, in the middle of an append
        return rotate(self, size_bytes)

    monkeypatch.setattr(Journal, "_rotate", interrupted)
    while journal.segment_after(1) is None:
        journal.append(*event("outer", 60_000))
    found = records(directory_of(journal))
    assert [one["event.sequence"] for one in found] == list(range(1, len(found) + 1))
    assert [one["message"] for one in found[-2:]] == ["outer", "from inside"]


def test_an_event_that_could_not_be_made_inside_an_append_is_counted_as_well(
    state: home.Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_in(state)
    rotate = Journal._rotate

    def interrupted(self: Journal, size_bytes: int) -> str:
        self.refuse("internal_error")
        return rotate(self, size_bytes)

    monkeypatch.setattr(Journal, "_rotate", interrupted)
    while journal.segment_after(1) is None or not journal.is_current(journal._segments[1]):
        journal.append(*event("outer", 60_000))
    assert journal.identity.dropped()["internal_error"] == 1
    assert journal.cells[Cell.SEQUENCE] == len(records(directory_of(journal))) + 1


def test_signal_handlers_finalisers_and_many_threads_neither_deadlock_nor_tear_a_record(state: home.Home) -> None:
    journal = journal_in(state, 64 * MIB)
    stop = threading.Event()

    class Noisy:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            journal.append(*event("from a finaliser"))

    def keep_ready() -> None:
        while not stop.is_set():
            journal.prepare()
            time.sleep(0.0005)

    def work(number: int) -> None:
        for _ in range(each):
            journal.append(*event(f"thread {number}", 100))
            Noisy()

    threads_count, each = (200, 200) if os.environ.get("LOGSHIP_PROVE") else (50, 40)
    handled = 0

    def handler(*_: object) -> None:
        nonlocal handled
        handled += 1
        journal.append(*event("from a signal handler"))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    keeper = threading.Thread(target=keep_ready)
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads_count)]
    try:
        keeper.start()
        for one in workers:
            one.start()
        for one in workers:
            while one.is_alive():
                one.join(0.05)
        gc.collect()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        stop.set()
        keeper.join()
    found = records(directory_of(journal))
    dropped = sum(journal.identity.dropped().values())
    assert handled > 0
    assert len(found) + dropped == journal.cells[Cell.SEQUENCE] == threads_count * each * 2 + handled
    assert len({one["event.id"] for one in found}) == len(found)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 70_000), max_size=60), acked=st.data())
def test_the_journal_agrees_with_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], acked: st.DataObject
) -> None:
    state = home.open_home(tmp_path_factory.mktemp("state"))
    journal = journal_in(state, 3 * segment.SIZE_BYTES)
    model: list[str] = []
    for number, size in enumerate(sizes):
        if journal.append(*event(str(number), size)):
            model.append(str(number))
        journal.prepare()
        if acked.draw(st.booleans()):
            part = journal.segment_after(0)
            assert part is not None
            mark = journal.cells[Cell.MARK]
            done = mark & 0xFFFFFFFF if mark >> 32 == part.number else 0
            if part.count > done:
                journal.acknowledge(part, part.count, part.count - done)
                model = model[part.count - done :]
    assert journal.pending_events() == len(model)
    pending = _pending(directory_of(journal), journal.cells[Cell.MARK])
    assert pending == model


def _pending(directory: Path, mark: int) -> list[str]:
    found = []
    for number in segment.numbers(directory):
        if number >= mark >> 32:
            start = mark & 0xFFFFFFFF if number == mark >> 32 else 0
            found += [
                str(fields_of(one)["message"]) for one in segment.read(directory / segment.file_name(number), start)
            ]
    return found


WRITER = """
    import os, sys, time, threading
    from pathlib import Path
    from logship.event import entry
    from logship.state import home, journal
    from logship.state.identity import Facts
    state = home.open_home(Path(sys.argv[1]))
    made = journal.Journal(state.journals, Facts(service="shop", pid=os.getpid()), 64 << 20)
    def keep():
        while True:
            made.prepare(); time.sleep(0.001)
    threading.Thread(target=keep, daemon=True).start()
    said = open(sys.argv[2], "ab", buffering=0)
    for number in range(10**9):
        fields = {"message": str(number), "labels": {"filler": "x" * (number % 3000)}}
        made.append((entry.begin(time.time_ns(), 2), entry.pairs(fields)))
        said.write(b"%d\\n" % number)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = textwrap.dedent(WRITER)
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "state"), str(tmp_path / "said")])
    yield process
    process.kill()
    process.wait()


def test_kill_9_loses_no_event_whose_call_returned(tmp_path: Path, writer: subprocess.Popen[bytes]) -> None:
    said = tmp_path / "said"
    deadline = time.monotonic() + 30
    while not said.exists() or said.stat().st_size < 20_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    (name,) = home.Home(tmp_path / "state").incarnations()
    orphan = orphans.adopt(tmp_path / "state" / "journals" / name)
    assert orphan is not None
    found = [fields_of(record)["message"] for records, _ in orphan.pending() for record in records]
    returned = said.read_text().split()
    assert found[: len(returned)] == returned
    assert len(found) - len(returned) <= 1, "at most the one event whose call had not returned"


def test_a_torn_end_is_left_out(state: home.Home) -> None:
    journal = journal_in(state)
    for number in range(3):
        journal.append(*event(f"event {number}"))
    current = journal.segment_after(0)
    assert current is not None
    current.view[current.end(1) + 40] ^= 0xFF  # what a power cut can leave: the index word without all of its bytes
    assert [one["message"] for one in records(directory_of(journal))] == ["event 0", "event 1"]


@pytest.mark.parametrize("size_bytes", [0, 4096, segment.SIZE_BYTES])
def test_a_segment_whose_maker_was_killed_holds_nothing(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / segment.file_name(1)
    path.write_bytes(bytes(size_bytes))
    assert segment.read(path) == []


def test_a_file_of_another_version_is_reported_and_kept(state: home.Home) -> None:
    from logship.errors import JournalUnreadable

    journal = journal_in(state)
    path = directory_of(journal) / "identity"
    path.write_bytes(b"LSHIPID9" + path.read_bytes()[8:])
    found, problems = survey.survey(state.path)
    assert found == []
    assert "another version" in problems[0]
    assert path.exists()
    strange = state.path / segment.file_name(1)
    strange.write_bytes(b"LSHIPSG9".ljust(segment.SIZE_BYTES, b"x"))
    with pytest.raises(JournalUnreadable):
        segment.read(strange)
