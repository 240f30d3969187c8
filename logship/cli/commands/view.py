"""`logship view`: a view of the catalogue as a table, a chart, or rows of events."""

import difflib
import time
from collections.abc import Sequence
from typing import Any, cast

import click

from logship.cli import views as drawing
from logship.cli.options import Window, kql_argument, make_query, source_option, window_options
from logship.cli.output import NOTHING, note, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import hint, nothing_found, open_source
from logship.cli.terminal.chart import step_ns
from logship.cli.terminal.table import Column
from logship.cli.terminal.text import width
from logship.errors import QuestionError
from logship.search import views
from logship.search.query import Bucket, Query, Rows, Share, Source, Stat
from logship.search.view_results import result_of

LIMIT = 24
# A worker sends a heartbeat every ten seconds: smaller steps would show gaps between two of them.
HEARTBEAT_NS = 10 * 10**9
CATALOGUE = (
    Column("View", "name", style=lambda _: "cyan"),
    Column("What it shows", "sentence", wrap=True, style=lambda _: ""),
)


def _names(context: click.Context, parameter: click.Parameter, prefix: str) -> list[str]:
    return [name for name in views.BY_NAME if name.startswith(prefix)]


@click.command()
@click.argument("name", default="", shell_complete=_names)
@kql_argument
@click.option("--heat", is_flag=True, help="Draw as a heat map")
@click.option("--id", default="", metavar="ID", help="Request id (for per-request views)")
@click.option(
    "--limit",
    default=LIMIT,
    type=click.IntRange(1, 10_000),
    metavar="N",
    show_default=True,
    help="Show N lines or rows",
)
@window_options
@source_option
@form_options
def view(
    name: str, kql: str, heat: bool, id: str, limit: int, source: str | None, form: Form | None, **window: Any  # noqa: A002
) -> int:  # fmt: skip
    """Draw a view of the catalogue, or list the views if no NAME is given. Default: the last hour."""
    if not name:
        show(
            [{"name": view.name, "unit": view.unit, "sentence": view.sentence} for view in views.VIEWS], CATALOGUE, form
        )
        return 0
    chosen = _chosen(name, id)
    query, store = make_query(Window(kql, **window), default_last=None if id else "1h"), open_source(source)
    span = _span(store, chosen, query)
    result = result_of(store, chosen, query, span.step, limit, id)
    rows = result.records if isinstance(result, Rows) else result
    hint(store, query)
    if not rows:
        talk(nothing_found(store, query))
        return NOTHING
    if form is not None:
        show(map(plain, rows), (), form)
    elif isinstance(result, Rows):
        _show_events(chosen, result, limit)
    else:
        services = _services(store, chosen, query)
        drawing.draw_view(
            chosen, cast(Sequence[Bucket | Share | Stat], result), span, drawing.Options(limit, heat, services)
        )
    return 0


def _chosen(name: str, id: str) -> views.View:  # noqa: A002
    if name not in views.BY_NAME:
        near = difflib.get_close_matches(name, views.BY_NAME, n=1)
        raise QuestionError(
            f"there is no view {name!r}; " + (f"did you mean {near[0]}?" if near else "`logship view` lists all views")
        )
    chosen = views.BY_NAME[name]
    if chosen.needs_id and not id:
        raise QuestionError(f"the view {name} shows one request: add --id with its request id")
    return chosen


def _span(store: Source, view: views.View, query: Query) -> range:
    """The shown time in steps; it does not begin before the oldest event of the store."""
    until_ns = query.until_ns or time.time_ns()
    since_ns = max(query.since_ns or 0, store.oldest_ns() or 0)
    step = step_ns(until_ns - since_ns, max(width() - 40, 20))
    if views.BEATS in view.where:
        step = max(step, HEARTBEAT_NS)
    return range(since_ns, until_ns, step)


def _services(store: Source, view: views.View, query: Query) -> dict[str, str]:
    """The service of each worker if the view is split by workers and there are several services."""
    if view.split != views.NODE:
        return {}
    tally = store.tally(query, views.NODE, None, "service.name")
    services = {bucket.key: bucket.and_key for bucket in tally if bucket.key}
    return services if len(set(services.values())) > 1 else {}


def _show_events(view: views.View, result: Rows, limit: int) -> None:
    in_order = bool(view.greatest or view.needs_id)
    records = result.records if in_order else result.records[::-1]
    show(records, drawing.event_view_columns(view, records), None)
    if result.next is not None:
        note(f"only the {'first' if in_order else 'newest'} {limit}; for more use --limit N")
