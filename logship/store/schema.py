"""The columns of the store, generated from the list of fields, and DuckDB as the store uses it."""
# ruff: noqa: S608 - only names of our columns and files are ever written into SQL

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from logship.search.query import Record
from logship.search.targets import KIND_OF
from logship.search.times import from_rfc3339, rfc3339

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
_RESTORED = {
    name: f'CASE WHEN {_SAME} & {bit} = {bit} THEN "{other}" ELSE "{name}" END AS "{name}"'
    for name, (other, bit) in _REPEATED.items()
}
_STORED = {**COLUMNS, _SAME: "TINYINT"}
_WORD = re.compile(r'"([^"]+)"|\w+')

_NAMES = [name for name in COLUMNS if name not in (POSITION, "@timestamp")]
_DATES = [name for name in _NAMES if COLUMNS[name] == "TIMESTAMP_NS"]
_DATE_COLUMNS = ["@timestamp", *_DATES]


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


def columns_in(text: str) -> frozenset[str]:
    """Return the columns that a piece of SQL names."""
    return frozenset(word[1] or word[0] for word in _WORD.finditer(text)) & COLUMNS.keys()


def relation(
    segments: Iterable[Path],
    logs: Iterable[Path],
    spans: Iterable[tuple[int, int]] | None = None,
    columns: Collection[str] = COLUMNS.keys(),
) -> str:
    """Return a SELECT of these columns and the position from these files. Segments that are older than a column have NULL there.

    DuckDB plans each column that is named, used or not: all of them take 7 ms, three take one.

    `spans`: of the segments, only rows with positions in one of these, so that DuckDB skips the row groups between them."""
    stored = _stored(columns)
    parts = [_no_rows(stored)]
    if files := list(segments):
        within = "" if spans is None else f" WHERE {_within(spans)}"
        parts.append(f"SELECT {_existing(stored)} FROM {_parquet(files)}{within}")
    if files := list(logs):
        parts.append(_lines(files, stored))
    told = ", ".join(_RESTORED.get(name, f'"{name}"') for name in COLUMNS if name in columns or name == POSITION)
    return f"SELECT {told} FROM ({' UNION ALL BY NAME '.join(parts)})"


def _stored(columns: Collection[str]) -> list[str]:
    """The columns of files that these are made of."""
    needed = {POSITION, *columns}
    for name, (other, _) in _REPEATED.items():
        if name in needed:
            needed |= {other, _SAME}
    return [name for name in _STORED if name in needed]


def _existing(stored: Iterable[str]) -> str:
    return f"COLUMNS(lambda c: c IN ({', '.join(map(quoted, stored))}))"


def numbered_rows(file: Path, numbers: Iterable[int], names: Collection[str] = ()) -> str:
    """Return a SELECT of the rows with these numbers in a segment, for `stored_record`. No names: all columns.

    A third of what `relation` takes to plan all columns: they are not named, and missing ones are not added."""
    told, dates = "*", _DATE_COLUMNS
    if names:
        stored = _stored((*names, "@timestamp"))
        told, dates = _existing(stored), [name for name in _DATE_COLUMNS if name in stored]
    # The dates come twice, under the same names; the last ones count.
    return (
        f"SELECT {told}, epoch_ns({_existing(dates)}) FROM read_parquet({quoted(file)}, file_row_number = true)"
        f" WHERE file_row_number IN ({', '.join(map(str, numbers))})"
    )


def _within(spans: Iterable[tuple[int, int]]) -> str:
    return " OR ".join(f"{POSITION} BETWEEN {low} AND {high}" for low, high in spans) or "false"


def no_rows() -> str:
    """Return a SELECT of every column of a segment and no rows."""
    return _no_rows(list(_STORED))


def _no_rows(stored: list[str]) -> str:
    return "SELECT " + ", ".join(f'NULL::{_STORED[name]} AS "{name}"' for name in stored) + " WHERE false"


def as_stored(segments: Iterable[Path]) -> str:
    """Return a SELECT of segments as they are on disk, with `_same`."""
    return f"SELECT * FROM {_parquet(segments)}"


def _parquet(segments: Iterable[Path]) -> str:
    return f"read_parquet([{', '.join(map(quoted, segments))}], union_by_name = true)"


def to_store(logs: list[Path]) -> str:
    """Return a SELECT of logs as segments store them, in order of arrival, which is nearly the order of time."""
    return f"SELECT {_SHORTENED} FROM ({_lines(logs, list(COLUMNS))})"


def _lines(logs: Iterable[Path], stored: list[str]) -> str:
    struct = ", ".join(f"'{name}': '{COLUMNS[name]}'" for name in dict.fromkeys((*stored, "@timestamp")) if name in COLUMNS)
    # Only a torn line at the end of the active log becomes a row of NULLs.
    return (
        f"SELECT * FROM read_json([{', '.join(map(quoted, logs))}], format = 'newline_delimited', ignore_errors = true,"
        f' maximum_object_size = {2 * LINE_LIMIT_BYTES}, columns = {{{struct}}}) WHERE "@timestamp" IS NOT NULL'
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


def stored_record(row: Mapping[str, Any], names: Iterable[str] = ()) -> Record:
    """Return the record of one row of `numbered_rows`, by its columns, with the same names; without NULL values."""
    same = row.get(_SAME) or 0
    values = {**row, **{name: row.get(other) for name, (other, bit) in _REPEATED.items() if same & bit}}
    return record((row[POSITION], row["@timestamp"], *map(values.get, names or _NAMES)), names)


def line_record(fields: Mapping[str, Any], names: Iterable[str] = ()) -> Record:
    """Return the record of one line of a log, by its fields, as `record` does for the same line after it was sealed."""
    found: Record = {"@timestamp": fields["@timestamp"]}
    for name in names or _NAMES:
        value = fields.get(name)
        if value is not None and name in _SEALED:
            value = _SEALED[name](value)
        if value is not None:
            found[name] = value
    return found


def _whole_date(text: str) -> str | None:
    """A date with nine digits; None for a damaged one, as in a column."""
    try:
        return rfc3339(from_rfc3339(text))
    except ValueError:
        return None


# What sealing makes of the values of a line: dates with nine digits, numbers as DOUBLE.
_SEALED: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_DATES, _whole_date),
    **{name: float for name, kind in COLUMNS.items() if kind == "DOUBLE"},
    "numeric_labels": lambda labels: {name: float(number) for name, number in labels.items()},
}


def quoted(path: Path | str) -> str:
    """Return a path as SQL text. A directory name may contain a quote."""
    return "'" + str(path).replace("'", "''") + "'"
