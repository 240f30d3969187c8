"""Metric files: what is written is read, and damage is named."""

from pathlib import Path

import pytest

from logship.errors import JournalUnreadable
from logship.state import metric_file
from logship.state.metric_file import MetricCell, MetricFacts, MetricFile, label_values, labels_of

FACTS = MetricFacts("shop", "8000", "host", "3.5", "uvicorn", 7, True)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = MetricFile(tmp_path / "a.metrics", FACTS)
    index = file.series(labels_of("GET", "/orders/{id}", 200))
    assert index is not None
    file.cells[MetricCell.BEGUN] = 3
    file.cells[index + 2] += 2
    file.exemplar(index, 20_000_000, 5, b"0123456789abcdef" * 2)
    copy = metric_file.read(tmp_path / "a.metrics")
    assert (copy.facts, copy.cells[MetricCell.BEGUN], copy.slot) == (FACTS, 3, None)
    cells = copy.series[labels_of("GET", "/orders/{id}", 200)]
    assert cells[2] == 2
    assert cells[metric_file.EXEMPLAR_DURATION_NS] == 20_000_000
    assert b"".join(cell.to_bytes(8, "little") for cell in cells[metric_file.EXEMPLAR_TRACE :][:4]) == b"0123456789abcdef" * 2
    assert file.copy() == copy


def test_a_series_is_made_once(tmp_path: Path) -> None:
    file = MetricFile(None, FACTS)
    assert file.series(b"GET\0/a\x00200") == file.series(b"GET\0/a\x00200")
    made = {file.series(b"GET\0/%d\x00200" % number) for number in range(metric_file.SERIES_COUNT)}
    assert len(made - {None}) == metric_file.SERIES_COUNT - 1
    assert (file.room(), file.series(b"GET\0/more\x00200"), file.series(b"x" * 255)) == (0, None, None)


def test_labels_fit_their_place() -> None:
    labels = labels_of("GET", "/é" * 300, 404)
    assert len(labels) <= metric_file.LABEL_BYTES
    method, route, status = label_values(labels)
    assert (method, status) == ("GET", "404")
    assert "/é/é".startswith(route[:4])
    assert label_values(labels_of("GET", "/a\0b", 200)) == ("GET", "/ab", "200")


@pytest.mark.parametrize("at", [0, 1024, 1030])
def test_damage_is_named(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a.metrics"
    MetricFile(path, FACTS)
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"\xff\xff")
    with pytest.raises(JournalUnreadable, match=r"a\.metrics is (not a metric file|damaged)"):
        metric_file.read(path)


def test_a_file_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.metrics"
    file = MetricFile(path, FACTS)
    for number in range(3):
        file.series(labels_of("GET", f"/{number}", 200))
    data = path.read_bytes()[: metric_file.SERIES_AT + 2 * metric_file.SERIES_BYTES + 9]
    assert len(metric_file.parse(data, path).series) == 2
    with pytest.raises(JournalUnreadable):
        metric_file.parse(data[:100], path)


def test_the_file_is_private(tmp_path: Path) -> None:
    MetricFile(tmp_path / "a.metrics", FACTS)
    assert (tmp_path / "a.metrics").stat().st_mode & 0o777 == 0o600
