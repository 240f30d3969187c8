"""`logship findings`."""

import time
from typing import Any

import click

from logship.cli.columns import with_service
from logship.cli.options import Window, kql_argument, make_query, source_option, window_options
from logship.cli.output import NOTHING, UNKNOWN, note, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import hint, open_source
from logship.cli.terminal.table import Column
from logship.cli.times import moment_cell, zone_name

STYLES = {"critical": "bold red", "warning": "yellow"}


def columns() -> tuple[Column, ...]:
    """The columns of the table; the heading of the time names its zone."""
    return (
        Column("Severity", "severity", style=lambda severity: STYLES.get(severity, "")),
        Column(f"Time ({zone_name()})", "since_ns", moment_cell, keep=1, style=lambda _: "dim"),
        Column("Service", "service"),
        Column("Finding", "sentence", wrap=True, style=lambda _: ""),
        Column("KQL", "kql", wrap=True, keep=2, style=lambda _: "dim"),
    )


@click.command()
@kql_argument
@window_options
@source_option
@form_options
def findings(kql: str, source: str | None, form: Form | None, **window: Any) -> int:
    """Show what stands out: crashes, slow or blocked workers, failing routes, unbalanced traffic, dropped events.

    Without --last or --since: the last 15 minutes. Exit status: 0 with findings, 1 if nothing stands out, 4 if nothing could be
    checked because no worker sent events."""
    from logship.forensics.standout import judge, observe

    query, now_ns = make_query(Window(kql, **window), default_last="15m"), time.time_ns()
    store = open_source(source)
    observed = observe(store, query, now_ns)
    result = judge(store, observed)
    count = show(map(plain, result.findings), with_service(columns(), result.findings), form)
    hint(store, query)
    if not count:
        talk(result.sentence)
    for sentence in result.not_judged:
        note(sentence)
    return 0 if count else NOTHING if observed.workers else UNKNOWN
