"""Segments with damage in them: what is flipped, cut off or zeroed costs the records that it touches, and no others."""

import os
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.errors import JournalUnreadable
from logship.event import entry
from logship.state import segment
from logship.state.segment import DATA_AT, INDEX_AT, SIZE_BYTES, Gap


def a_segment(path: Path, sizes: list[int]) -> list[bytes]:
    """Write a segment with an entry of each size (of its filler) and return the entries."""
    made, records = segment.JournalSegment(1, path), []
    for number, size in enumerate(sizes):
        fields = {"message": str(number), "labels": {"filler": "x" * size}, "event.duration": number}
        record = entry.whole(time.time_ns(), fields, "ab" * 12, number + 1)
        at, end = made.position, made.position + len(record)
        made.view[at:end] = record
        made.index[number] = zlib.crc32(record) << 32 | end
        made.position, made.count = end, number + 1
        records.append(record)
    return records


def flip(path: Path, at: int, mask: int = 0xFF) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))


@settings(max_examples=80, deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=40), chosen=st.data())
def test_one_flipped_byte_costs_at_most_the_record_that_it_is_in(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], chosen: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("flip") / segment.file_name(1)
    records = a_segment(path, sizes)
    in_index = chosen.draw(st.booleans())
    last = INDEX_AT + 8 * len(records) if in_index else DATA_AT + sum(map(len, records))
    at = chosen.draw(st.integers(INDEX_AT if in_index else DATA_AT, last - 1))
    flip(path, at, chosen.draw(st.integers(1, 255)))
    hit = (at - INDEX_AT) // 8 if in_index else _place(records, at - DATA_AT)
    content = segment.scan(path)
    whole: list[bytes | None] = [*records]
    whole[hit] = None
    if content.records[hit:] == [] and hit == len(records) - 1:
        return  # its index word became zero: as if it had never been published; its sequence is missed in the report
    assert content.records == whole
    assert [(gap.first, gap.events) for gap in content.gaps] == [(hit, 1)]


def _place(records: list[bytes], offset: int) -> int:
    end = 0
    for place, record in enumerate(records):
        end += len(record)
        if offset < end:
            return place
    raise AssertionError


def test_a_zeroed_page_of_the_index_costs_its_records_and_not_those_behind(tmp_path: Path) -> None:
    path = tmp_path / segment.file_name(1)
    records = a_segment(path, [10] * 2000)
    with path.open("r+b") as file:
        file.seek(INDEX_AT + 4096)
        file.write(bytes(4096))
    content = segment.scan(path)
    assert content.records[:512] == records[:512]
    assert content.records[512:1024] == [None] * 512
    assert content.records[1024:] == records[1024:]
    assert content.gaps == [Gap(512, 512, sum(map(len, records[512:1024])))]


def test_a_segment_that_was_cut_off_gives_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / segment.file_name(1)
    records = a_segment(path, [1000] * 300)
    os.truncate(path, DATA_AT + 100_000)
    content = segment.scan(path)
    left = [record for record in content.records if record is not None]
    assert left == records[: len(left)]
    assert 80 < len(left) < 100
    assert content.gaps == [Gap(len(left), 300 - len(left), sum(map(len, records[len(left) :])))]


def test_a_segment_cut_off_behind_its_magic_is_no_empty_one(tmp_path: Path) -> None:
    path = tmp_path / segment.file_name(1)
    a_segment(path, [10])
    os.truncate(path, 100)
    content = segment.scan(path)
    assert content.records == []
    assert content.gaps == [Gap(0, 0, SIZE_BYTES - 100)]


def test_a_flipped_magic_costs_nothing_but_another_version_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / segment.file_name(1)
    records = a_segment(path, [10] * 3)
    flip(path, 0, 1)
    assert segment.read(path) == records
    flip(path, 0, 1)
    flip(path, 7, ord("1") ^ ord("9"))
    with pytest.raises(JournalUnreadable, match="another version"):
        segment.read(path)


def test_an_index_of_garbage_is_read_in_bounded_work(tmp_path: Path) -> None:
    path = tmp_path / segment.file_name(1)
    a_segment(path, [10])
    with path.open("r+b") as file:
        file.seek(INDEX_AT)
        file.write(b"\xff\xff\x0f\x00\x01\x02\x03\x04" * segment.INDEX_COUNT)
        file.seek(DATA_AT)
        file.write((entry.HEAD_START + b"x" * 13) * (segment.DATA_BYTES // 16))
    reader = segment._Reader(path.read_bytes())
    content = reader.content()
    assert not any(content.records)
    assert sum(gap.events for gap in content.gaps) == segment.INDEX_COUNT
    assert reader._budget > -2 * segment.DATA_BYTES


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "socket"])
def test_only_a_regular_file_is_opened(tmp_path: Path, kind: str) -> None:
    import socket

    path = tmp_path / segment.file_name(1)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            a_segment(tmp_path / "elsewhere", [10])
            path.symlink_to(tmp_path / "elsewhere")
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
    with pytest.raises(JournalUnreadable, match="not a regular file"):
        segment.read(path)


def test_a_sparse_file_of_terabytes_is_read_no_further_than_a_segment_goes(tmp_path: Path) -> None:
    path = tmp_path / segment.file_name(1)
    records = a_segment(path, [10] * 3)
    os.truncate(path, 8 << 40)
    assert segment.read(path) == records
