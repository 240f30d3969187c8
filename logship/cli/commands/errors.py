"""`logship errors`."""

import time
from typing import Any

import click

from logship.cli.columns import with_service
from logship.cli.options import Window, kql_argument, make_query, source_option, until_now, window_options
from logship.cli.output import NOTHING, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import hint, nothing_found, open_source
from logship.cli.terminal.table import Column
from logship.cli.times import moment_cell, zone_name

LISTED = 3


def columns() -> tuple[Column, ...]:
    """The columns of the table; the headings of the times name their zone."""
    return (
        Column("Events", "events", "{:,}".format, right=True),
        Column("Service", "service"),
        Column("New in", "new_since", style=lambda _: "bold red"),
        Column("Exception", "type", style=lambda _: "red"),
        Column("Raised in", "culprit", wrap=True, style=lambda _: ""),
        Column("Message", "message", wrap=True, keep=1, style=lambda _: ""),
        Column("Routes", "routes", _listed, keep=2),
        Column("Workers", "workers", _listed, keep=3),
        Column("Versions", "versions", _listed, keep=5),
        Column(f"First ({zone_name()})", "first_seen_ns", moment_cell, keep=1, style=lambda _: "dim"),
        Column("Last", "last_seen_ns", moment_cell, keep=4, style=lambda _: "dim"),
        Column("KQL", "kql", wrap=True, keep=6, style=lambda _: "dim"),
    )


@click.command()
@kql_argument
@click.option("--trace", is_flag=True, help="Print an example of each stack trace, with library frames folded")
@window_options
@source_option
@form_options
def errors(kql: str, trace: bool, source: str | None, form: Form | None, **window: Any) -> int:
    """Group exceptions by class and by the function of the application that raised them.

    Each group has its count, first and last occurrence, routes, workers and versions. Groups that are new since the newest
    version of their service come first. Without --last or --since: the last 15 minutes. Exit status: 0 with exceptions, 1
    without."""
    from logship.forensics.error_groups.report import report

    now_ns = time.time_ns()
    query = until_now(make_query(Window(kql, **window), default_last="15m"), now_ns)
    store = open_source(source)
    result = report(store, query)
    show(map(plain, result.groups), with_service(columns(), result.groups), form)
    if trace and form is None:
        for group in result.groups:
            click.echo(f"\n{group.example}")
    hint(store, query)
    talk(result.sentence if result.groups else nothing_found(store, query))
    return 0 if result.groups else NOTHING


def _listed(values: list[str]) -> str:
    more = f" +{len(values) - LISTED}" if len(values) > LISTED else ""
    return ", ".join(value.rpartition("/")[2] or value for value in values[:LISTED]) + more
