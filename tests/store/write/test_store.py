"""What append returned for is durable, once, and found at once."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from logship.errors import StoreError, StoreLocked
from logship.search.query import Page, Query
from logship.store.files import DEAD_LETTERS, OLD_DEAD_LETTERS, Segment, log_name, read_listing
from logship.store.read.reader import Reader
from logship.store.write import dead_letters, maintenance, merging, parquet, sealing, superseded
from logship.store.write import store as store_module
from logship.store.write.store import Appended, Store
from tests.store.events import BEGIN_NS, OTHER, Entry, event, events


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ids_in(reader: Reader) -> list[str]:
    return [record["event.id"] for record in reader.search(Query(), Page(10_000, newest_first=False)).records]


def test_an_event_is_found_as_soon_as_append_returns(store: Store, reader: Reader) -> None:
    for sequence in range(1, 60):
        assert store.append([event(sequence)]) == Appended(1)
        assert reader.count(Query()) == sequence


def test_an_event_is_stored_once_within_a_batch_and_across_batches(store: Store, reader: Reader) -> None:
    assert store.append(events(1, 10) + events(5, 12)) == Appended(12, duplicates=6)
    assert store.append(events(1, 12)) == Appended(0, duplicates=12)
    assert store.append(events(1, 3, OTHER)) == Appended(3)
    assert reader.count(Query()) == 15


def test_an_event_is_stored_once_across_seals_merges_and_restarts(directory: Path, reader: Reader) -> None:
    for round_ in range(12):
        with Store(directory, roll_records=5) as store:
            new = events(round_ * 7 + 1, round_ * 7 + 7)
            assert store.append(events(1, round_ * 7) + new) == Appended(7, duplicates=round_ * 7)
            if round_ % 3:
                store.seal()
    assert len(ids_in(reader)) == len(set(ids_in(reader))) == 84
    assert reader.incarnations(Query())[0].stored == ((1, 84),)


def test_late_events_of_an_adopted_journal_fill_their_hole(store: Store, reader: Reader) -> None:
    store.append(events(1, 3) + events(8, 9))
    store.seal()
    assert store.append(events(2, 8)) == Appended(4, duplicates=3)
    assert reader.incarnations(Query())[0].stored == ((1, 9),)


def test_foreign_events_are_kept_each_time(store: Store, reader: Reader) -> None:
    foreign: Entry = (BEGIN_NS, {"message": "hello", "event.id": "not ours"})
    assert store.append([foreign, foreign]) == Appended(2)
    assert reader.count(Query()) == 2


def test_what_fits_nowhere_lies_in_the_dead_letter_file_when_append_returns(store: Store, directory: Path) -> None:
    hostile: list[Any] = [(BEGIN_NS, "no map"), (2**70, {"message": "late"}), event(1)]
    assert store.append(hostile) == Appended(1, dead=2)
    letters = [orjson.loads(line) for line in (directory / DEAD_LETTERS).read_bytes().splitlines()]
    assert [letter["record"] for letter in letters] == ["'no map'", "{'message': 'late'}"]


def test_an_empty_batch_is_no_work(store: Store) -> None:
    assert store.append([]) == Appended(0)


def test_a_full_log_is_sealed_in_the_background(store: Store, directory: Path, reader: Reader) -> None:
    store.append(events(1, 50))
    store.seal()
    found = read_listing(directory)
    assert [segment.rows for segment in found.segments] == [50]
    assert (found.segments[0].oldest_ns, found.segments[0].newest_ns) == (BEGIN_NS + 10**6, BEGIN_NS + 50 * 10**6)
    assert reader.count(Query()) == 50


@pytest.mark.parametrize("torn", [False, True])
def test_logs_that_wait_are_sealed_together(
    torn: bool, directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    real = maintenance.Maintenance._seal_all

    def later(self: Any, database: Any) -> None:
        if go_on.is_set():
            real(self, database)

    monkeypatch.setattr(maintenance.Maintenance, "_seal_all", later)
    with Store(directory, roll_records=5) as store:
        for number in range(8):
            store.append(events(number * 5 + 1, number * 5 + 5))
        if torn:
            log = directory / log_name(1)
            log.write_bytes(log.read_bytes().replace(b'"_n"', b"no json", 1))
        go_on.set()
        store.seal()
        found = read_listing(directory).segments
        # Half of what waits: 4 of 8, 2 of 4; but what cannot be read whole goes by itself.
        spans = [(0, 0), (1, 1), (2, 4), (5, 5), (6, 6), (7, 7)] if torn else [(0, 3), (4, 5), (6, 6), (7, 7)]
        assert [(one.first, one.last) for one in found] == spans
        assert [one.rows for one in found] == [5 * (last - first + 1) - (torn and first == 1) for first, last in spans]
        assert (directory / log_name(1)).with_suffix(".bad").exists() == torn
    assert reader.count(Query()) == 40 - torn


def test_an_idle_log_is_sealed_when_it_is_old(directory: Path) -> None:
    with Store(directory, roll_seconds=0.1) as store:
        store.append(events(1, 3))
        deadline = time.monotonic() + 60
        while not read_listing(directory).segments and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [segment.rows for segment in read_listing(directory).segments] == [3]
        assert store.append(events(4, 5)) == Appended(2)


def test_ten_small_segments_become_one(directory: Path, reader: Reader) -> None:
    with Store(directory, roll_records=5) as store:
        for number in range(10):
            store.append(events(number * 5 + 1, number * 5 + 5))
            store.seal()
        deadline = time.monotonic() + 60
        while len(read_listing(directory).segments) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [(one.first, one.last, one.rows) for one in read_listing(directory).segments] == [(0, 9, 50)]
    assert sorted(path.suffix for path in directory.iterdir() if path.suffix) == [".ids", ".ndjson", ".parquet"]
    assert len(set(ids_in(reader))) == 50


def test_many_merges_in_a_row_do_not_keep_all_that_they_replaced(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def merge(self: Any, database: Any) -> bool:
        kept.append(len(self._superseded))
        replaced = directory / f"replaced-{len(kept)}"
        replaced.touch()
        self._superseded.add(replaced)
        return len(kept) < 10

    monkeypatch.setattr(superseded, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(merging.Merger, "merge_once", merge)
    with Store(directory):
        wait_until(lambda: len(kept) >= 10)
    assert set(kept[:10]) == {0}


def test_a_second_writer_is_told_who_the_first_is(store: Store, directory: Path) -> None:
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        Store(directory)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be created"):
        Store(tmp_path / "file" / "store")


def test_a_closed_store_takes_nothing(directory: Path) -> None:
    store = Store(directory)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.append(events(1, 1))


def test_a_failed_write_leaves_the_log_as_it_was_and_can_be_repeated(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(events(1, 2))
    real = os.fdatasync

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(OSError, match="No space"):
        store.append(events(3, 4))
    monkeypatch.setattr(os, "fdatasync", real)
    assert reader.count(Query()) == 2
    assert store.append(events(3, 4)) == Appended(2)
    assert reader.count(Query()) == 4


def test_a_tail_that_saw_what_a_failed_write_took_back_misses_nothing(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(events(1, 2))
    key = reader.tail(Query(), None).next
    seen: list[str | None] = []

    def full(_: int) -> None:
        seen.append(reader.tail(Query(), key).next)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(OSError, match="No space"):
            store.append(events(3, 5))
    store.append(events(3, 4))
    told = reader.tail(Query(), seen[0]).records
    assert [record["event.sequence"] for record in told] == [3, 4]


def test_a_log_that_cannot_be_cut_back_takes_nothing_more_until_it_is_opened_again(
    directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with Store(directory) as store:
        store.append(events(1, 2))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken)
            patch.setattr(os, "ftruncate", broken)
            with pytest.raises(OSError, match="Input/output"):
                store.append(events(3, 4))
        with pytest.raises(StoreError, match="restart the collector"):
            store.append(events(3, 4))
    with Store(directory) as store:
        assert store.append(events(3, 5)) == Appended(1, duplicates=2)
    assert len(ids_in(reader)) == len(set(ids_in(reader))) == 5


def test_dead_letters_have_a_bound(store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "DEAD_LETTERS_LIMIT_BYTES", 300)
    for number in range(6):
        hostile: list[Any] = [(BEGIN_NS, f"no map {number}" + "x" * 100)]
        assert store.append(hostile) == Appended(0, dead=1)
    files = [(directory / name).read_bytes() for name in (OLD_DEAD_LETTERS, DEAD_LETTERS)]
    kept = [orjson.loads(line)["record"][8] for data in files for line in data.splitlines()]
    assert kept == ["2", "3", "4", "5"]


def test_a_disk_that_others_fill_stops_acknowledgements_and_deletes_nothing(
    directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, free[0]))
    with Store(directory, roll_records=5, retention_days=10_000) as store:
        for number in range(4):
            store.append(events(number * 5 + 1, number * 5 + 5))
            store.seal()
        before = read_listing(directory).segments
        free[0] = 5 * 10**7 - 1  # a twentieth of a small disk
        assert "47.7 MiB free, 47.7 are needed" in (store.trouble() or "")
        with pytest.raises(StoreError, match="free some"):
            store.append(events(21, 22))
        assert store._maintenance.retain(time.time_ns()) == []
        assert (read_listing(directory).segments, reader.count(Query())) == (before, 20)
        free[0] += 1
        assert store.trouble() is None
        assert store.append(events(21, 22)) == Appended(2)
    assert reader.count(Query()) == 22


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no priority of a thread")
def test_sealing_and_merging_have_a_lower_priority(store: Store) -> None:
    normal = os.getpriority(os.PRIO_PROCESS, 0)
    ids = [thread.native_id or 0 for thread in (store._maintenance.sealing, store._maintenance.merging)]
    wait_until(lambda: {os.getpriority(os.PRIO_PROCESS, id_) for id_ in ids} == {normal + 5})


def test_writes_that_fail_again_and_again_cost_nothing_that_comes_later(
    directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with Store(directory) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", full)
            for _ in range(5):
                with pytest.raises(OSError, match="No space"):
                    store.append(events(1, 3))
        assert store.append(events(1, 3)) == Appended(3)
        store.seal()
        assert reader.count(Query()) == 3
        assert reader.oldest_ns() == BEGIN_NS + 10**6
    with Store(directory) as store:
        assert store.append(events(1, 4)) == Appended(1, duplicates=3)
    assert ids_in(reader) == [one["event.id"] for _, one in events(1, 4)]


def test_a_long_merge_holds_up_neither_sealing_nor_appending(
    directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    merges, go_on = threading.Event(), threading.Event()
    real = parquet.write_segment

    def slow(*arguments: Any, **options: Any) -> Segment | None:
        merges.set()
        go_on.wait(20)
        return real(*arguments, **options)

    monkeypatch.setattr(merging, "MERGE_SEGMENTS", 2)
    monkeypatch.setattr(merging, "write_segment", slow)
    with Store(directory, roll_records=5) as store:
        for number in range(2):
            store.append(events(number * 5 + 1, number * 5 + 5))
            store.seal()
        assert merges.wait(20)
        store.append(events(11, 15))
        store.seal()
        assert [one.last for one in read_listing(directory).segments] == [0, 1, 2]
        go_on.set()
    assert reader.count(Query()) == 15


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_logs_that_can_never_be_sealed_end_acknowledgements(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(maintenance.Maintenance, "_seal_all", broken)
    monkeypatch.setattr(store_module, "STALL_LIMIT_SECONDS", 0.1)
    monkeypatch.setattr(store_module, "UNSEALED_LOGS", 1)
    with Store(directory, roll_records=2) as store:
        store.append(events(1, 2))
        wait_until(lambda: store.health()["sealing_fails"])
        with pytest.raises(StoreError, match="1 logs wait to be sealed: a bug"):
            store.append(events(3, 4))
        assert "a bug" in (store.trouble() or "")


def test_sealing_that_fails_for_a_while_is_tried_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = parquet.write_segment, [OSError(28, "No space left on device")]

    def full(*arguments: Any, **options: Any) -> Segment | None:
        if failures:
            raise failures.pop()
        return real(*arguments, **options)

    monkeypatch.setattr(sealing, "write_segment", full)
    with Store(directory, roll_records=2) as store:
        store.append(events(1, 2))
        store.seal()
        assert read_listing(directory).segments[0].rows == 2
        assert not failures


def test_old_segments_go_first_by_age_and_by_bytes(directory: Path, reader: Reader) -> None:
    with Store(directory, roll_records=5) as store:
        for number in range(4):
            store.append(events(number * 5 + 1, number * 5 + 5))
            store.seal()
    files = read_listing(directory)
    size = (directory / files.segments[-1].name).stat().st_size
    with Store(directory, retention_days=50_000) as store:
        assert len(store._maintenance.retain(files.segments[1].newest_ns + 50_000 * 86400 * 10**9 + 1)) == 2
    with Store(directory, retention_bytes=size + 10) as store:
        store._maintenance.retain(0)
    assert [one.first for one in read_listing(directory).segments] == [3]
    assert reader.count(Query()) == 5
    assert reader.oldest_ns() == BEGIN_NS + 16 * 10**6


@pytest.mark.parametrize("back", [False, True])
def test_a_directory_that_is_moved_away_stops_acknowledgements_at_once(
    back: bool, directory: Path, reader: Reader
) -> None:
    away = directory.with_name("away")
    with Store(directory, roll_records=5) as store:
        store.append(events(1, 3))
        assert store.trouble() is None
        directory.rename(away)
        if not back:  # something else in its place is not the store
            directory.mkdir()
            (directory / "lock").touch()
        assert "moved" in (store.trouble() or "")
        with pytest.raises(StoreError, match="removed, moved or unmounted"):
            store.append(events(4, 5))
        # Background threads meet it as well, and outlive it.
        wait_until(lambda: store.health()["sealing_fails"])
        if back:
            away.rename(directory)
            assert store.append(events(4, 9)) == Appended(6)
            store.seal()
            wait_until(lambda: not store.health()["sealing_fails"])
            assert reader.count(Query()) == 9


def test_a_directory_that_is_removed_stops_acknowledgements_at_once(directory: Path) -> None:
    with Store(directory) as store:
        store.append(events(1, 3))
        shutil.rmtree(directory)
        with pytest.raises(StoreError, match="removed"):
            store.append(events(4, 5))


def test_a_background_thread_survives_an_error_that_nobody_foresaw(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = maintenance.Maintenance._seal_all
    failures = iter([ZeroDivisionError("surprise")])

    def fails_once(self: Any, database: Any) -> None:
        for error in failures:
            raise error
        real(self, database)

    monkeypatch.setattr(maintenance.Maintenance, "_seal_all", fails_once)
    with Store(directory, roll_records=5) as store:
        store.append(events(1, 9))
        store.seal()
        assert store.trouble() is None
    assert "surprise" in caplog.text
    assert "works again" in caplog.text


def test_files_are_readable_by_their_user_alone_whatever_the_umask(directory: Path) -> None:
    before = os.umask(0)
    try:
        directory.mkdir(mode=0o755)
        with Store(directory, roll_records=5) as store:
            store.append([*events(1, 9), (2**70, {"message": "fits nowhere"})])
            store.seal()
            store.append(events(10, 10))
            modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    finally:
        os.umask(before)
    assert {Path(name).suffix for name in modes} == {"", ".ndjson", ".parquet", ".ids"}
    assert set(modes.values()) == {0o600}
