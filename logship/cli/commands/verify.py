"""`logship verify`."""

import time
from typing import Any

import click

from logship.cli.columns import bad_count, with_service, worker_rows
from logship.cli.options import Window, kql_argument, make_query, source_option, window_options
from logship.cli.output import NOTHING, UNKNOWN, talk
from logship.cli.rows import Form, form_options, show
from logship.cli.source import hint, nothing_found, open_source
from logship.cli.states import worker_state
from logship.cli.terminal.table import Column
from logship.search.units import plural

COLUMNS = (
    Column("Service", "service"),
    Column("Worker", "node", style=lambda _: "cyan"),
    Column("Run", "generation", right=True, keep=1),
    Column("State", "state", worker_state, keep=2),
    Column("Stored", "stored", "{:,}".format, right=True, keep=3),
    Column("Missing", "missing", "{:,}".format, right=True, style=bad_count),
    Column("Verdict", "finding"),
    Column("Details", "sentence", wrap=True, style=lambda _: ""),
)


@click.command()
@kql_argument
@window_options
@source_option
@form_options
def verify(kql: str, source: str | None, form: Form | None, **window: Any) -> int:
    """Check that every emitted event was stored.

    Exit status: 0 if all events of every worker are stored, 1 if events are missing, duplicated or conflicting, 4 if the
    check cannot tell."""
    from logship.forensics.verify import overall, set_aside
    from logship.forensics.verify import verify as report

    query = make_query(Window(kql, **window))
    store = open_source(source)
    verdicts = report(store, query, time.time_ns())
    if form is None:
        verdicts.sort(key=lambda verdict: (verdict.node, verdict.generation or 0))
    count = show(worker_rows(verdicts, form), with_service(COLUMNS, verdicts), form)
    hint(store, query)
    if not count:
        talk(nothing_found(store, query))
        return NOTHING
    outcome = overall(verdicts, set_aside(store, query))
    if form is None:
        stored = sum(verdict.stored for verdict in verdicts)
        talk(f"{outcome}: {plural(stored, 'event')} of {plural(len(verdicts), 'run')} stored")
    return {"complete": 0, "unknown": UNKNOWN}.get(outcome, NOTHING)
