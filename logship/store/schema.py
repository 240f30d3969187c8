"""The columns of the store, generated from the list of fields, and DuckDB as the store uses it."""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from logship.search.query import Record
from logship.search.targets import KIND_OF
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
# A query must not fill the disk: the store would stop accepting events.
SPILL_LIMIT_BYTES = 2 * 2**30

# Ids that mostly repeat another id take half of the bytes on disk. Segments have NULL for a repeated id and set a bit of
# `_same` instead; readers restore it.
_SAME = "_same"
_REPEATED = {"http.request.id": ("trace.id", 1), "transaction.id": ("span.id", 2)}
_SHORTENED = (
    "* REPLACE ("
    + ", ".join(f'nullif("{name}", "{other}") AS "{name}"' for name, (other, _) in _REPEATED.items())
    + "), ("
    + " + ".join(
        f"""CASE WHEN "{name}" = "{other}" THEN {bit} ELSE 0 END""" for name, (other, bit) in _REPEATED.items()
    )
    + f")::TINYINT AS {_SAME}"
)
_WHOLE = (
    f"* EXCLUDE ({_SAME}) REPLACE ("
    + ", ".join(
        f'CASE WHEN {_SAME} & {bit} = {bit} THEN "{other}" ELSE "{name}" END AS "{name}"'
        for name, (other, bit) in _REPEATED.items()
    )
    + ")"
)

_STRUCT = "{" + ", ".join(f"'{name}': '{sql_type}'" for name, sql_type in COLUMNS.items()) + "}"
_NO_ROWS = "SELECT " + ", ".join(f'NULL::{sql_type} AS "{name}"' for name, sql_type in COLUMNS.items())
_NO_ROWS += f", NULL::TINYINT AS {_SAME} WHERE false"

_NAMES = [name for name in COLUMNS if name not in (POSITION, "@timestamp")]
_DATES = [name for name in _NAMES if COLUMNS[name] == "TIMESTAMP_NS"]


def select_row(names: Iterable[str] = ()) -> str:
    """Return the columns to select for `record`: position, time, and `names`, or all columns without names."""
    # Python's datetime has no nanoseconds, so dates travel as numbers.
    told = (f'epoch_ns("{name}")' if name in _DATES else f'"{name}"' for name in names or _NAMES)
    return ", ".join(('_n, epoch_ns("@timestamp")', *told))


def connect(memory_limit_bytes: int, threads: int, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory database that never uses the network.

    `spill`: a directory that is created when memory is full, and removed when the database is closed; None: an error instead."""
    connection = duckdb.connect()
    for setting in (
        f"memory_limit = '{memory_limit_bytes // 2**20}MiB'",
        f"threads = {threads}",
        # The default is the current directory of the process.
        f"temp_directory = {quoted(spill or '')}",
        f"max_temp_directory_size = '{SPILL_LIMIT_BYTES // 2**20}MiB'",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "TimeZone = 'UTC'",
        "enable_progress_bar = false",
    ):
        connection.execute(f"SET {setting}")
    return connection


def relation(segments: Iterable[Path], logs: Iterable[Path], rows: Mapping[Path, list[int]] | None = None) -> str:
    """Return a SELECT of every column from these files. Segments that are older than a column have NULL there.

    `rows`: in addition, numbers of rows by segment file."""
    parts = [_NO_ROWS]
    if files := list(segments):
        parts.append(as_stored(files))
    for file, numbers in (rows or {}).items():
        chosen = ", ".join(map(str, numbers))
        parts.append(
            f"SELECT * EXCLUDE (file_row_number) FROM read_parquet({quoted(file)}, file_row_number = true)"
            f" WHERE file_row_number IN ({chosen})"
        )
    if files := list(logs):
        parts.append(_lines(files))
    return f"SELECT {_WHOLE} FROM ({' UNION ALL BY NAME '.join(parts)})"


def no_rows() -> str:
    """Return a SELECT of every column of a segment and no rows."""
    return _NO_ROWS


def as_stored(segments: Iterable[Path]) -> str:
    """Return a SELECT of segments as they are on disk, with `_same`."""
    return f"SELECT * FROM read_parquet([{', '.join(map(quoted, segments))}], union_by_name = true)"


def to_store(logs: list[Path]) -> str:
    """Return a SELECT of logs as segments store them, in order of arrival, which is nearly the order of time."""
    return f"SELECT {_SHORTENED} FROM ({_lines(logs)})"


def _lines(logs: Iterable[Path]) -> str:
    # Only a torn line at the end of the active log becomes a row of NULLs.
    return (
        f"SELECT * FROM read_json([{', '.join(map(quoted, logs))}], format = 'newline_delimited', ignore_errors = true,"
        f' maximum_object_size = {2 * LINE_LIMIT_BYTES}, columns = {_STRUCT}) WHERE "@timestamp" IS NOT NULL'
    )


def record(row: tuple[Any, ...], names: Iterable[str] = ()) -> Record:
    """Return the record of one row of `select_row(names)`, without NULL values."""
    # Faster than a comprehension: most columns of most rows are NULL.
    found: Record = {"@timestamp": rfc3339(row[1])}
    for name, value in zip(names or _NAMES, row[2:], strict=True):
        if value is not None:
            found[name] = value
    for name in _DATES:
        if name in found:
            found[name] = rfc3339(found[name])
    return found


def quoted(path: Path | str) -> str:
    """Return a path as SQL text. A directory name may contain a quote."""
    return "'" + str(path).replace("'", "''") + "'"
