"""The names in the directory say what counts."""

from pathlib import Path

import pytest

from logship.errors import SourceError, StoreMissing
from logship.store.files import Segment, listing, log_name, log_of, read_listing


def test_a_wider_segment_supersedes_narrower_ones_and_a_segment_its_log() -> None:
    wide, narrow, last = Segment(0, 9, 100, 1, 9), Segment(3, 3, 10, 1, 2), Segment(10, 10, 5, 1, 2)
    names = [wide.name, narrow.name, narrow.ids_name, last.name, log_name(10), log_name(11), log_name(12), "lock"]
    found = listing(names)
    assert found.segments == (wide, last)
    assert found.logs == (11, 12)
    assert set(found.covered) == {narrow.name, narrow.ids_name, log_name(10)}
    assert found.whole
    assert found.next_log == 13


def test_a_hole_in_the_numbers_is_seen() -> None:
    assert not listing([log_name(1), log_name(3)]).whole
    assert not listing([Segment(0, 4, 1, 1, 1).name, log_name(6)]).whole
    assert listing([]).whole
    assert listing([]).next_log == 0


def test_other_files_are_passed_over() -> None:
    names = [
        "lock",
        "dead.ndjson",
        "00000001.bad",
        "0-1.5.1.1.parquet",
        "00000000-00000001.tmp",
        "x.parquet",
        "1.ndjson",
    ]
    assert listing(names) == listing([])


def test_a_position_tells_its_log() -> None:
    assert log_of((257 << 24) + 4999) == 257


@pytest.mark.parametrize("name", [".", "nowhere", "file"])
def test_no_store_is_a_named_error_with_the_next_step(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "file").rename(tmp_path.parent / "file")
    directory = tmp_path if name == "." else tmp_path.parent / name
    with pytest.raises(StoreMissing, match="logship import" if name == "file" else "logship up") as caught:
        read_listing(directory)
    assert isinstance(caught.value, SourceError)
