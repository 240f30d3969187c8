"""Exports as Parquet."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from logship.search.formats import ndjson
from logship.search.query import Record


def write_parquet(pages: Iterable[list[Record]], path: Path) -> None:
    """Write a Parquet file by way of compressed NDJSON beside it, so that only one row group is in memory.

    Pages are of version 1: not all readers know those that DuckDB writes for version 2."""
    import zstandard

    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".ndjson.zst") as spool:
        with zstandard.ZstdCompressor(1).stream_writer(spool, closefd=False) as text:
            for records in pages:
                text.write(ndjson(records))
        spool.flush()
        _convert(spool.name, path)


def _convert(ndjson_path: str, path: Path) -> None:
    from logship.store.read.interrupt import interruptible
    from logship.store.schema import COLUMNS, LINE_LIMIT_BYTES, POSITION, connect, quoted
    from logship.store.write.parquet import MEMORY_LIMIT_BYTES, ROW_GROUP_ROWS

    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items() if name != POSITION)
    copy = (
        f"COPY (SELECT * FROM read_json({quoted(ndjson_path)}, format = 'newline_delimited',"  # noqa: S608 - our own names
        f" compression = 'zstd', maximum_object_size = {2 * LINE_LIMIT_BYTES}, columns = {{{columns}}}))"
        f" TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )
    database = connect(MEMORY_LIMIT_BYTES, 1)
    try:
        interruptible(database, lambda: database.execute(copy))
    finally:
        database.close()
