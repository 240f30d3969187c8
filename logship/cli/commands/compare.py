"""`logship compare`."""

import sys
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
from logship.cli.output import NOTHING, UNKNOWN, note, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import hint, nothing_found, open_source
from logship.cli.terminal.table import Column
from logship.cli.times import moment, zone, zone_name

COLUMNS = (
    Column("What", "measured"),
    Column("Fields", "named", wrap=True, style=lambda _: ""),
    Column("Before", "before_text", right=True),
    Column("After", "after_text", right=True),
    Column("Events", "n_after", "{:,}".format, right=True, keep=1),
    Column("Explains", "explained", "{:.0%}".format, right=True),
    Column("KQL", "kql", wrap=True, keep=2, style=lambda _: "dim"),
)
RATIOS = ("failures", "slowness")


@click.command()
@kql_argument
@window_options
@baseline_option
@source_option
@form_options
def compare(kql: str, baseline: str, source: str | None, form: Form | None, **window: Any) -> int:  # fmt: skip
    """Show what differs from the time before, and which field values explain it.

    Compares failed and slow requests, traffic and log volume. Values and combinations of up to three are ranked by how much
    of the difference they explain; what was the same before is not listed. Without --last or --since: the last 15 minutes.
    Exit status: 0 with differences, 1 without, 4 if there was nothing to compare."""
    from logship.forensics.compare.baseline import baseline as baseline_of
    from logship.forensics.compare.compare import compare as compare_windows

    now_ns = time.time_ns()
    query = until_now(make_query(Window(kql, **window), default_last="15m"), now_ns)
    before = baseline_of(query, baseline, now_ns, zone())
    store = open_source(source)
    result = compare_windows(store, query, before)
    if form is None and sys.stdout.isatty():
        talk(f"window {_span(result.window)}, baseline {_span(result.baseline)} {zone_name(result.window[0])}")
    rows = [plain(difference) for difference in result.differences]
    count = show(map(_shown, rows) if form is None else rows, COLUMNS, form)
    hint(store, query)
    for sentence in result.not_compared:
        note(sentence)
    if not result.requests_after and not count:
        talk(nothing_found(store, query))
        return UNKNOWN
    talk(result.sentence)
    return 0 if count else UNKNOWN if result.not_compared else NOTHING


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    ratio = row["measured"] in RATIOS
    texts = {f"{side}_text": f"{row[side]:.1%}" if ratio else f"{row[side]:.3g}/s" for side in ("before", "after")}
    return row | texts | {"named": " & ".join(f"{name}={value}" for name, value in row["fields"].items())}


def _span(times: tuple[int, int]) -> str:
    return f"{moment(times[0])[:19]} - {moment(times[1])[11:19]}"
