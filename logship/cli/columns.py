"""The columns of the tables that several commands show: events, workers, requests."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from logship.cli.output import note
from logship.cli.rows import Form, plain
from logship.cli.terminal.style import status_style
from logship.cli.terminal.table import Column
from logship.cli.times import moment_cell, zone_name
from logship.forensics.states import request_state, worker_state
from logship.search.units import duration

SLOW_NS = 10**9


class HasService(Protocol):
    """A row that belongs to one service."""

    @property
    def service(self) -> str: ...


def event_columns() -> tuple[Column, ...]:
    """Return the columns of an event; the heading of its time names the time zone."""
    return (
        Column(f"Time ({zone_name()})", "@timestamp", moment_cell, style=lambda _: "dim"),
        Column("Service", "service.name", keep=3),
        Column("Slot", "logship.worker.slot", right=True, keep=1, style=lambda _: "cyan", least=2),
        Column("Level", "log.level", keep=2, least=7),
        Column("Status", "http.response.status_code", right=True, style=status_style, least=3),
        Column("Took", "event.duration", duration, right=True, style=_slow, least=7),
        Column("Error", "error.type", _class_name, keep=4, style=lambda _: "red"),
        Column("Message", "message", wrap=True, style=lambda _: ""),
    )


def _class_name(qualified: str) -> str:
    return qualified.rpartition(".")[2]


def _slow(ns: int | None) -> str:
    return "yellow" if ns and ns >= SLOW_NS else ""


def worker_columns(now_ns: int) -> tuple[Column, ...]:
    """Return the columns of a worker; times are shown as durations up to `now_ns`."""

    def since(ns: int) -> str:
        return duration(max(0, now_ns - ns) // 10**9 * 10**9) if now_ns - ns >= 10**9 else "0 s"

    return (
        Column("Service", "service"),
        Column("Worker", "node", style=lambda _: "cyan"),
        Column("State", "state", worker_state),
        Column("Run", "generation", right=True, keep=5),
        Column("Pid", "pid", right=True, keep=6),
        Column("Up", "up_since_ns", since, right=True, keep=7),
        Column("Requests", "requests", "{:,}".format, right=True, keep=9),
        Column("Per s", "requests_per_second", "{:,.1f}".format, right=True),
        Column("Share", "share", "{:.0%}".format, right=True, keep=3),
        Column("p50", "p50_ms", _milliseconds, right=True, keep=2),
        Column("p99", "p99_ms", _milliseconds, right=True),
        Column("Errors", "errors", "{:,}".format, right=True, style=lambda count: "red" if count else "dim"),
        Column("In flight", "in_flight", right=True, keep=1),
        Column("Max lag", "loop_lag_max_ns", duration, right=True, keep=4),
        Column("Dropped", "dropped", "{:,}".format, right=True, style=bad_count),
        Column("Seen", "last_seen_ns", lambda ns: f"{since(ns)} ago", right=True, keep=8),
    )


def _milliseconds(ms: float) -> str:
    return duration(ms * 1e6)


def bad_count(count: int) -> str:
    """Return the style of a number that should be 0."""
    return "bold red" if count else "dim"


def request_columns() -> tuple[Column, ...]:
    """Return the columns of a running or interrupted request."""
    return (
        Column("State", "state", request_state),
        Column(f"Started ({zone_name()})", "began_ns", moment_cell, keep=2, style=lambda _: "dim"),
        Column("Age", "age_ns", duration, right=True),
        Column("Service", "service"),
        Column("Worker", "node", keep=1, style=lambda _: "cyan"),
        Column("Pid", "pid", right=True, keep=3),
        Column("Id", "id", keep=4),
        Column("Request", "what", wrap=True, style=lambda _: ""),
    )


def with_service(columns: Sequence[Column], rows: Sequence[HasService]) -> list[Column]:
    """Return the columns without that of the service if all rows have the same."""
    several = len({row.service for row in rows}) > 1
    return [column for column in columns if column.name != "service" or several]


def worker_rows(values: Iterable[object], form: Form | None) -> list[dict[str, Any]]:
    """Return values with a "node" as rows. Supervisors have no node: tables name them by service and process.

    On a terminal, a host and instance that all workers share is shown once, above the table."""
    rows = [plain(value) for value in values]
    if form is not None:
        return rows
    shared = {row["node"].rpartition("/")[0] for row in rows if row["node"]}
    if len(shared) == 1 and sys.stdout.isatty():
        note(f"workers of {shared.pop()}")
        rows = [{**row, "node": row["node"].rpartition("/")[2]} for row in rows]
    return [{**row, "node": row["node"] or f"{row['service'] or 'process'} {row['pid'] or ''}".strip()} for row in rows]
