"""`logship search`."""

from collections.abc import Iterator
from typing import Any

import click

from logship.cli.columns import event_columns
from logship.cli.options import Window, kql_argument, make_query, source_option, window_options
from logship.cli.output import NOTHING, note, talk
from logship.cli.rows import Form, form_options, show
from logship.cli.source import hint, nothing_found, open_source
from logship.search.pages import column_names, record_pages
from logship.search.query import Page, Query, Record, Source
from logship.search.units import plural

# The newest events are shown last, so that many are in memory at once. --limit 0 shows all, oldest first, page by page.
LIMIT_ROWS = 10_000
PAGE_ROWS = 1_000


@click.command()
@kql_argument
@window_options
@click.option(
    "--limit", default=100, type=click.IntRange(0, LIMIT_ROWS), metavar="N", show_default=True,
    help="Show the newest N events; 0 for all",
)  # fmt: skip
@source_option
@form_options
def search(kql: str, limit: int, source: str | None, form: Form | None, **window: Any) -> int:
    """Find events with KQL, newest last.

    Without --last or --since all stored events are searched."""
    query = make_query(Window(kql, **window))
    events = open_source(source)
    count = _show_newest(events, query, limit, form) if limit else _show_all(events, query, form)
    if not count:
        talk(nothing_found(events, query))
    hint(events, query)
    return 0 if count else NOTHING


def _show_newest(source: Source, query: Query, limit: int, form: Form | None) -> int:
    rows = source.search(query, Page(limit))
    count = show(rows.records[::-1], event_columns(), form)
    if rows.next is not None:
        note(f"only the newest {plural(count, 'event')}; for more use --limit N, or 0 for all")
    return count


def _show_all(source: Source, query: Query, form: Form | None) -> int:
    names = column_names(source) if form == "csv" else None
    return show(_all(source, query), event_columns(), form or "lines", names)


def _all(source: Source, query: Query) -> Iterator[Record]:
    for records in record_pages(source, query, PAGE_ROWS):
        yield from records
