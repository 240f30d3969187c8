"""Writing a segment: from rows of any size in bounded memory, and as a whole or not at all."""

import os
from pathlib import Path

import duckdb

from logship.store import ids
from logship.store.files import Segment, private, sync_directory
from logship.store.lines import slices
from logship.store.schema import as_stored, no_rows, quoted, to_store
from logship.store.sums import Sum

# Small row groups halve the memory of a needle search and cost 2 % of disk. 24,576 rows of the usual size are 38 MB in
# DuckDB; where that does not fit into its memory, because rows are large, row groups are small.
ROW_GROUP_ROWS = 24_576
ROW_GROUP_BYTES = 40 * 2**20
SMALL_ROW_GROUP_BYTES = 8 * 2**20
# JSON takes up to eight times its size in memory: 11 MB of labels do not fit into 128, 4 MB take 60.
SLICE_BYTES = 4 * 2**20


def copy(database: duckdb.DuckDBPyConnection, select: str, path: Path) -> None:
    """Write the rows of a SELECT into a new Parquet file; in order, where `database` has one thread.

    Memory does not depend on how large rows are, if it suffices for the SELECT itself."""
    # DuckDB would make it readable for others; without USE_TMP_FILE it writes into the file that is there.
    os.close(private(path, os.O_CREAT | os.O_WRONLY))
    # The limit in bytes needs this; one thread keeps the order all the same.
    database.execute("SET preserve_insertion_order = false")
    into = f"COPY ({select}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, USE_TMP_FILE false,"
    into += f" ROW_GROUP_SIZE {ROW_GROUP_ROWS}, ROW_GROUP_SIZE_BYTES "
    try:
        database.execute(f"{into}{ROW_GROUP_BYTES})")
    except duckdb.OutOfMemoryException:
        database.execute(f"{into}{SMALL_ROW_GROUP_BYTES})")


def convert(database: duckdb.DuckDBPyConnection, lines: list[bytes], path: Path) -> list[bytes]:
    """Write the lines of a log into a Parquet file and return those that have no place in it: they would stop the rest.

    Works in slices of some MB, and parts a slice that fails until the line is found that is to blame."""
    parts: list[Path] = []
    bad: list[bytes] = []

    def add(some: list[bytes]) -> None:
        text, part = path.with_name(f"{path.stem}.lines.tmp"), path.with_name(f"{path.stem}.{len(parts)}.tmp")
        with open(text, "wb", opener=private) as file:
            file.writelines(some)
        try:
            copy(database, to_store([text]), part)
            fits = count_rows(database, part) == len(some)
        except duckdb.Error as error:
            if of_the_disk(error):
                raise
            fits = False
        finally:
            text.unlink()
        if fits:
            parts.append(part)
        elif len(some) == 1:
            bad.extend(some)
        else:
            add(some[: len(some) // 2])
            add(some[len(some) // 2 :])

    try:
        for group in slices(lines, SLICE_BYTES):
            add(group)
        copy(database, as_stored(parts) if parts else no_rows(), path)
    finally:
        for part in [*parts, path.with_name(f"{path.stem}.{len(parts)}.tmp")]:
            part.unlink(missing_ok=True)
    return bad


def count_rows(database: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Return how many rows a Parquet file has."""
    return int(database.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall()[0][0])


def publish(
    database: duckdb.DuckDBPyConnection, written: Path, first: int, last: int, known: ids.Ids | None = None
) -> Segment:
    """Give a written Parquet file its name as the segment of these logs. `known`: its event ids, if they are known."""
    rows, oldest_ns, newest_ns = database.execute(
        'SELECT count(*), epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp")) FROM read_parquet(?)', [str(written)]
    ).fetchall()[0]
    with written.open("rb") as file:
        os.fsync(file.fileno())
    segment = Segment(first, last, rows, oldest_ns or 0, newest_ns or 0)
    held = ids.rebuild(database, as_stored([written])) if known is None else known
    ids.write(written.parent, segment, held, Sum.of(written))
    written.rename(written.with_name(segment.name))
    sync_directory(written.parent)
    return segment


def of_the_disk(error: duckdb.Error) -> bool:
    """Whether it fails because of the disk or of a stop, and not because of what is read: the same may work later."""
    return isinstance(error, duckdb.IOException | duckdb.InterruptException)
