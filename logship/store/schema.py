"""The columns of the store, made from the one list of fields, and DuckDB as the store uses it."""
# ruff: noqa: S608 - only names of our own columns and files are ever written into SQL

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from logship.search.meaning import KIND_OF
from logship.search.query import Record
from logship.search.times import rfc3339

_SQL_TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "date": "TIMESTAMP_NS",
    "boolean": "BOOLEAN",
    "list": "VARCHAR[]",
}

POSITION = "_n"
COLUMNS: dict[str, str] = {
    POSITION: "BIGINT",
    **{name: _SQL_TYPES.get(kind, "VARCHAR") for name, kind in KIND_OF.items()},
    "labels": "MAP(VARCHAR, VARCHAR)",
    "numeric_labels": "MAP(VARCHAR, DOUBLE)",
}
# A longer line would need a larger buffer in every query.
LINE_LIMIT_BYTES = 1024 * 1024

_STRUCT = "{" + ", ".join(f"'{name}': '{sql_type}'" for name, sql_type in COLUMNS.items()) + "}"
_NO_ROWS = "SELECT " + ", ".join(f'NULL::{sql_type} AS "{name}"' for name, sql_type in COLUMNS.items()) + " WHERE false"

_NAMES = [name for name in COLUMNS if name not in (POSITION, "@timestamp")]
_DATES = [name for name in _NAMES if COLUMNS[name] == "TIMESTAMP_NS"]

# Python's datetime has no nanoseconds, so dates travel as numbers.
SELECT_ROW = '_n, epoch_ns("@timestamp"), ' + ", ".join(
    f'epoch_ns("{name}")' if name in _DATES else f'"{name}"' for name in _NAMES
)


def connect(memory_limit_bytes: int, threads: int) -> duckdb.DuckDBPyConnection:
    """Return a database without a file that never reaches for the network."""
    connection = duckdb.connect()
    for setting in (
        f"memory_limit = '{memory_limit_bytes // 2**20}MiB'",
        f"threads = {threads}",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "TimeZone = 'UTC'",
        "enable_progress_bar = false",
        "parquet_metadata_cache = true",
    ):
        connection.execute(f"SET {setting}")
    return connection


def relation(segments: Iterable[Path], logs: Iterable[Path]) -> str:
    """Return a SELECT of every column over these files; segments older than a column lack it, and give NULL."""
    parts = [_NO_ROWS]
    if files := ", ".join(map(_text, segments)):
        parts.append(f"SELECT * FROM read_parquet([{files}], union_by_name = true)")
    # A torn line at the end of the log that is being written, and only that, becomes a row of NULLs.
    if files := ", ".join(map(_text, logs)):
        parts.append(
            f"SELECT * FROM read_json([{files}], format = 'newline_delimited', ignore_errors = true,"
            f' maximum_object_size = {2 * LINE_LIMIT_BYTES}, columns = {_STRUCT}) WHERE "@timestamp" IS NOT NULL'
        )
    return " UNION ALL BY NAME ".join(parts)


def record(row: tuple[Any, ...]) -> Record:
    """Return the record of one row of `SELECT_ROW`: what is absent is absent."""
    found = {"@timestamp": rfc3339(row[1])}
    found.update({name: value for name, value in zip(_NAMES, row[2:], strict=True) if value is not None})
    for name in _DATES:
        if name in found:
            found[name] = rfc3339(found[name])  # type: ignore[arg-type]
    return found


def _text(path: Path) -> str:
    """As SQL text. File names are never typed by a person who asks, but a directory may hold a quote."""
    return "'" + str(path).replace("'", "''") + "'"
