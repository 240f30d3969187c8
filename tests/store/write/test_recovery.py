"""A store opens after whatever a crash or a person left behind, and says what it found."""

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from logship.search.query import Query
from logship.store import ids
from logship.store.files import log_name, read_listing
from logship.store.read.reader import Reader
from logship.store.write.store import Appended, Store
from tests.store.events import LIFE, events


def open_and_hear(directory: Path, caplog: pytest.LogCaptureFixture) -> tuple[Store, str]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "logship.store"):
        store = Store(directory, roll_records=5)
    said = [record.getMessage() for record in caplog.records if record.name == "logship.store"]
    return store, said[0]


@pytest.fixture
def left(directory: Path) -> Path:
    """A store that holds 5 events in each of 3 segments and 2 in its log."""
    with Store(directory, roll_records=5) as store:
        for number in range(3):
            store.append(events(number * 5 + 1, number * 5 + 5))
            store.seal()
        store.append(events(16, 17))
    return directory


def test_a_store_in_order_is_opened_as_it_is(left: Path, caplog: pytest.LogCaptureFixture, reader: Reader) -> None:
    before = sorted(path.name for path in left.iterdir())
    store, said = open_and_hear(left, caplog)
    with store:
        assert said == f"the store in {left} holds 17 records in 3 segments and 1 logs"
        assert sorted(path.name for path in left.iterdir()) == before
        assert store.append(events(1, 18)) == Appended(1, duplicates=17)


@pytest.mark.parametrize("torn", [b"{", b'{"_n":50331650,"@timestamp":"2026-11-20T10:00:00.0', b"\x00" * 100])
def test_a_torn_last_line_is_cut(left: Path, torn: bytes, caplog: pytest.LogCaptureFixture, reader: Reader) -> None:
    with (left / log_name(3)).open("ab") as log:
        log.write(torn)
    assert reader.count(Query()) == 17
    store, said = open_and_hear(left, caplog)
    with store:
        assert f"removed {len(torn)} bytes of an incomplete line" in said
        assert store.append(events(18, 19)) == Appended(2)
        assert reader.count(Query()) == 19


def test_half_written_files_are_removed(left: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("00000003-00000003.tmp", "00000003-00000003.2.1.1.ids.tmp"):
        (left / name).write_bytes(b"PAR1 half")
    store, said = open_and_hear(left, caplog)
    store.close()
    assert "removed 2 half-written files" in said
    assert not list(left.glob("*.tmp"))


def test_a_log_whose_segment_is_there_is_removed(left: Path, caplog: pytest.LogCaptureFixture, reader: Reader) -> None:
    (left / log_name(1)).write_bytes(b'{"_n":16777216,"@timestamp":"2026-11-20T10:00:00Z","event.id":"x"}\n')
    assert reader.count(Query()) == 17
    store, said = open_and_hear(left, caplog)
    store.close()
    assert "removed 1 superseded files" in said
    assert not (left / log_name(1)).exists()


@pytest.mark.parametrize("content", [None, b"", b"{broken"])
def test_event_ids_are_made_again_from_the_segment(
    left: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    segment = read_listing(left).segments[1]
    (left / segment.ids_name).unlink()
    if content is not None:
        (left / segment.ids_name).write_bytes(content)
    store, said = open_and_hear(left, caplog)
    with store:
        assert "rebuilt the event ids of 1 segments" in said
        assert ids.read(left, segment) == {LIFE: ids.Held(5, ((6, 10),), segment.oldest_ns, segment.newest_ns)}
        assert store.append(events(1, 17)) == Appended(0, duplicates=17)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a parquet file at all"])
def test_a_segment_that_is_no_parquet_is_set_aside_and_the_rest_served(
    left: Path, content: bytes, caplog: pytest.LogCaptureFixture, reader: Reader
) -> None:
    segment = read_listing(left).segments[1]
    (left / segment.name).write_bytes(content)
    store, said = open_and_hear(left, caplog)
    with store:
        assert "set 1 unreadable segments aside" in said
        assert (left / (segment.stem + ".bad")).exists()
        assert reader.count(Query()) == 12
        # Their senders may still have them.
        assert store.append(events(6, 10)) == Appended(5)
        assert reader.count(Query()) == 17


def test_a_missing_segment_is_said_and_the_rest_served(
    left: Path, caplog: pytest.LogCaptureFixture, reader: Reader
) -> None:
    segment = read_listing(left).segments[1]
    (left / segment.name).unlink()
    store, said = open_and_hear(left, caplog)
    with store:
        assert "some log numbers are missing" in said
        assert reader.count(Query()) == 12


def test_full_logs_that_were_not_sealed_are_sealed_after_opening(
    left: Path, caplog: pytest.LogCaptureFixture, reader: Reader
) -> None:
    (left / log_name(4)).write_bytes(b"")
    store, _ = open_and_hear(left, caplog)
    with store:
        store.seal()
        assert [segment.rows for segment in read_listing(left).segments] == [5, 5, 5, 2]
        assert reader.count(Query()) == 17


def test_lines_that_are_no_json_are_kept_for_a_person(
    left: Path, caplog: pytest.LogCaptureFixture, reader: Reader
) -> None:
    with (left / log_name(3)).open("ab") as log:
        log.write(b"no json\n")
    store, _ = open_and_hear(left, caplog)
    with store:
        store.seal()
    assert (left / "00000003.bad").exists()
    assert reader.count(Query()) == 17


SPILLS = """
    import os, sys, threading
    from pathlib import Path
    from logship.store.files import new_spill
    from logship.store.schema import connect
    database = connect(24 * 2**20, 1, new_spill(Path(sys.argv[1])))
    database.execute("CREATE TABLE numbers AS SELECT range AS n, hash(range) AS h FROM range(2_000_000)")
    print(*os.listdir(sys.argv[1]), flush=True)
    if sys.argv[2] == "wait":
        threading.Event().wait()
"""


def spilling(directory: Path, then: str) -> subprocess.Popen[bytes]:
    """A process that runs where nobody can write a file, and needs more memory than it may take."""
    command = [sys.executable, "-c", textwrap.dedent(SPILLS), str(directory), then]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd="/proc" if Path("/proc").is_dir() else "/", env=environment
    )


def test_what_has_no_room_in_memory_lies_in_the_store_as_long_as_the_question_lasts(directory: Path) -> None:
    directory.mkdir()
    with spilling(directory, "end") as process:
        assert process.stdout
        assert process.stdout.read().startswith(b"spill.%d." % process.pid)
    assert process.returncode == 0
    assert list(directory.iterdir()) == []


def test_what_a_killed_question_left_is_removed_and_that_of_others_stays(
    left: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = left / f"spill.{os.getpid()}.0"
    ours.mkdir()
    with spilling(left, "wait") as process:
        assert process.stdout
        assert b"spill." in process.stdout.readline()
        process.kill()
    assert len(list(left.glob("spill.*"))) == 2
    store, said = open_and_hear(left, caplog)
    store.close()
    assert said.endswith("removed the spill files of 1 killed queries")
    assert list(left.glob("spill.*")) == [ours]
