"""A damaged file costs its own content: it is found, named and kept, and everything else goes on."""

import logging
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from logship.forensics.verify import overall, set_aside, verify
from logship.search.kql import parse
from logship.search.query import Damageable, Page, Query, SetAside
from logship.store import ids
from logship.store.files import Segment, log_name, read_listing
from logship.store.read import checks
from logship.store.read.reader import Reader
from logship.store.write import merging, thread
from logship.store.write.merging import mergeable
from logship.store.write.retention import Retention
from logship.store.write.store import Appended, Store
from tests.cli.conftest import invoke
from tests.store.events import LIFE, OTHER, events
from tests.store.write.test_store import wait_until


@pytest.fixture
def left(directory: Path) -> Path:
    """Three segments of 200 events, 200 of them of another life in the second, and two events in the log."""
    with Store(directory, roll_records=200) as store:
        store.append(events(1, 200))
        store.seal()
        store.append(events(1, 200, OTHER))
        store.seal()
        store.append(events(201, 400))
        store.seal()
        store.append(events(401, 402))
    return directory


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def flip(at: Callable[[int], int]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at(len(data))] ^= 1 << random.randrange(8)
        path.write_bytes(data)

    return damage


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a flipped bit of a page": flip(lambda size: random.randrange(4, size // 2)),
    "a flipped bit of the footer": flip(lambda size: size - random.randrange(9, 200)),
    "a flipped length of the footer": flip(lambda size: size - 6),
    "empty": lambda path: put(path, b""),
    "cut": lambda path: put(path, path.read_bytes()[:-100]),
    "longer": lambda path: put(path, path.read_bytes() + b"PAR1"),
    "another file": lambda path: put(path, b"not a parquet file"),
}


def every_answer(reader: Reader) -> list[object]:
    query = Query()
    return [
        reader.count(query),
        len(reader.search(query, Page(1000)).records),
        len(reader.search(query, Page(1000, greatest="event.sequence")).records),
        sum(bucket.events for bucket in reader.tally(query, "service.ephemeral_id", 10**9)),
        sum(share.events for share in reader.top(query, "service.ephemeral_id", 10)),
        reader.stats(query, "event.sequence", None)[0].count,
        sum(map(len, reader.every(query))),
        sum(high - low + 1 for life in reader.incarnations(query) for low, high in life.stored),
    ]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_reader_leaves_a_damaged_segment_out_and_names_it(
    damage: Callable[[Path], None], left: Path, reader: Reader
) -> None:
    segment = read_listing(left).segments[1]
    before = {path.name: path.read_bytes() for path in left.iterdir() if path.name != segment.name}
    damage(left / segment.name)
    assert every_answer(reader) == [402] * 8
    assert isinstance(reader, Damageable)
    (aside,) = reader.set_aside()
    assert (aside.name, aside.events, aside.incarnations) == (segment.name, 200, (OTHER,))
    assert (aside.oldest_ns, aside.newest_ns) == (segment.oldest_ns, segment.newest_ns)
    assert aside.overlaps(Query())
    assert aside.overlaps(Query(since_ns=segment.newest_ns))
    assert not aside.overlaps(Query(since_ns=segment.newest_ns + 1))
    assert not aside.overlaps(Query(until_ns=segment.oldest_ns))
    # Reading changes nothing on disk.
    assert {path.name: path.read_bytes() for path in left.iterdir() if path.name != segment.name} == before


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_writer_sets_a_damaged_segment_aside_and_goes_on(
    damage: Callable[[Path], None], left: Path, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    segment = read_listing(left).segments[1]
    damage(left / segment.name)
    damaged = (left / segment.name).read_bytes()
    with Store(left, roll_records=200) as store:
        wait_until(lambda: f"{segment.name} is damaged: it" in caplog.text)
        assert (left / segment.bad_name).read_bytes() == damaged
        assert "its 200 events are missing" in caplog.text
        assert every_answer(reader) == [402] * 8
        assert store.append(events(403, 700)) == Appended(298)
        store.seal()
        assert reader.count(Query()) == 700
    (aside,) = reader.set_aside()
    assert (aside.name, aside.events, aside.incarnations) == (segment.bad_name, 200, (OTHER,))
    with caplog.at_level(logging.INFO, "logship.store"), Store(left):
        assert "1 damaged segments were set aside before, their 200 events are missing" in caplog.text
        assert every_answer(reader)[:2] == [700, 700]
    assert read_listing(left).whole


def test_no_flipped_bit_gives_a_wrong_answer(left: Path) -> None:
    """DuckDB itself answers 95 of 100 of these wrongly, and without an error."""
    segment = read_listing(left).segments[1]
    whole = (left / segment.name).read_bytes()
    for at in random.sample(range(len(whole)), 30):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << random.randrange(8)
        (left / segment.name).write_bytes(flipped)
        reader = Reader(left, threads=1)
        assert reader.search(Query(parse(f'service.ephemeral_id: "{OTHER}"')), Page(1)).records == []
        assert reader.count(Query()) == 402
        reader.close()


def test_a_segment_without_a_checksum_is_looked_at_when_a_question_fails(left: Path, reader: Reader) -> None:
    segment = read_listing(left).segments[1]
    ids.write(left, segment, ids.read(left, segment) or {})
    flip(lambda size: size - 60)(left / segment.name)
    data = bytearray((left / segment.name).read_bytes())
    data[-30:-8] = b"\xff" * 22
    (left / segment.name).write_bytes(data)
    assert len(reader.search(Query(), Page(1000)).records) == 402
    assert [one.name for one in reader.set_aside()] == [segment.name]


def test_a_question_compares_only_so_much(left: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logship.store.read.snapshot.CHECK_BYTES", 0)
    assert checks.CHECK_BYTES > 2**20
    flip(lambda size: size // 3)(left / read_listing(left).segments[1].name)
    assert reader.set_aside() == []


def test_a_damaged_line_of_an_unsealed_log_is_named(left: Path, reader: Reader) -> None:
    log = left / log_name(3)
    log.write_bytes(log.read_bytes().replace(b"orders/401", b"orders/901"))
    reader.count(Query())
    assert reader.set_aside() == [SetAside(log.name, "1 of its lines are damaged", 1)]
    with Store(left):
        assert reader.count(Query()) == 601
    assert reader.set_aside() == [SetAside("00000003.bad", f"1 damaged lines of {log.name}", 1)]


@pytest.mark.parametrize("checksum", [True, False])
def test_merging_and_retention_go_on_around_a_damaged_segment(
    checksum: bool, directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "MERGE_SEGMENTS", 3)
    monkeypatch.setattr(thread, "RETRY_SECONDS", (0.01,))
    monkeypatch.setattr(merging, "mergeable", lambda *_: ())
    with Store(directory, roll_records=50) as store:
        for number in range(5):
            store.append(events(number * 50 + 1, number * 50 + 50))
            store.seal()
        bad = read_listing(directory).segments[1]
        log = directory / log_name(bad.first)

        def removed() -> bool:
            """Whether the log that it was made of is gone, which holds the same; sealing gives it up a little later."""
            store._maintenance.superseded.remove_all()
            return not log.exists()

        wait_until(removed)
        store._maintenance.integrity.forget()
        data = bytearray((directory / bad.name).read_bytes())
        data[-200:-8] = b"\xff" * 192
        (directory / bad.name).write_bytes(data)
        if not checksum:
            ids.write(directory, bad, ids.read(directory, bad) or {})
        monkeypatch.setattr(merging, "mergeable", mergeable)
        store._maintenance.merging.wake.set()
        wait_until(lambda: (directory / bad.bad_name).exists())
        wait_until(lambda: [(one.first, one.last) for one in read_listing(directory).segments] == [(0, 0), (2, 4)])
        assert store.trouble() is None
        assert reader.count(Query()) == 200
        assert [one.first for one in store._maintenance.retain(time.time_ns() + 10**20)] == []
        store._maintenance.remover.retention = Retention(limit_bytes=1)
        assert [one.first for one in store._maintenance.retain(time.time_ns())] == [0, 2]
        assert (directory / bad.bad_name).exists()
        assert store.append(events(251, 252)) == Appended(2)
    assert reader.count(Query()) == 2


def test_a_damaged_merge_gives_way_to_its_parts(left: Path, reader: Reader, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    shutil.copytree(left, parts)
    listing = read_listing(left)
    one, other = listing.segments[:2]
    wide = Segment(0, 1, 400, one.oldest_ns, other.newest_ns)
    (parts / wide.name).write_bytes(b"PAR1 broken PAR1")
    with Store(parts):
        found = read_listing(parts)
        assert (len(found.segments), found.damaged) == (3, ())
        asked = Reader(parts)
        assert (asked.count(Query()), asked.set_aside()) == (602, [])
        asked.close()
    assert (parts / wide.bad_name).exists()


def test_a_segment_is_decoded_wholly_when_it_has_no_checksum(left: Path, database: duckdb.DuckDBPyConnection) -> None:
    from logship.store.damage import damage_when_read

    segment = read_listing(left).segments[0]
    assert damage_when_read(database, left, segment) is None
    assert LIFE in (ids.read(left, segment) or {})


def test_every_command_names_a_damaged_file(left: Path) -> None:
    segment = read_listing(left).segments[1]
    (left / segment.name).write_bytes((left / segment.name).read_bytes()[:-50])
    said = f"warning: {segment.name} is damaged (it has "
    asked = {("count",): "402", ("search", "--limit", "0"): "GET", ("verify",): "", ("doctor",): segment.name}
    for command, shown in asked.items():
        told = invoke(left.parent, *command, "--source", str(left))
        assert (said in told.stderr) == (command != ("doctor",))
        assert shown in told.stdout
    assert "its 200 events of 1 worker are missing in results" in told.stdout


def test_verify_does_not_say_complete_while_a_file_is_damaged(left: Path, reader: Reader) -> None:
    segment = read_listing(left).segments[1]
    (left / segment.name).write_bytes(b"")
    verdicts = verify(reader, Query(), 0)
    assert OTHER not in {one.incarnation for one in verdicts}
    assert overall([]) == "unknown"
    assert overall([], set_aside(reader, Query())) == "unknown"
    assert set_aside(reader, Query(until_ns=1)) == []
