"""The commands that ask: search, tail, workers, inflight, verify."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import click

from logship.cli.show import Column, Form, duration, form_options, plain, show, talk
from logship.cli.source import (
    Window,
    living_requests,
    local_zone,
    make_query,
    nothing_found,
    open_source,
    source_option,
    window_options,
)
from logship.errors import SourceError
from logship.search.query import Page, Query, Record, Rows, Source
from logship.search.times import from_rfc3339

NOTHING = 1
# Newest last means that all are in memory at once; more is asked for with --limit 0, oldest first, a page at a time.
LIMIT_ROWS = 10_000
PAGE_ROWS = 1_000
TAIL_SECONDS = 0.3
RETRY_SECONDS = 1.0


def moment(value: Any) -> str:
    """A time in the zone of whoever reads it, to the millisecond; on a terminal without the date if it is today's."""
    ns = value if isinstance(value, int) else from_rfc3339(str(value))
    when, zone = ns // 10**9, local_zone()
    date, clock = (f"{datetime.fromtimestamp(when, zone):{form}}" for form in ("%Y-%m-%d", "%H:%M:%S"))
    today = sys.stdout.isatty() and date == f"{datetime.now(zone):%Y-%m-%d}"
    return f"{'' if today else f'{date} '}{clock}.{ns % 10**9 // 10**6:03d}"


EVENT = (
    Column("Time", "@timestamp", moment),
    Column("Service", "service.name"),
    Column("Slot", "logship.worker.slot", right=True),
    Column("Level", "log.level"),
    Column("Status", "http.response.status_code", right=True),
    Column("Took", "event.duration", duration, right=True),
    Column("Message", "message", wrap=True),
)
WORKER = (
    Column("Worker", "node"),
    Column("State", "state"),
    Column("Life", "generation", right=True),
    Column("Process", "pid", right=True),
    Column("Requests", "requests", "{:,}".format, right=True),
    Column("a second", "requests_per_second", "{:,.1f}".format, right=True),
    Column("p50", "p50_ms", lambda ms: duration(ms * 1e6), right=True),
    Column("p99", "p99_ms", lambda ms: duration(ms * 1e6), right=True),
    Column("Errors", "errors", "{:,}".format, right=True),
    Column("In flight", "in_flight", right=True),
    Column("Loop lag", "loop_lag_max_ns", duration, right=True),
    Column("Dropped", "dropped", "{:,}".format, right=True),
)
REQUEST = (
    Column("State", "state"),
    Column("Began", "began_ns", moment),
    Column("Age", "age_ns", duration, right=True),
    Column("Worker", "node"),
    Column("Process", "pid", right=True),
    Column("Id", "id"),
    Column("Request", "what", wrap=True),
)
VERDICT = (
    Column("Worker", "node"),
    Column("Life", "generation", right=True),
    Column("State", "state"),
    Column("Stored", "stored", "{:,}".format, right=True),
    Column("Missing", "missing", "{:,}".format, right=True),
    Column("Finding", "finding"),
    Column("", "sentence", wrap=True),
)


@click.command()
@click.argument("kql", default="")
@window_options
@click.option(
    "--limit", default=100, type=click.IntRange(0, LIMIT_ROWS), metavar="N", help="The newest N; 0: all of them."
)
@source_option
@form_options
def search(kql: str, limit: int, source: str | None, form: Form | None, **window: Any) -> int:
    """Find events with KQL, newest last.

    Without --last or --since everything that is kept is searched."""
    query = make_query(Window(kql, **window))
    asked = open_source(source)
    if limit:
        rows = asked.search(query, Page(limit))
        found = show(rows.records[::-1], EVENT, form)
        if rows.next is not None:
            talk(f"the newest {limit}; --limit takes another number, and 0 for all")
    else:
        found = show(_all(asked, query), EVENT, form)
    if not found:
        talk(nothing_found(asked, query))
    return 0 if found else NOTHING


@click.command()
@click.argument("kql", default="")
@click.option("--slot", type=click.IntRange(0), metavar="N", help="Only the worker with this number.")
@source_option
@click.option("--json", "form", flag_value="json", help="One JSON object a line.")
def tail(kql: str, slot: int | None, source: str | None, form: Form | None) -> int:
    """Show events as they arrive, until interrupted."""
    query = make_query(Window(kql, slot=slot))
    asked = open_source(source)
    key, away = asked.tail(query, None).next, False
    try:
        while True:
            try:
                rows = asked.tail(query, key, PAGE_ROWS)
            except SourceError as error:
                if not away:
                    talk(f"{error}; trying again")
                away = True
                time.sleep(RETRY_SECONDS)
                continue
            if away:
                talk("answering again")
            key, away = rows.next, False
            show(rows.records, EVENT, form or "lines")
            sys.stdout.flush()
            if len(rows.records) < PAGE_ROWS:
                time.sleep(TAIL_SECONDS)
    except KeyboardInterrupt:
        return 0


@click.command()
@click.option("--last", metavar="SPAN", help="Requests of so far back: 15m (the default), 2h, 1d.")
@click.option("--since", metavar="T", help="Requests from then.")
@click.option("--until", metavar="T", help="Requests up to then.")
@source_option
@form_options
def workers(source: str | None, form: Form | None, **window: Any) -> int:
    """List the workers: who they are, what they did, what they lost."""
    from logship.forensics.workers import workers as report

    query = make_query(Window(**window), default_last="15m")
    asked = open_source(source)
    now_ns = time.time_ns()
    rows = report(asked, query.since_ns or 0, query.until_ns if query.until_ns is not None else now_ns)
    if not show(map(plain, rows), WORKER, form):
        talk(nothing_found(asked, replace(query, where=None)))
        return NOTHING
    return 0


@click.command()
@click.argument("worker", default="")
@window_options
@source_option
@form_options
def inflight(worker: str, source: str | None, form: Form | None, **window: Any) -> int:
    """List requests without an end: running now on this machine, or lost with their worker.

    WORKER is a slot, a node, a pid or an incarnation."""
    from logship.forensics.inflight import inflight as report

    query = make_query(Window(**window))
    now_ns, running = time.time_ns(), living_requests(source)
    try:
        rows = report(open_source(source), query, running, now_ns, worker)
    except SourceError as error:
        if not running:
            raise
        talk(f"{error}; showing what runs on this machine")
        rows = report(cast(Source, _Nobody()), query, running, now_ns, worker)
    if not show(map(plain, rows), REQUEST, form):
        talk("nothing is in flight, and no request was lost with its worker")
        return NOTHING
    return 0


@click.command()
@click.argument("kql", default="")
@window_options
@source_option
@form_options
def verify(kql: str, source: str | None, form: Form | None, **window: Any) -> int:
    """Subtract: did every event of every worker arrive?

    The status is 0 when all lives are complete, 1 when events are missing, duplicated or not yet known."""
    from logship.forensics.verify import overall
    from logship.forensics.verify import verify as report

    query = make_query(Window(kql, **window))
    asked = open_source(source)
    verdicts = report(asked, query, time.time_ns())
    if not show(map(plain, verdicts), VERDICT, form):
        talk(nothing_found(asked, query))
        return NOTHING
    finding = overall(verdicts)
    if form is None:
        talk(f"{finding}: {sum(one.stored for one in verdicts):,} events of {len(verdicts)} lives stored")
    return 0 if finding == "complete" else NOTHING


class _Nobody:
    """No source: with Fluent Bit as the agent there is none on this machine, and what runs can be seen all the same."""

    def search(self, query: Query, page: Page) -> Rows:
        return Rows([], None)


def _all(source: Source, query: Query) -> Iterator[Record]:
    page = Page(PAGE_ROWS, newest_first=False)
    while True:
        rows = source.search(query, page)
        yield from rows.records
        if rows.next is None:
            return
        page = replace(page, after=rows.next)
