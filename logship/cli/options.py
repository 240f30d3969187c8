"""Options that several commands share, and the query that they make."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from logship.cli.times import IN_UTC, moment, zone
from logship.errors import QuestionError
from logship.search.kql import equal, every, parse
from logship.search.query import Query
from logship.search.times import parse_time, span

F = TypeVar("F", bound=Callable[..., Any])
CA_FILE = "logship.ca_file"
SOURCES = "DIR|URL|elastic"
SOURCE_HELP = "Query this store, collector or Elasticsearch. Default: the local collector, else its store"


@dataclass(frozen=True, slots=True)
class Window:
    """The options of a query as they were typed."""

    kql: str = ""
    last: str | None = None
    since: str | None = None
    until: str | None = None
    slot: int | None = None
    service: str | None = None


def kql_argument(command: F) -> F:
    """Add the query; without it all events match."""
    return click.argument("kql", default="")(command)


def source_option(command: F) -> F:
    """Add --source, --ca-file and --utc."""
    command = click.option(
        "--ca-file",
        metavar="FILE",
        expose_value=False,
        callback=_remember_ca_file,
        help="CA certificates (PEM) for an https:// source",
    )(command)
    command = click.option("--source", metavar=SOURCES, help=SOURCE_HELP)(command)
    return utc_option(command)


def utc_option(command: F) -> F:
    """Add --utc."""
    return click.option(
        "--utc", is_flag=True, expose_value=False, callback=_remember_utc, help="Read and show times in UTC"
    )(command)


def window_options(command: F) -> F:
    """Add --last, --since, --until, --service and --slot."""
    return span_options(slot_option(command))


def slot_option(command: F) -> F:
    """Add --slot."""
    return click.option("--slot", type=click.IntRange(0), metavar="N", help="Only worker N (0, 1, 2, ...)")(command)


def service_option(command: F) -> F:
    """Add --service."""
    return click.option("--service", metavar="NAME", help="Only this service")(command)


def span_options(command: F) -> F:
    """Add --last, --since, --until and --service."""
    command = service_option(command)
    for option in (
        click.option("--until", metavar="TIME", help="End time; same formats as --since"),
        click.option("--since", metavar="TIME", help="Start time: 14:03, 'yesterday 14:00', 2026-11-20T14:03Z"),
        click.option("--last", metavar="DURATION", help="Look back this far: 15m, 2h, 1d"),
    ):
        command = option(command)
    return command


def baseline_option(command: F) -> F:
    """Add --baseline."""
    return click.option(
        "--baseline",
        default="preceding",
        metavar="NAME|SINCE..UNTIL",
        help="Compare with this time: preceding, yesterday, last-week, or SINCE..UNTIL. Default: preceding",
    )(command)


def until_now(query: Query, now_ns: int) -> Query:
    """Return the query with an end: now, unless it has one."""
    return replace(query, until_ns=now_ns) if query.until_ns is None else query


def make_query(window: Window, default_last: str | None = None) -> Query:
    """Return the query of these options as of now. QuestionError names the option that is not valid."""
    now_ns = time.time_ns()
    remember_kql(window.kql)
    if window.last and window.since:
        raise QuestionError("--last and --since both set the start time; use one of them")
    until_ns = parse_time(window.until, now_ns, zone()) if window.until else None
    since_ns = parse_time(window.since, now_ns, zone()) if window.since else None
    last = window.last or (default_last if since_ns is None else None)
    if last:
        since_ns = (until_ns or now_ns) - span(last)
    if since_ns is not None and until_ns is not None and until_ns <= since_ns:
        start = f"--since {window.since or window.last} ({moment(since_ns)[:19]})"
        raise QuestionError(f"--until {window.until} is {moment(until_ns)[:19]}, which is not after {start}")
    slot = equal("logship.worker.slot", window.slot) if window.slot is not None else None
    service = equal("service.name", window.service) if window.service else None
    return Query(every(parse(window.kql), service, slot), since_ns, until_ns)


def remember_kql(text: str) -> None:
    """Keep the query of this command for an error message that points at a character of it."""
    context = click.get_current_context(silent=True)
    if context is not None and isinstance(context.obj, dict):
        context.obj["kql"] = text


def given_ca_file() -> str | None:
    """Return the value of --ca-file, None without it."""
    context = click.get_current_context(silent=True)
    path: str | None = context.find_root().meta.get(CA_FILE) if context is not None else None
    return path


def _remember_ca_file(context: click.Context, _: click.Parameter, path: str | None) -> None:
    context.find_root().meta[CA_FILE] = path


def _remember_utc(context: click.Context, _: click.Parameter, utc: bool) -> None:
    if utc:
        context.find_root().meta[IN_UTC] = True
