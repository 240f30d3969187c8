"""Exports as text: NDJSON or CSV, to stdout or a file."""

import sys
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, TypeAlias

from logship.cli.output import OutputClosed
from logship.search.formats import Csv, ndjson
from logship.search.query import Record

Format: TypeAlias = Literal["ndjson", "csv", "parquet"]


class ByteWriter(Protocol):
    """Accepts bytes."""

    def write(self, data: bytes, /) -> int: ...


class _Terminal:
    """Writes bytes to stdout as text, so that control characters do not reach the terminal."""

    def write(self, data: bytes, /) -> int:
        return sys.stdout.write(data.decode("utf-8", "replace"))


def write_text(pages: Iterable[list[Record]], names: Sequence[str], out: ByteWriter) -> int:
    """Write CSV with the columns `names`, or NDJSON if there are none. Return the number of values without a column."""
    table = Csv(names)
    if names:
        out.write(table.head())
    for records in pages:
        out.write(table.rows(records) if names else ndjson(records))
    return table.left_out


def write_stdout(pages: Iterable[list[Record]], names: Sequence[str]) -> int:
    """Write to stdout as `write_text` does. OutputClosed if the reader has closed it."""
    try:
        left_out = write_text(pages, names, _Terminal() if sys.stdout.isatty() else sys.stdout.buffer)
        sys.stdout.flush()
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise OutputClosed from None
    return left_out
