"""`logship count`."""

import sys
from typing import Any

import click

from logship.cli.options import Window, kql_argument, make_query, source_option, window_options
from logship.cli.output import NOTHING
from logship.cli.rows import Form, form_options, show
from logship.cli.source import hint, open_source
from logship.cli.terminal.table import Column


@click.command()
@kql_argument
@window_options
@source_option
@form_options
def count(kql: str, source: str | None, form: Form | None, **window: Any) -> int:
    """Count events."""
    query = make_query(Window(kql, **window))
    store = open_source(source)
    events = store.count(query)
    show([{"count": events}], (Column("Events", "count", number),), form)
    hint(store, query)
    return 0 if events else NOTHING


def number(value: int) -> str:
    """Return a count: with thousands separators on a terminal, without in a pipe."""
    return f"{value:,}" if sys.stdout.isatty() else str(value)
