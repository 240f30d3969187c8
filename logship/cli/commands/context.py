"""`logship context`."""

import click

from logship.cli.columns import event_columns
from logship.cli.options import service_option, source_option
from logship.cli.output import NOTHING, talk
from logship.cli.rows import Form, form_options, show
from logship.cli.source import open_source
from logship.cli.terminal.table import Column
from logship.cli.terminal.text import glyph
from logship.search.query import around

LIMIT_EVENTS = 10_000
MARK = Column("", "mark", style=lambda _: "bold magenta")
count_option = click.IntRange(0, LIMIT_EVENTS)


@click.command()
@click.argument("event")
@click.option("-B", "--before", default=10, type=count_option, metavar="N", show_default=True, help="Events before it")
@click.option("-A", "--after", default=10, type=count_option, metavar="N", show_default=True, help="Events after it")
@click.option("--all", "all_workers", is_flag=True, help="Events of all workers, not only of the same worker")
@service_option
@source_option
@form_options
def context(
    event: str, before: int, after: int, all_workers: bool, service: str | None, source: str | None, form: Form | None
) -> int:  # fmt: skip
    """Show the events before and after EVENT: an event id, or the id of a request (its last event).

    Default: events of the same worker. With --service: events of all workers of this service."""
    events = open_source(source)
    records = events.get(event).records
    if not records:
        talk(f"nothing found: no event, request or trace has the id {event!r}")
        return NOTHING
    event_id = str(records[-1]["event.id"]) if "event.id" in records[-1] else event
    if service:
        result = around(events, event_id, before, after, True, service)
    else:
        result = events.context(event_id, before, after, all_workers)
    if result.cut:
        talk("the result is too large and was truncated: use smaller numbers for --before and --after")
    if form is not None:
        show(result.records, (), form)
        return 0
    rows = [{**record, "mark": glyph("▶", ">") if record.get("event.id") == event_id else " "} for record in result.records]
    show(rows, (MARK, *event_columns()), form)
    return 0
