"""The commands that ask and answer with rows: search, tail, count, top, fields, context, workers, inflight, verify."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import click

from logship.cli.screen import control
from logship.cli.show import (
    Column,
    Form,
    bar,
    form_options,
    glyph,
    note,
    of_workers,
    plain,
    say,
    show,
    status_style,
    talk,
)
from logship.cli.source import (
    Window,
    hint,
    kql_argument,
    living_here,
    make_query,
    moment_cell,
    nothing_found,
    open_source,
    service_option,
    source_option,
    span_options,
    window_options,
    zone_name,
)
from logship.errors import SourceError
from logship.event.fields import BY_NAME
from logship.search.kql import text_of
from logship.search.pages import column_names, is_ahead, record_pages
from logship.search.query import Page, Query, Record, Source
from logship.search.shorthand import ALIASES, field_of
from logship.search.units import duration
from logship.settings import load

NOTHING, UNKNOWN = 1, 4
# Newest last means that all are in memory at once; more is asked for with --limit 0, oldest first, a page at a time.
LIMIT_ROWS = 10_000
PAGE_ROWS = 1_000
TAIL_SECONDS = 0.25
RETRY_SECONDS = 1.0
WATCH_SECONDS = 2.0
BAR_CELLS = 24
SHORT = {field: [name for name in ALIASES if ALIASES[name] == field] for field in ALIASES.values()}


def event_columns() -> tuple[Column, ...]:
    """An event as a row; the heading says in which zone its time is."""
    return (
        Column(f"Time ({zone_name()})", "@timestamp", moment_cell, style=lambda _: "dim"),
        Column("Service", "service.name", keep=3),
        Column("Slot", "logship.worker.slot", right=True, keep=1, style=lambda _: "cyan", least=2),
        Column("Level", "log.level", keep=2, least=7),
        Column("Status", "http.response.status_code", right=True, style=status_style, least=3),
        Column("Took", "event.duration", duration, right=True, style=_slow, least=6),
        Column("Error", "error.type", _last_part, keep=4, style=lambda _: "red"),
        Column("Message", "message", wrap=True, style=lambda _: ""),
    )


def _last_part(name: str) -> str:
    """The class without its module."""
    return name.rpartition(".")[2]


def _slow(ns: int | None) -> str:
    return "yellow" if ns and ns >= 1e9 else ""


def worker_columns(now_ns: int) -> tuple[Column, ...]:
    """A worker as a row, its times as spans up to now."""

    def since(ns: int) -> str:
        seconds = max(0, now_ns - ns) // 10**9
        return duration(seconds * 10**9) if seconds >= 60 else f"{seconds} s"

    return (
        Column("Service", "service", keep=0),
        Column("Worker", "node", style=lambda _: "cyan"),
        Column("State", "state"),
        Column("Life", "generation", right=True, keep=5),
        Column("Pid", "pid", right=True, keep=6),
        Column("Up", "up_since_ns", since, right=True, keep=7),
        Column("Requests", "requests", "{:,}".format, right=True, keep=9),
        Column("Per s", "requests_per_second", "{:,.1f}".format, right=True),
        Column("Share", "share", "{:.0%}".format, right=True, keep=3),
        Column("p50", "p50_ms", lambda ms: duration(ms * 1e6), right=True, keep=2),
        Column("p99", "p99_ms", lambda ms: duration(ms * 1e6), right=True),
        Column("Errors", "errors", "{:,}".format, right=True, style=lambda n: "red" if n else "dim"),
        Column("In flight", "in_flight", right=True, keep=1),
        Column("Max lag", "loop_lag_max_ns", duration, right=True, keep=4),
        Column("Drops", "dropped", "{:,}".format, right=True, style=lambda n: "bold red" if n else "dim"),
        Column("Seen", "last_seen_ns", lambda ns: f"{since(ns)} ago", right=True, keep=8),
    )


def request_columns() -> tuple[Column, ...]:
    return (
        Column("State", "state"),
        Column(f"Began ({zone_name()})", "began_ns", moment_cell, keep=2, style=lambda _: "dim"),
        Column("Age", "age_ns", duration, right=True),
        Column("Service", "service"),
        Column("Worker", "node", keep=1, style=lambda _: "cyan"),
        Column("Pid", "pid", right=True, keep=3),
        Column("Id", "id", keep=4),
        Column("Request", "what", wrap=True, style=lambda _: ""),
    )


VERDICT = (
    Column("Service", "service"),
    Column("Worker", "node", style=lambda _: "cyan"),
    Column("Life", "generation", right=True, keep=1),
    Column("State", "state", keep=2),
    Column("Stored", "stored", "{:,}".format, right=True, keep=3),
    Column("Missing", "missing", "{:,}".format, right=True, style=lambda n: "bold red" if n else "dim"),
    Column("Finding", "finding"),
    Column("In words", "sentence", wrap=True, style=lambda _: ""),
)
FIELD = (
    Column("Field", "name"),
    Column("Type", "type", style=lambda _: "dim"),
    Column("Events", "events", "{:,}".format, right=True),
    Column("Meaning", "sentence", wrap=True, keep=1, style=lambda _: "dim"),
    Column("Short name", "short", keep=2, style=lambda _: "cyan"),
)


class Served(Protocol):
    """A row that is of one service."""

    @property
    def service(self) -> str: ...


def named_services(columns: Sequence[Column], rows: Sequence[Served]) -> list[Column]:
    """The columns, with that of the service where the rows are of several; pipes have the same columns as before."""
    several = len({row.service for row in rows}) > 1
    return [column for column in columns if column.name != "service" or several]


@click.command()
@kql_argument
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
        found = show(rows.records[::-1], event_columns(), form)
        if rows.next is not None:
            note(f"the newest {len(rows.records)}; --limit takes another number, and 0 for all")
    else:
        heads = column_names(asked) if form == "csv" else None
        found = show(_all(asked, query), event_columns(), form or "lines", heads)
    if not found:
        talk(nothing_found(asked, query))
    hint(asked, query)
    return 0 if found else NOTHING


@click.command()
@kql_argument
@source_option
def kql(kql: str, source: str | None) -> int:
    """Print the query in full, as Kibana reads it: short names and values replaced, labels with their map.

    The labels are those that occur in the source; without a source each bare name is a label that is text."""
    from logship.search.kibana import for_kibana

    node = make_query(Window(kql)).where
    try:
        labels = {one.name for one in open_source(source).fields()} if node is not None else set()
    except SourceError as error:
        labels = set()
        note(f"{error}; which labels there are is not known")
    say(text_of(for_kibana(node, labels, time.time_ns())))
    return 0


@click.command()
@kql_argument
@click.option("--slot", type=click.IntRange(0), metavar="N", help="Only the worker with this number.")
@click.option(
    "-n", "--lines", default=10, type=click.IntRange(0, 1000), metavar="N", show_default=True, help="First the last N."
)
@service_option
@source_option
@click.option("--json", "form", flag_value="json", help="One JSON object a line.")
def tail(kql: str, slot: int | None, service: str | None, lines: int, source: str | None, form: Form | None) -> int:
    """Show events as they arrive, until interrupted.

    A collector that restarts is waited for, and what arrived meanwhile is shown."""
    query = make_query(Window(kql, slot=slot, service=service))
    asked = open_source(source)
    columns = event_columns()
    hint(asked, query)
    if form is None and sys.stdout.isatty():
        note(f"times in {zone_name()}; Ctrl-C ends")
    key: str | None = asked.tail(query, None).next
    # The key was asked for first: what arrives in between is in both answers, and shown once.
    before = asked.search(query, Page(lines)).records[::-1] if lines else []
    shown = {record.get("event.id") for record in before} - {None}
    show(before, columns, form or "lines")
    try:
        for records in _arriving(asked, query, key):
            show((one for one in records if one.get("event.id") not in shown), columns, form or "lines")
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
    return 0


def _arriving(asked: Source, query: Query, key: str | None) -> Iterator[list[Record]]:
    """Batches of new events for ever; says on stderr when nobody answers, and when something was left out."""
    away = False
    while True:
        try:
            if away and is_ahead(key, now := asked.tail(query, None).next):
                key = now
                talk("skipped: another store answers here now; events from now on")
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
        yield rows.records
        if len(rows.records) < PAGE_ROWS:
            time.sleep(TAIL_SECONDS)


@click.command()
@kql_argument
@window_options
@source_option
@form_options
def count(kql: str, source: str | None, form: Form | None, **window: Any) -> int:
    """Count events."""
    query = make_query(Window(kql, **window))
    asked = open_source(source)
    events = asked.count(query)
    show([{"count": events}], (Column("Events", "count", _number),), form)
    hint(asked, query)
    return 0 if events else NOTHING


def _field_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    return [name for name in (*ALIASES, *BY_NAME) if name.startswith(begun)]


@click.command()
@click.argument("field", shell_complete=_field_names)
@kql_argument
@click.option("--limit", default=20, type=click.IntRange(1, LIMIT_ROWS), metavar="N", show_default=True)
@window_options
@source_option
@form_options
def top(field: str, kql: str, limit: int, source: str | None, form: Form | None, **window: Any) -> int:
    """List the most frequent values of FIELD, with their share.

    The share is that of the events that have the field. For example: logship top http.route
    'http.response.status_code >= 500'"""
    query = make_query(Window(kql, **window))
    asked = open_source(source)
    found = asked.top(query, field, limit)
    rows = [{"value": one.value, "events": one.events, "share": one.share} for one in found]
    if form is None:
        rows = [{**row, "bar": one.events / found[0].events} for row, one in zip(rows, found, strict=True)]
    columns = [
        Column(field_of(field), "value", wrap=True, style=lambda _: ""),
        Column("Events", "events", _number, right=True),
        Column("Share", "share", "{:.1%}".format, right=True),
    ]
    if sys.stdout.isatty():
        columns.append(Column("", "bar", lambda part: bar(part, BAR_CELLS), keep=1, style=lambda _: "cyan"))
    shown = show(rows, columns, form)
    if not shown:
        talk(nothing_found(asked, query))
    hint(asked, query)
    if not shown:
        return NOTHING
    if len(found) == limit and form is None:
        note(f"the first {limit}; --limit takes another number")
    return 0


def _number(value: int) -> str:
    """With commas for eyes, without for programs."""
    return f"{value:,}" if sys.stdout.isatty() else str(value)


@click.command()
@click.argument("part", default="")
@source_option
@form_options
def fields(part: str, source: str | None, form: Form | None) -> int:
    """List the fields that occur, with how many events have them. PART narrows them to names that contain it."""
    asked = open_source(source)
    rows = [
        {
            **plain(one),
            "short": ", ".join(SHORT[one.name]) if one.name in SHORT else None,
            "sentence": BY_NAME[one.name].sentence if one.name in BY_NAME else "of the application",
        }
        for one in asked.fields()
        if part.lower() in one.name.lower() or field_of(part.lower()) == one.name
    ]
    if not show(rows, FIELD, form):
        talk(f"nothing: no field that occurs contains {part!r}" if part else "nothing: the store is empty")
        return NOTHING
    return 0


@click.command()
@click.argument("event")
@click.option("-B", "--before", default=10, type=click.IntRange(0, LIMIT_ROWS), metavar="N", show_default=True)
@click.option("-A", "--after", default=10, type=click.IntRange(0, LIMIT_ROWS), metavar="N", show_default=True)
@click.option("--all", "everybody", is_flag=True, help="Of all workers, not only of the one that it happened in.")
@source_option
@form_options
def context(event: str, before: int, after: int, everybody: bool, source: str | None, form: Form | None) -> int:
    """Show what happened before and after EVENT, an event id (or a request's, then its last event)."""
    asked = open_source(source)
    records = asked.get(event).records
    if not records:
        talk(f"nothing: no event, request or trace has the id {event!r}")
        return NOTHING
    here = str(records[-1]["event.id"]) if "event.id" in records[-1] else event
    excerpt = asked.context(here, before, after, everybody)
    around = excerpt.records
    if excerpt.cut:
        talk("the result is too large and was cut: ask for fewer events with --before and --after")
    if form is not None:
        show(around, (), form)
        return 0
    mark = Column("", "mark", style=lambda _: "bold magenta")
    rows = [{**one, "mark": glyph("▶", ">") if one.get("event.id") == here else " "} for one in around]
    show(rows, (mark, *event_columns()), form)
    return 0


@click.command()
@span_options
@click.option("--watch", is_flag=True, help=f"Again every {WATCH_SECONDS:g} seconds, until interrupted.")
@source_option
@form_options
def workers(watch: bool, source: str | None, form: Form | None, **window: Any) -> int:
    """List the workers: who they are, what they did, what they lost. Without a span: the last 15 minutes."""
    make_query(Window(**window), default_last="15m")
    asked = open_source(source)
    if not watch:
        found = _workers(asked, form, window)
        if not found:
            talk(nothing_found(asked, make_query(Window(**window), default_last="15m")))
        return 0 if found else NOTHING
    try:
        while True:
            if form is None:
                control("\x1b[H\x1b[2J")
            try:
                _workers(asked, form, window)
            except SourceError as error:
                talk(f"{error}; trying again")
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0


def _workers(asked: Source, form: Form | None, window: dict[str, Any]) -> int:
    from logship.forensics.workers import workers as report

    query, now_ns = make_query(Window(**window), default_last="15m"), time.time_ns()
    until_ns = query.until_ns if query.until_ns is not None else now_ns
    rows = report(asked, query.since_ns or 0, until_ns, query.where)
    return show(of_workers(rows, form), named_services(worker_columns(now_ns), rows), form)


@click.command()
@click.argument("worker", default="")
@window_options
@source_option
@form_options
def inflight(worker: str, source: str | None, form: Form | None, **window: Any) -> int:
    """List requests without an end: running now, or lost with their worker.

    WORKER is a slot, a node, a pid or an incarnation. Running requests are visible on the machine of the workers and
    through its collector; workers whose running requests are not visible are named, and the status is then 4 instead of 1."""
    from logship.forensics.inflight import report, running

    query, now_ns = make_query(Window(**window)), time.time_ns()
    here = living_here(load({"source": source}))
    try:
        told = report(open_source(source), query, here, now_ns, worker)
    except SourceError as error:
        rows = running((cell for one in here for cell in one.cells()), query, now_ns, worker)
        if not rows:
            raise
        talk(f"{error}; showing what runs on this machine")
        show(map(plain, rows), named_services(request_columns(), rows), form)
        return 0
    shown = show(map(plain, told.requests), named_services(request_columns(), told.requests), form)
    if told.sentence:
        (note if shown else talk)(told.sentence)
    return 0 if shown else UNKNOWN if told.not_visible else NOTHING


@click.command()
@kql_argument
@window_options
@source_option
@form_options
def verify(kql: str, source: str | None, form: Form | None, **window: Any) -> int:
    """Check that every emitted event was stored.

    Exit status: 0 if every worker is complete, 1 if events are missing, duplicated or contradict each other, 4 if it
    cannot be known."""
    from logship.forensics.verify import overall, set_aside
    from logship.forensics.verify import verify as report

    query = make_query(Window(kql, **window))
    asked = open_source(source)
    verdicts = report(asked, query, time.time_ns())
    if form is None:
        verdicts.sort(key=lambda one: (one.node, one.generation or 0))
    shown = show(of_workers(verdicts, form), named_services(VERDICT, verdicts), form)
    hint(asked, query)
    if not shown:
        talk(nothing_found(asked, query))
        return NOTHING
    finding = overall(verdicts, set_aside(asked, query))
    if form is None:
        talk(f"{finding}: {sum(one.stored for one in verdicts):,} events of {len(verdicts)} lives stored")
    return {"complete": 0, "unknown": UNKNOWN}.get(finding, NOTHING)


def _all(source: Source, query: Query) -> Iterator[Record]:
    for records in record_pages(source, query, PAGE_ROWS):
        yield from records
