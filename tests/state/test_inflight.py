"""The in-flight table: what it shows of running requests, and how it counts those that do not fit."""

from pathlib import Path

from logship.state import inflight
from logship.state.identity import Cell, Facts, Identity


def table_in(directory: Path) -> tuple[inflight.InFlight, memoryview]:
    """A table and the counters of its incarnation."""
    cells = Identity("a" * 24, Facts(), None).cells
    return inflight.InFlight(directory / "inflight", cells), cells


def test_the_table_cuts_long_text_and_shows_the_oldest_request_first(tmp_path: Path) -> None:
    table, _ = table_in(tmp_path)
    for start, path in ((20, b"/second"), (10, b"/first" + b"x" * 500)):
        table.begin(start, b"s" * 16, b"id", b"GET", path)
    first, second = inflight.read(tmp_path)
    assert (first.started_ns, len(first.path)) == (10, 152)
    assert (second.path, second.method, second.request_id) == ("/second", "GET", "id")
    assert table.count() == 2


def test_a_request_that_has_ended_leaves_the_table(tmp_path: Path) -> None:
    table, _ = table_in(tmp_path)
    first = table.begin(10, b"a" * 16, b"a", b"GET", b"/a")
    second = table.begin(20, b"b" * 16, b"b", b"GET", b"/b")
    table.end(first)
    assert [one.request_id for one in inflight.read(tmp_path)] == ["b"]
    table.end(second)
    assert inflight.read(tmp_path) == []
    assert table.count() == 0


def test_a_request_that_does_not_fit_is_counted_until_it_ends(tmp_path: Path) -> None:
    table, cells = table_in(tmp_path)
    places = [table.begin(1, b"s" * 16, b"id", b"GET", b"/") for _ in range(inflight.CELL_COUNT + 2)]
    assert (cells[Cell.IN_FLIGHT_OVERFLOW], table.count()) == (2, inflight.CELL_COUNT + 2)
    for place in reversed(places):
        table.end(place)
    assert (cells[Cell.IN_FLIGHT_OVERFLOW], table.count()) == (0, 0)


def test_a_journal_without_a_table_has_no_running_requests(tmp_path: Path) -> None:
    assert inflight.read(tmp_path) == []
