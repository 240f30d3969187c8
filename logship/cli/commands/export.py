"""`logship export`."""

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from logship.cli.exporting.file import write_file
from logship.cli.exporting.text import Format, write_stdout
from logship.cli.options import Window, kql_argument, make_query, source_option, window_options
from logship.cli.output import NOTHING, talk
from logship.cli.source import hint, nothing_found, open_source
from logship.cli.terminal.progress import Progress
from logship.errors import QuestionError
from logship.search.pages import column_names, record_pages
from logship.search.query import Query, Record, Source

FORMATS: dict[str, Format] = {
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".csv": "csv", ".parquet": "parquet",
}  # fmt: skip


@click.command()
@kql_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv", "parquet"]),
    help="Default: from FILE's extension, else ndjson",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write to FILE instead of stdout")
@window_options
@source_option
def export(kql: str, form: Format | None, output: str | None, source: str | None, **window: Any) -> int:
    """Write all matching events, oldest first, as NDJSON, CSV or Parquet.

    Memory use does not depend on the number of events. CSV cells that a spreadsheet would execute as a formula get a
    leading '."""
    query = make_query(Window(kql, **window))
    # Events that arrive from now on are not exported, so that the export ends.
    query = replace(query, until_ns=query.until_ns if query.until_ns is not None else time.time_ns())
    form = form or _format_of(output)
    if form == "parquet" and output is None:
        raise QuestionError("Parquet cannot be streamed to stdout; add --output FILE")
    events = open_source(source)
    total = events.count(query)
    hint(events, query)
    if not total:
        talk(nothing_found(events, query))
        return NOTHING
    _export(events, query, total, form, output)
    return 0


def _format_of(output: str | None) -> Format:
    suffix = Path(output or "x.ndjson").suffix.lower()
    if suffix not in FORMATS:
        raise QuestionError(f"the name {output} has no known extension; add --format ndjson, csv or parquet")
    return FORMATS[suffix]


def _export(source: Source, query: Query, total: int, form: Format, output: str | None) -> None:
    progress = _Progress(total, in_place=output is not None or not sys.stdout.isatty())
    names = column_names(source) if form == "csv" else []
    pages = progress.counted(record_pages(source, query))
    left_out = write_stdout(pages, names) if output is None else write_file(pages, names, Path(output), form)
    progress.end(f"; {left_out} values left out: their fields appeared during the export" if left_out else "")


class _Progress:
    """Counts exported events and shows the progress."""

    def __init__(self, total: int, *, in_place: bool) -> None:
        self._done, self._total, self._line = 0, total, Progress(in_place=in_place)

    def counted(self, pages: Iterable[list[Record]]) -> Iterator[list[Record]]:
        for records in pages:
            yield records
            self._done += len(records)
            self._line.update(f"exported {self._done:,} of {self._total:,}, {self._done / self._total:.0%}")

    def end(self, remark: str) -> None:
        self._line.end(f"exported {self._done:,} events", remark)
