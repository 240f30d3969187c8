"""`logship rollup`."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from logship.cli.options import utc_option
from logship.cli.output import NOTHING, talk
from logship.cli.rows import Form, form_options, show
from logship.cli.terminal.progress import Progress
from logship.cli.terminal.table import Column
from logship.cli.times import moment, moment_cell, zone, zone_name
from logship.errors import QuestionError
from logship.search.hourly import HOUR_NS, KEPT_NS
from logship.search.query import Hour
from logship.search.times import rfc3339, span
from logship.search.units import plural
from logship.settings import load

if TYPE_CHECKING:
    from logship.elastic.rollup import RollupDay, RollupPlan

COLUMNS = (
    Column("Result", "result"),
    Column("Service", "service", style=lambda _: ""),
    Column("Hours", "hours", right=True),
    Column("First hour", "first", moment_cell),
    Column("Last hour", "last", moment_cell),
    Column("Note", "note", wrap=True, style=lambda _: "dim"),
)
LATE = "events arrived after the totals were stored, which do not change"
GONE = "cannot be computed: there are no events of this time"


@click.command("rollup")
@click.option("--last", metavar="DURATION", help="Compare the hours of this time. Default: all of which there are events")
@click.option("--delay", default="1d", metavar="DURATION", help="Wait for late events after the end of an hour. Default: 1d")
@utc_option
@form_options
def rollup(last: str | None, delay: str, form: Form | None) -> int:
    """Store totals of each past hour in Elasticsearch, which are kept for longer than its events.

    `logship capacity --source elastic` uses them where the events are gone. Run this from cron or a timer, at least once within
    the retention of the events. It stores each hour and service once, however often it runs, and completes what an interrupted
    run has left. `logship up` keeps such totals without this command."""
    from logship.elastic import mapping, setup
    from logship.elastic.client import connect
    from logship.elastic.rollup import plan_rollup, write_totals
    from logship.elastic.source import ElasticSource

    delay_ns, last_ns = span(delay), span(last) if last else None
    if last_ns is not None and not delay_ns < last_ns <= KEPT_NS:
        raise QuestionError(f"invalid --last {last!r}: it must be longer than --delay {delay}, and at most 730d")
    settings = load()
    setup.stream_name(settings)
    with contextlib.closing(ElasticSource(settings, zone=zone())) as source, connect(settings) as client:
        plan = plan_rollup(source, time.time_ns(), delay_ns, last_ns)
        if plan.oldest_ns is None:
            talk(f"nothing to compute: {mapping.stream(settings.elastic_namespace)} has no events")
            return NOTHING
        days, progress = [], Progress()
        for day in write_totals(client, settings, source, plan):
            days.append(day)
            progress.update(f"rollup: {plural(sum(len(one.stored) for one in days), 'total')}, {moment(day.start_ns)[:10]}")
    show(_rows(plan, days), COLUMNS, form)
    compared = f"{moment(plan.since_ns)[:16]} to {moment(plan.until_ns)[:16]} {zone_name(plan.until_ns)}"
    progress.end(f"rollup: {_summary(days)}", f"; compared with the events from {compared}")
    return 0


def _summary(days: "list[RollupDay]") -> str:
    stored, others = sum(len(day.stored) for day in days), sum(day.by_others for day in days)
    return f"{plural(stored, 'total')} stored" + (f" ({others:,} of them by another run)" if others else "")


def _rows(plan: "RollupPlan", days: "list[RollupDay]") -> list[dict[str, Any]]:
    """One row for each service with new totals, or with late events, and one for the time of which there are no events."""
    rows = _by_service("stored", (hour for day in days for hour in day.stored), None)
    rows += _by_service("late", (hour for day in days for hour in day.late), LATE)
    if plan.gone is not None:
        since_ns, until_ns = plan.gone
        rows.append(_row("gone", "", (until_ns - since_ns) // HOUR_NS, since_ns, until_ns - HOUR_NS, GONE))
    return rows


def _by_service(result: str, hours: Iterable[Hour], note: str | None) -> list[dict[str, Any]]:
    starts: defaultdict[str, list[int]] = defaultdict(list)
    for hour in hours:
        starts[hour.service].append(hour.start_ns)
    return [_row(result, name, len(ns), min(ns), max(ns), note) for name, ns in sorted(starts.items())]


def _row(result: str, service: str, hours: int, first_ns: int, last_ns: int, note: str | None) -> dict[str, Any]:
    return {
        "result": result, "service": service, "hours": hours, "first": rfc3339(first_ns), "last": rfc3339(last_ns), "note": note,
    }  # fmt: skip
