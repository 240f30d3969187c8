"""`logship workers`."""

import sys
import time
from typing import Any

import click

from logship.cli.columns import with_service, worker_columns, worker_rows
from logship.cli.options import Window, make_query, source_option, span_options
from logship.cli.output import NOTHING, talk
from logship.cli.rows import Form, form_options, show
from logship.cli.source import nothing_found, open_source
from logship.cli.terminal.screen import control
from logship.errors import SourceError
from logship.search.query import Query, Source

WATCH_SECONDS = 2.0
DEFAULT_LAST = "15m"
CLEAR = "\x1b[H\x1b[2J"


@click.command()
@span_options
@click.option("--watch", is_flag=True, help=f"Repeat every {WATCH_SECONDS:g} seconds until Ctrl-C")
@source_option
@form_options
def workers(watch: bool, source: str | None, form: Form | None, **window: Any) -> int:
    """List the workers with their load, latency, errors and dropped events. Default: the last 15 minutes."""
    options = Window(**window)
    query = make_query(options, DEFAULT_LAST)
    store = open_source(source)
    if watch:
        return _watch(store, options, form)
    if _show(store, query, form):
        return 0
    talk(nothing_found(store, query))
    return NOTHING


def _watch(store: Source, options: Window, form: Form | None) -> int:
    try:
        while True:
            if form is None:
                control(CLEAR)
            try:
                _show(store, make_query(options, DEFAULT_LAST), form)
            except SourceError as error:
                talk(f"{error}; retrying")
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0


def _show(store: Source, query: Query, form: Form | None) -> int:
    from logship.forensics.workers import workers as report

    now_ns = time.time_ns()
    until_ns = query.until_ns if query.until_ns is not None else now_ns
    rows = report(store, query.since_ns or 0, until_ns, query.where)
    return show(worker_rows(rows, form), with_service(worker_columns(now_ns), rows), form)
