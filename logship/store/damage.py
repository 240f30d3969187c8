"""Damaged files of a store: how they are detected and set aside. Nothing is deleted here."""

import errno
import os
from pathlib import Path

import duckdb

from logship.store import ids
from logship.store.files import Segment, sync_directory
from logship.store.sums import Sum

_MAGIC = b"PAR1"


def damage(directory: Path, segment: Segment) -> str | None:
    """Return what is wrong with the file of a segment, None if it matches its checksum.

    Reads the whole file. Without a checksum (its sidecar is damaged, or from an earlier release) only both ends are checked.
    FileNotFoundError if there is no such file."""
    path = directory / segment.name
    expected = ids.read_segment_sum(directory, segment)
    try:
        if wrong := damage_of_ends(path, expected):
            return wrong
        if expected is None or (found := Sum.of(path)) == expected:
            return None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return f"it cannot be read: {error.strerror}"
    return f"its checksum is {found.crc32:08x}, written was {expected.crc32:08x}"


def damage_of_ends(path: Path, expected: Sum | None) -> str | None:
    """Return what is wrong with the size, the first or the last bytes of a segment's file. Quick."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if expected is not None and size != expected.size_bytes:
            return f"it has {size} bytes, written were {expected.size_bytes}"
        if size < 2 * len(_MAGIC):
            return f"it has {size} bytes and is not a Parquet file"
        file.seek(-len(_MAGIC), os.SEEK_END)
        tail = file.read()
        file.seek(0)
        return None if tail == file.read(len(_MAGIC)) == _MAGIC else "it is not a Parquet file"


def damage_when_read(database: duckdb.DuckDBPyConnection, directory: Path, segment: Segment) -> str | None:
    """Return what is wrong with a segment, also without a checksum: every value is decoded."""
    if wrong := damage(directory, segment):
        return wrong
    try:
        database.execute("SELECT max(hash(row)) FROM read_parquet(?) AS row", [str(directory / segment.name)]).fetchall()
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        return str(error).partition("\n")[0]
    return None


def set_aside(directory: Path, segment: Segment, reason: str) -> str:
    """Rename a damaged segment so that it is not read any more, and return the sentence for the log.

    Requires the lock of the store."""
    (directory / segment.name).rename(directory / segment.bad_name)
    sync_directory(directory)
    kept = f"it is kept as {segment.bad_name}, and its {segment.rows} events are missing in results"
    return f"{directory / segment.name} is damaged: {reason}; {kept}"
