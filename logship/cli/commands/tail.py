"""`logship tail`."""

import sys
import time
from collections.abc import Iterator

import click

from logship.cli.columns import event_columns
from logship.cli.options import Window, kql_argument, make_query, service_option, slot_option, source_option
from logship.cli.output import note, talk
from logship.cli.rows import Form, json_option, show
from logship.cli.source import hint, open_source
from logship.cli.times import zone_name
from logship.errors import SourceError
from logship.search.pages import is_ahead
from logship.search.query import Page, Query, Record, Source

PAGE_ROWS = 1_000
POLL_SECONDS, RETRY_SECONDS = 0.25, 1.0


@click.command()
@kql_argument
@slot_option
@click.option(
    "-n", "--lines", default=10, type=click.IntRange(0, 1000), metavar="N", show_default=True,
    help="Start with the last N events",
)  # fmt: skip
@service_option
@source_option
@json_option
def tail(kql: str, slot: int | None, service: str | None, lines: int, source: str | None, form: Form | None) -> int:
    """Show events as they arrive, until Ctrl-C.

    If the collector restarts, tail waits for it and then shows the events that arrived in the meantime."""
    query = make_query(Window(kql, slot=slot, service=service))
    events = open_source(source)
    hint(events, query)
    if form is None and sys.stdout.isatty():
        note(f"times in {zone_name()}; Ctrl-C stops")
    position: str | None = events.tail(query, None).next
    # Events that arrive between the two queries are in both results, and shown once.
    newest = events.search(query, Page(lines)).records[::-1] if lines else []
    shown = {record.get("event.id") for record in newest} - {None}
    columns = event_columns()
    show(newest, columns, form or "lines")
    try:
        for records in arriving(events, query, position):
            show((record for record in records if record.get("event.id") not in shown), columns, form or "lines")
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
    return 0


def arriving(source: Source, query: Query, position: str | None) -> Iterator[list[Record]]:
    """Yield batches of new events, without an end. Report on stderr when the source is unreachable, and skipped events."""
    unreachable = False
    while True:
        try:
            if unreachable and is_ahead(position, newest := source.tail(query, None).next):
                position = newest
                talk("events skipped: the source is a different store now; continuing with its new events")
            rows = source.tail(query, position, PAGE_ROWS)
        except SourceError as error:
            if not unreachable:
                talk(f"{error}; retrying")
            unreachable = True
            time.sleep(RETRY_SECONDS)
            continue
        if unreachable:
            talk("the source is reachable again")
        position, unreachable = rows.next, False
        yield rows.records
        if len(rows.records) < PAGE_ROWS:
            time.sleep(POLL_SECONDS)
