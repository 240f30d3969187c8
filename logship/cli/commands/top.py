"""`logship top`."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from logship.cli.commands.count import number
from logship.cli.options import Window, kql_argument, make_query, source_option, window_options
from logship.cli.output import NOTHING, note, talk
from logship.cli.rows import Form, form_options, show
from logship.cli.source import hint, nothing_found, open_source
from logship.cli.terminal.table import Column
from logship.cli.terminal.text import bar
from logship.event.fields import BY_NAME
from logship.search.query import Share
from logship.search.shorthand import ALIASES, field_of

LIMIT_VALUES = 10_000
BAR_CELLS = 24


def _field_names(context: click.Context, parameter: click.Parameter, prefix: str) -> list[str]:
    return [name for name in (*ALIASES, *BY_NAME) if name.startswith(prefix)]


@click.command()
@click.argument("field", shell_complete=_field_names)
@kql_argument
@click.option(
    "--limit", default=20, type=click.IntRange(1, LIMIT_VALUES), metavar="N", show_default=True, help="Show N values"
)
@window_options
@source_option
@form_options
def top(field: str, kql: str, limit: int, source: str | None, form: Form | None, **window: Any) -> int:
    """List the most frequent values of FIELD, with their share.

    The share relates to the events that have the field. Example: logship top http.route
    'http.response.status_code >= 500'"""
    query = make_query(Window(kql, **window))
    events = open_source(source)
    values = events.top(query, field, limit)
    show(_rows(values, form), _columns(field), form)
    if not values:
        talk(nothing_found(events, query))
    hint(events, query)
    if not values:
        return NOTHING
    if len(values) == limit and form is None:
        note(f"only the first {limit}; for more use --limit N")
    return 0


def _rows(values: Sequence[Share], form: Form | None) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"value": value.value, "events": value.events, "share": value.share} for value in values
    ]
    if form is None:
        for row, value in zip(rows, values, strict=True):
            row["bar"] = value.events / values[0].events
    return rows


def _columns(field: str) -> list[Column]:
    columns = [
        Column(field_of(field), "value", wrap=True, style=lambda _: ""),
        Column("Events", "events", number, right=True),
        Column("Share", "share", "{:.1%}".format, right=True),
    ]
    if sys.stdout.isatty():
        columns.append(Column("", "bar", lambda part: bar(part, BAR_CELLS), keep=1, style=lambda _: "cyan"))
    return columns
