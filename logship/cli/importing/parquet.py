"""Rows of a Parquet file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from logship.errors import QuestionError

FETCH_ROWS = 500
MEMORY_LIMIT_BYTES = 512 * 2**20


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows, without empty values. QuestionError if the file cannot be read."""
    import duckdb

    from logship.store.read.interrupt import interruptible
    from logship.store.schema import POSITION, connect, quoted

    database = connect(MEMORY_LIMIT_BYTES, 1)
    try:
        table = f"read_parquet({quoted(path)})"
        columns = [
            (name, kind)
            for name, kind, *_ in database.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()  # noqa: S608
            if name != POSITION
        ]
        names = [name for name, _ in columns]
        select = f"SELECT {', '.join(_column(*column) for column in columns)} FROM {table}"  # noqa: S608 - quoted names
        result = interruptible(database, lambda: database.execute(select))
        while rows := interruptible(database, lambda: result.fetchmany(FETCH_ROWS)):
            for row in rows:
                yield {name: value for name, value in zip(names, row, strict=True) if value is not None}
    except duckdb.Error as error:
        raise QuestionError(f"{path} is not a readable Parquet file: {error}") from None
    finally:
        database.close()


def _column(name: str, kind: str) -> str:
    """Python's datetime has no nanoseconds: times are read as numbers."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"epoch_ns({quoted})" if kind.startswith("TIMESTAMP") else quoted
