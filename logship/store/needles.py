"""In which rows of a segment an id may be: a Bloom filter for each piece of some thousand rows.

They are the third part of a segment's `.ids` file, one after another: a header of `_HEADER` (first and last position of the
piece, bytes of its filter), then the filter. Merged segments have the pieces of their parts. A filter has 12 bits for each id,
but at most two bytes for each row; four of them are set by the lower half of an id's MD5 (h), at
((h % 2^32) + i * (h // 2^32 | 1)) modulo the number of bits, i = 0 to 3 (A. Kirsch, M. Mitzenmacher: Less Hashing, Same
Performance, 2006). About one filter in 150 says that it has an id which it does not have.
"""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

import hashlib
import mmap
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import duckdb

from logship.store.schema import quoted

Filters: TypeAlias = bytes | mmap.mmap

FIELDS = ("http.request.id", "trace.id", "error.id", "event.id")
# As many as a row group has: a piece is then read without decoding its neighbours.
PIECE_ROWS = 24_576

_BITS_OF_ID = 12
_BYTES_OF_ROW = 2
_HASHES = 4
_HALF = 2**32 - 1
_HEADER = struct.Struct("<qqI")
# The ids of workers are in the ranges of the second part.
_OF_A_WORKER = "[0-9a-f]{24}-[0-9]{12}"
# Segments of earlier versions have no column for some of them.
_NO_IDS = "SELECT " + ", ".join(f'NULL::VARCHAR AS "{name}"' for name in FIELDS) + " WHERE false"

Span: TypeAlias = tuple[int, int]
"""First and last position of some rows."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The filter of the rows from `low` to `high`, which is `size` bytes from `at` on."""

    low: int
    high: int
    at: int
    size: int


def build(connection: duckdb.DuckDBPyConnection, segment: Path, rows: int) -> bytes:
    """Return the filters of a segment's file with this number of rows. duckdb.Error if it cannot be read."""
    parts = []
    for first in range(0, rows, PIECE_ROWS):
        where = f"file_row_number BETWEEN {first} AND {first + PIECE_ROWS - 1}"
        low, high, count = connection.execute(
            f"SELECT min(_n), max(_n), count(*) FROM read_parquet({quoted(segment)}, file_row_number = true) WHERE {where}"
        ).fetchall()[0]
        ids = _ids(segment, where)
        distinct = int(connection.execute(f"SELECT count(DISTINCT id) FROM ({ids})").fetchall()[0][0])
        size = min((distinct * _BITS_OF_ID + 7) // 8, count * _BYTES_OF_ROW)
        parts.append(_HEADER.pack(low, high, size) + _filter(connection, ids, size))
    return b"".join(parts)


def match(connection: duckdb.DuckDBPyConnection, segment: Path, rows: int, filters: bytes) -> bool:
    """Return whether these are filters of a segment's file and cover all of its rows. duckdb.Error if it cannot be read."""
    covered, last = 0, -1
    try:
        for piece in pieces(filters):
            where = f"_n BETWEEN {piece.low} AND {piece.high}"
            right = _filter(connection, _ids(segment, where), piece.size)
            if piece.low <= last or right != filters[piece.at : piece.at + piece.size]:
                return False
            counted = f"SELECT count(*) FROM read_parquet({quoted(segment)}) WHERE {where}"
            covered, last = covered + int(connection.execute(counted).fetchall()[0][0]), piece.high
    except ValueError:
        return False
    return covered == rows


def _ids(segment: Path, where: str) -> str:
    rows = f"SELECT * FROM read_parquet({quoted(segment)}, file_row_number = true) WHERE {where}"
    foreign = f"""CASE WHEN NOT regexp_full_match("event.id", '{_OF_A_WORKER}') THEN "event.id" END"""
    of_row = f'"http.request.id", "trace.id", "error.id", {foreign}'
    return f"SELECT unnest([{of_row}]) AS id FROM ({_NO_IDS} UNION ALL BY NAME {rows})"


def _filter(connection: duckdb.DuckDBPyConnection, ids: str, size: int) -> bytes:
    if not size:
        return b""
    hashes = f"SELECT DISTINCT md5_number_lower(id) AS h FROM ({ids}) WHERE id IS NOT NULL"
    bit = f"((h & {_HALF})::BIGINT + i * ((h >> 32) | 1)::BIGINT) % {size * 8}"
    text = f"SELECT bitstring_agg({bit}, 0, {size * 8 - 1})::BLOB FROM ({hashes}), range({_HASHES}) AS r(i)"
    return bytes(connection.execute(text).fetchall()[0][0] or bytes(size))


def pieces(filters: Filters, at: int = 0) -> Iterator[Piece]:
    """Yield the pieces of filters that begin at this index. ValueError if these are not filters."""
    while at < len(filters):
        header = filters[at : at + _HEADER.size]
        if len(header) < _HEADER.size:
            raise ValueError("a filter ends in its header")
        low, high, size = _HEADER.unpack(header)
        at += _HEADER.size
        if at + size > len(filters):
            raise ValueError(f"a filter of {size} bytes has only {len(filters) - at}")
        yield Piece(low, high, at, size)
        at += size


def spans(filters: Filters, wanted: Iterable[str], at: int = 0) -> list[Span]:
    """Return where one of these ids may be, in ascending order. `at`: where the filters begin. ValueError as `pieces`."""
    hashes = [_halves(id_) for id_ in wanted]
    return [
        (piece.low, piece.high)
        for piece in pieces(filters, at)
        if piece.size and any(_has(filters, piece, first, step) for first, step in hashes)
    ]


def _halves(id_: str) -> tuple[int, int]:
    digest = hashlib.md5(id_.encode("utf-8", "replace"), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:12], "little"), int.from_bytes(digest[12:], "little") | 1


def _has(filters: Filters, piece: Piece, first: int, step: int) -> bool:
    bits = piece.size * 8
    for number in range(_HASHES):
        bit = (first + number * step) % bits
        # DuckDB's first bit is the highest of the first byte.
        if not filters[piece.at + (bit >> 3)] & 0x80 >> (bit & 7):
            return False
    return True
