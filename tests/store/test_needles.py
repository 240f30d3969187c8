"""Filters of ids: an id that is there is always found, and hardly any other."""

import hashlib
from pathlib import Path

import duckdb
import pytest

from logship.store import needles
from logship.store.files import POSITION_BITS
from logship.store.schema import quoted
from tests.store.events import LIFE

NOTHING = ", ".join(f'NULL::VARCHAR AS "{name}"' for name in ("trace.id", "error.id", "event.id"))


def written(database: duckdb.DuckDBPyConnection, path: Path, rows: int, select: str = "") -> Path:
    """A segment of logs with 5,000 rows: each with a request id, every third with a trace id and a foreign event id."""
    given = (
        select
        or f"""(i // 5000) * {2**POSITION_BITS} + i % 5000 AS _n, 'request-' || i AS "http.request.id",
        CASE WHEN i % 3 = 0 THEN 'trace-' || i END AS "trace.id", NULL::VARCHAR AS "error.id",
        CASE WHEN i % 3 = 0 THEN 'foreign-' || i ELSE '{LIFE}-' || lpad((i + 1)::VARCHAR, 12, '0') END AS "event.id" """
    )
    database.execute(f"COPY (SELECT {given} FROM range({rows}) AS r(i)) TO {quoted(path)} (FORMAT parquet)")
    return path


@pytest.fixture
def segment(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> Path:
    return written(database, tmp_path / "it's a segment", 60_000)


def position(row: int) -> int:
    return (row // 5_000 << POSITION_BITS) + row % 5_000


def test_every_id_is_found_in_its_piece_and_few_others(database: duckdb.DuckDBPyConnection, segment: Path) -> None:
    filters = needles.build(database, segment, 60_000)
    assert [piece.low for piece in needles.pieces(filters)] == [position(at) for at in (0, 24_576, 49_152)]
    assert len(filters) <= 60_000 * 2 + 3 * 20
    for row in range(0, 60_000, 300):
        for id_ in (f"request-{row}", f"trace-{row}", f"foreign-{row}"):
            assert any(low <= position(row) <= high for low, high in needles.spans(filters, [id_])), id_
    wrong = sum(len(needles.spans(filters, [f"missing-{number}"])) for number in range(3_000))
    assert 0 < wrong < 3_000 * 3 * 0.03


def test_ids_of_workers_are_left_to_the_ranges(database: duckdb.DuckDBPyConnection, segment: Path) -> None:
    filters = needles.build(database, segment, 60_000)
    wrong = sum(len(needles.spans(filters, [f"{LIFE}-{number:012d}"])) for number in range(2, 3_000, 3))
    assert wrong < 1_000 * 3 * 0.03


def test_bits_are_where_the_formula_says(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    columns = "i AS _n, 'one' AS \"http.request.id\", " + NOTHING
    filters = needles.build(database, written(database, tmp_path / "s", 4, columns), 4)
    (piece,) = needles.pieces(filters)
    assert (piece.low, piece.high, piece.size) == (0, 3, 2)
    h = int.from_bytes(hashlib.md5(b"one").digest()[8:], "little")
    bits = {(h % 2**32 + i * (h // 2**32 | 1)) % 16 for i in range(4)}
    found = int.from_bytes(filters[piece.at :], "big")
    assert {15 - bit for bit in range(16) if found >> bit & 1} == bits


def test_a_segment_of_an_earlier_version_has_fewer_columns(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    columns = """i AS _n, 'r' || i AS "http.request.id", 't' || i AS "trace.id", NULL::VARCHAR AS "event.id" """
    filters = needles.build(database, written(database, tmp_path / "s", 10, columns), 10)
    assert needles.spans(filters, ["r7"]) == needles.spans(filters, ["t7"]) == [(0, 9)]


def test_a_segment_without_ids_has_none(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    columns = (
        """i AS _n, NULL::VARCHAR AS "http.request.id", NULL::VARCHAR AS "trace.id", NULL::VARCHAR AS "event.id" """
    )
    filters = needles.build(database, written(database, tmp_path / "s", 10, columns), 10)
    assert needles.spans(filters, ["r7"]) == []
    assert [(piece.low, piece.high) for piece in needles.pieces(filters)] == [(0, 9)]


def test_filters_match_their_segment_and_no_other(
    database: duckdb.DuckDBPyConnection, segment: Path, tmp_path: Path
) -> None:
    filters = needles.build(database, segment, 60_000)
    assert needles.match(database, segment, 60_000, filters)
    first, second, third = needles.pieces(filters)
    without = filters[: second.at - 20] + filters[third.at - 20 :]
    assert not needles.match(database, segment, 60_000, without)
    emptied = filters[: first.at] + bytes(first.size) + filters[first.at + first.size :]
    assert not needles.match(database, segment, 60_000, emptied)
    assert not needles.match(database, segment, 60_000, filters[:-1])
    assert not needles.match(database, segment, 60_000, filters + filters)
    part = written(database, tmp_path / "other", 20_000)
    assert not needles.match(database, part, 20_000, filters)


@pytest.mark.parametrize("length", [1, 19, 25, -1])
def test_cut_filters_are_an_error(length: int, database: duckdb.DuckDBPyConnection, segment: Path) -> None:
    filters = needles.build(database, segment, 60_000)
    with pytest.raises(ValueError, match="a filter"):
        needles.spans(filters[:length], ["request-1"])
