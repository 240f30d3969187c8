"""`logship patterns`."""

import time
from typing import Any

import click

from logship.cli.options import (
    Window,
    baseline_option,
    kql_argument,
    make_query,
    source_option,
    until_now,
    window_options,
)
from logship.cli.output import NOTHING, note, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import hint, nothing_found, open_source
from logship.cli.terminal.table import Column
from logship.cli.times import zone

STYLES = {"new": "bold red", "more": "yellow", "rarer": "cyan", "gone": "cyan"}
COLUMNS = (
    Column("Change", "change", style=lambda change: STYLES.get(change, "dim")),
    Column("Events", "events", "{:,}".format, right=True),
    Column("Per min", "events_per_minute", "{:,.3g}".format, right=True, keep=1),
    Column("Before", "baseline_per_minute", "{:,.3g}".format, right=True),
    Column("Pattern", "pattern", wrap=True, style=lambda _: ""),
    Column("KQL", "kql", wrap=True, keep=2, style=lambda _: "dim"),
)


@click.command()
@kql_argument
@window_options
@baseline_option
@click.option("--limit", default=30, type=click.IntRange(1), metavar="N", show_default=True, help="Show N patterns")
@source_option
@form_options
def patterns(kql: str, baseline: str, limit: int, source: str | None, form: Form | None, **window: Any) -> int:  # fmt: skip
    """Group log messages into patterns, and show which are new, gone, more frequent or rarer.

    Requests and heartbeats are not log messages. Messages with a recorded template are grouped by it, others by their words;
    <*> stands for what varies. Significant changes come first, then the most frequent patterns. Without --last or --since: the
    last 15 minutes. Exit status: 0 with patterns, 1 without log messages."""
    from logship.forensics.compare.baseline import baseline as baseline_of
    from logship.forensics.patterns.report import report

    now_ns = time.time_ns()
    query = until_now(make_query(Window(kql, **window), default_last="15m"), now_ns)
    store = open_source(source)
    result = report(store, query, baseline_of(query, baseline, now_ns, zone()))
    shown = result.patterns if form is not None else result.patterns[:limit]
    show(map(plain, shown), COLUMNS, form)
    hint(store, query)
    if not result.patterns:
        talk(nothing_found(store, query))
        return NOTHING
    if len(shown) < len(result.patterns):
        note(f"only the first {limit} of {len(result.patterns)} patterns; for more use --limit N")
    talk(result.sentence)
    return 0 if result.events else NOTHING
