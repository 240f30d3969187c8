"""Writing segments: rows of any size in bounded memory, and each file completely or not at all."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import duckdb

from logship.store import ids, needles
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
# Called with a segment and the file that is about to get its name.
Announce: TypeAlias = Callable[[Segment, Path], None]
# The memory of a database that writes: read_json alone needs 4 MB a thread, writing a row group some 50.
MEMORY_LIMIT_BYTES = 128 * 2**20


def temporary(directory: Path, first: int, last: int) -> Path:
    """Return the name that the segment of these logs has while it is written."""
    return directory / f"{first:08d}-{last:08d}.tmp"


def write_segment(
    database: duckdb.DuckDBPyConnection,
    select: str,
    directory: Path,
    span: tuple[int, int],
    *,
    parts: Sequence[Segment] = (),
    rows_wanted: int | None = None,
    announce: Announce | None = None,
) -> Segment | None:
    """Write the rows of a SELECT as the segment of the logs in `span` (first and last number), and return it.

    `parts`: the segments that it replaces, which have its rows. None, and no file, if it does not have `rows_wanted` rows."""
    written = temporary(directory, *span)
    try:
        copy(database, select, written)
        if rows_wanted is not None and count_rows(database, written) != rows_wanted:
            return None
        return publish(database, written, span, parts, announce)
    finally:
        written.unlink(missing_ok=True)


def copy(database: duckdb.DuckDBPyConnection, select: str, path: Path) -> None:
    """Write the rows of a SELECT into a new Parquet file, in order if `database` has one thread.

    The memory for writing does not depend on the size of rows."""
    # DuckDB would make the file readable for others. Without USE_TMP_FILE it writes into the existing file.
    os.close(private(path, os.O_CREAT | os.O_WRONLY))
    # The limit in bytes needs this. One thread keeps the order anyway.
    database.execute("SET preserve_insertion_order = false")
    into = (
        f"COPY ({select}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, USE_TMP_FILE false,"
    )
    into += f" ROW_GROUP_SIZE {ROW_GROUP_ROWS}, ROW_GROUP_SIZE_BYTES "
    try:
        database.execute(f"{into}{ROW_GROUP_BYTES})")
    except duckdb.OutOfMemoryException:
        database.execute(f"{into}{SMALL_ROW_GROUP_BYTES})")


def convert(database: duckdb.DuckDBPyConnection, lines: list[bytes], path: Path) -> list[bytes]:
    """Write the lines of a log into a Parquet file, and return the lines that DuckDB cannot read.

    Works in slices of some MB, and halves a slice that fails until the bad line is found."""
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
            if is_of_the_disk(error):
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
    database: duckdb.DuckDBPyConnection,
    written: Path,
    span: tuple[int, int],
    parts: Sequence[Segment] = (),
    announce: Announce | None = None,
) -> Segment:
    """Rename a written Parquet file to the segment of these logs. `parts` as in `write_segment`."""
    rows, oldest_ns, newest_ns = database.execute(
        'SELECT count(*), epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp")) FROM read_parquet(?)', [str(written)]
    ).fetchall()[0]
    with written.open("rb") as file:
        os.fsync(file.fileno())
    segment = Segment(*span, rows, oldest_ns or 0, newest_ns or 0)
    _write_ids(database, written, segment, parts)
    if announce is not None:
        announce(segment, written)
    written.rename(written.with_name(segment.name))
    sync_directory(written.parent)
    return segment


def _write_ids(database: duckdb.DuckDBPyConnection, written: Path, segment: Segment, parts: Sequence[Segment]) -> None:
    """Write the `.ids` file: from those of the parts, and from the rows where a part has none."""
    directory = written.parent
    known = [ids.read(directory, part) for part in parts]
    filters = [found[0] if (found := ids.read_filters(directory, part)) else None for part in parts if part.rows]
    held = ids.rebuild(database, as_stored([written])) if not parts or None in known else ids.merge(filter(None, known))
    if not parts or None in filters:
        filters = [needles.build(database, written, segment.rows)]
    ids.write(directory, segment, held, Sum.of(written), b"".join(filter(None, filters)))


def is_of_the_disk(error: duckdb.Error) -> bool:
    """Return whether the disk or an interrupt is the reason, not the data: the same statement may work later."""
    return isinstance(error, duckdb.IOException | duckdb.InterruptException)
