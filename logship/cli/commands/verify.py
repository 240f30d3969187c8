"""`logship verify`."""

import time
from pathlib import Path
from typing import Any

import click

from logship.cli.columns import bad_count, with_service, worker_rows
from logship.cli.options import Window, kql_argument, make_query, source_option, window_options
from logship.cli.output import CHANGED, NOTHING, UNKNOWN, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import hint, nothing_found, open_source
from logship.cli.terminal.table import Column
from logship.forensics.states import worker_state
from logship.search.integrity import integrity, parse_anchors
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
@click.option("--anchor", metavar="FILE|TEXT", help="Also compare with what `logship anchor` printed")
@source_option
@form_options
def verify(kql: str, anchor: str | None, source: str | None, form: Form | None, **window: Any) -> int:
    """Check that every emitted event was stored, and that the store was not changed.

    Exit status: 0 if all events of every worker are stored, 1 if events are missing, duplicated or conflicting, 4 if the
    check cannot tell, 5 if the store was changed. The integrity of the store is judged as a whole; with --json it
    is in each line."""
    from logship.forensics.verify import overall, set_aside
    from logship.forensics.verify import verify as report

    query = make_query(Window(kql, **window))
    anchors = parse_anchors(_text(anchor)) if anchor else []
    store = open_source(source)
    verdicts = report(store, query, time.time_ns())
    if form is None:
        verdicts.sort(key=lambda verdict: (verdict.node, verdict.generation or 0))
    files = integrity(store, query, anchors)
    rows = worker_rows(verdicts, form)
    if form == "json":
        rows = [{**row, "integrity": plain(files)} for row in rows]
    count = show(rows, with_service(COLUMNS, verdicts), form)
    hint(store, query)
    outcome: str = overall(verdicts, set_aside(store, query)) if count else "none"
    if not count:
        talk(nothing_found(store, query))
    elif form is None:
        stored = sum(verdict.stored for verdict in verdicts)
        talk(f"{outcome}: {plural(stored, 'event')} of {plural(len(verdicts), 'run')} stored")
    if form is None or files.finding == "changed":
        talk(f"integrity {files.finding}: {files.sentence}")
    return CHANGED if files.finding == "changed" else {"complete": 0, "unknown": UNKNOWN}.get(outcome, NOTHING)


def _text(anchor: str) -> str:
    """The content of a file, or the text itself if there is no such file."""
    try:
        return Path(anchor).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return anchor
