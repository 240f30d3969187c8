"""Whatever an append accepted becomes a segment in bounded memory, and what cannot is set aside and named."""

import os
import random
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from logship.search.query import Query
from logship.store.files import log_name, read_listing
from logship.store.lines import intact, slices, split, with_sum
from logship.store.read.reader import Reader
from logship.store.write import parquet, sealing, thread
from logship.store.write import store as store_module
from logship.store.write.store import Appended, Store
from tests.store.events import event, events

MIB = 2**20


def trace(size: int) -> str:
    line = '  File "/srv/app/module_%d.py", line %d, in handler_%d\n    await self.session.execute(statement, params_%d)\n'
    return "".join(line % tuple(random.randrange(10_000) for _ in range(4)) for _ in range(size // 100 + 1))[:size]


def noise(size: int) -> str:
    return os.urandom(size // 2).hex()


@pytest.mark.parametrize(
    ("records", "size", "text"),
    [
        pytest.param(4_900, 4_000, trace, marks=pytest.mark.prove), (4_900, 8_000, trace),
        pytest.param(1_500, 16_000, trace, marks=pytest.mark.prove),
        pytest.param(1_000, 16_000, noise, marks=pytest.mark.prove),
        pytest.param(300, 60_000, noise, marks=pytest.mark.prove), (40, 950_000, noise),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)  # fmt: skip
def test_a_log_of_large_records_is_sealed(
    records: int, size: int, text: Any, directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "ROLL_BYTES", 2**40)  # all in one log
    with Store(directory) as store:
        for start in range(1, records + 1, max(1, 4 * MIB // size)):
            until = min(start + max(1, 4 * MIB // size), records + 1)
            store.append([event(number, error__stack_trace=text(size)) for number in range(start, until)])
        store.append(events(records + 1, records + 100))
        store.seal(300)
        assert sum(one.rows for one in read_listing(directory).segments) == records + 100
    assert not list(directory.glob("*.bad"))
    assert reader.count(Query()) == records + 100


def test_records_with_many_label_names_are_sealed(directory: Path, reader: Reader) -> None:
    def labels(number: int) -> dict[str, str]:
        return {f"name {number} {label}": "value" for label in range(10_000)}

    with Store(directory) as store:
        for number in range(20):  # 200,000 names
            store.append([event(number, labels=labels(number))])
        store.seal(300)
    assert not list(directory.glob("*.bad"))
    assert reader.count(Query()) == 20


def test_segments_of_large_records_are_merged(directory: Path, reader: Reader) -> None:
    with Store(directory, roll_records=3) as store:
        for start in range(1, 31, 3):
            store.append([event(number, error__stack_trace=noise(900_000)) for number in range(start, start + 3)])
            store.seal(300)
        deadline = time.monotonic() + 120
        while len(read_listing(directory).segments) > 1:
            assert time.monotonic() < deadline
            store._maintenance.merging.wake.set()
            time.sleep(0.1)
    assert reader.count(Query()) == 30


def test_a_log_rolls_by_bytes_as_well(directory: Path) -> None:
    with Store(directory) as store:
        for number in range(1, 11):
            store.append([event(number, error__stack_trace=noise(900_000))])
        assert len(read_listing(directory).logs) + len(read_listing(directory).segments) == 2


def test_a_damaged_line_of_a_log_costs_that_record_and_is_said(
    directory: Path, reader: Reader
) -> None:
    with Store(directory, roll_seconds=1e9) as store:
        store.append(events(1, 9))
    log = directory / log_name(0)
    whole = log.read_bytes()
    for at in random.sample(range(len(whole)), 40):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        log.write_bytes(flipped)
        good, bad = split(bytes(flipped))
        # A line end that is gone joins two lines, one that is new parts one.
        assert (len(good), len(bad)) in ((8, 1), (7, 1), (8, 2))
        assert all(line in whole for line in good)
    flipped = bytearray(whole)
    flipped[whole.index(b"orders/4")] ^= 1
    log.write_bytes(flipped)
    with Store(directory) as store:
        assert b"/4 200" in (directory / "00000000.bad").read_bytes()
        assert reader.count(Query()) == 8
        assert store.append(events(1, 10)) == Appended(2, duplicates=8)
        store.seal()
        assert reader.count(Query()) == 10


def test_a_line_that_cannot_be_sealed_is_set_aside_and_those_around_it_are_sealed(
    directory: Path, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    with Store(directory, roll_seconds=1e9) as store:
        store.append(events(1, 40))
        # Intact by its checksum, and yet nothing that DuckDB reads.
        line = with_sum(b'{"_n":40,"@timestamp":"2026-11-20T10:00:00Z","event.sequence":"not a number","_x":[}\n')
        store._log.write([line], lambda: True)
        store.append(events(41, 60))
        store.seal()
        assert store.append(events(61, 61)) == Appended(1)
    assert reader.count(Query()) == 61
    assert b"not a number" in (directory / "00000000.bad").read_bytes()
    assert "1 of 61 lines could not be read and are kept in 00000000.bad" in caplog.text


def test_a_log_that_fails_for_ever_is_set_aside_and_those_behind_it_are_sealed(
    directory: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def never(*_: object) -> list[bytes]:
        raise duckdb.InternalException("a fault of DuckDB")

    monkeypatch.setattr(thread, "RETRY_SECONDS", (0.01,))
    monkeypatch.setattr(sealing, "convert", never)
    with Store(directory, roll_records=5) as store:
        log = directory / log_name(0)
        store.append(events(1, 4))
        log.write_bytes(log.read_bytes().replace(b"orders/2", b"orders/3"))  # not sealed in one go
        store.append(events(5, 5))
        store.append(events(6, 10))
        store.seal()
        assert store.trouble() is None
    assert (directory / "00000000.bad").exists()
    assert "is kept as 00000000.bad" in caplog.text
    assert reader.count(Query()) == 5


def test_a_log_that_somebody_removed_costs_its_own_events(directory: Path, reader: Reader) -> None:
    with Store(directory, roll_records=5) as store:
        store.append(events(1, 4))
        (directory / log_name(0)).unlink()
        with pytest.raises(OSError, match="removed"):
            store.append(events(5, 6))
        store.append(events(7, 12))
        store.seal()
    assert reader.count(Query()) == 6


def test_slices_have_at_most_so_many_bytes_and_lose_nothing() -> None:
    lines = [b"x" * random.randrange(1, 50) + b"\n" for _ in range(300)]
    parts = list(slices(lines, 100))
    assert [line for part in parts for line in part] == lines
    assert all(len(b"".join(part)) <= 100 for part in parts)
    assert list(slices([b"x" * 500, b"y"], 100)) == [[b"x" * 500], [b"y"]]


def test_a_line_of_an_earlier_release_has_no_checksum() -> None:
    assert intact(b'{"_n":1,"@timestamp":"2026-11-20T10:00:00Z"}\n')
    assert not intact(b'{"_n":1,"@timestamp":"2026-11-20T10:00:00Z"\n')
    assert not intact(b"no json\n")
    assert parquet.SLICE_BYTES < store_module.ROLL_BYTES
