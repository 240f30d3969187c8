"""`logship incident`."""

import json
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from logship.cli.options import Window, baseline_option, make_query, source_option, span_options, until_now
from logship.cli.output import NOTHING, UNKNOWN, say, talk, write_file
from logship.cli.rows import Form, json_option
from logship.cli.source import nothing_found, open_source
from logship.cli.times import moment, zone
from logship.errors import QuestionError
from logship.event.invisible import visible_lines
from logship.search.query import Query
from logship.search.times import parse_time
from logship.settings import load

# Around a moment, so much before it and after it.
AROUND_NS = 30 * 60 * 10**9


@click.command()
@click.argument("when", default="")
@span_options
@baseline_option
@click.option("--md", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the report as Markdown")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the report as HTML")
@source_option
@json_option
def incident(
    when: str, baseline: str, md: Path | None, html: Path | None, source: str | None, form: Form | None, **window: Any
) -> int:  # fmt: skip
    """Show what happened around WHEN: what changed, when it began, which worker, and whether events are missing.

    Finds crashes, failing and slow requests, new statuses, errors and messages, unbalanced or missing traffic, blocked event
    loops, deploys, and missing or dropped events. What was the same before is not listed. Without WHEN, --last or
    --since: the last hour. Exit status: 0 if something stands out, 1 if nothing does, 4 if there are no events."""
    from logship.forensics.compare.baseline import baseline as baseline_of
    from logship.forensics.incident import as_json, write_up
    from logship.forensics.incident import incident as report_of

    now_ns = time.time_ns()
    query = _window(when, Window(**window), now_ns)
    before = baseline_of(query, baseline, now_ns, zone())
    store = open_source(source)
    report = report_of(store, query, now_ns, before)
    kibana_url = load({}).kibana_url
    for path, write in ((md, write_up.markdown), (html, write_up.html)):
        if path is not None:
            write_file(path, write(report, _moment, kibana_url))
            talk(f"wrote {path}")
    if form == "json":
        say(json.dumps(as_json(report)))
    elif md is None and html is None:
        where = f" --source {shlex.quote(source)}" if source else ""
        for line in write_up.lines(report, _moment, kibana_url):
            say(visible_lines(line + where if line.startswith(write_up.NEXT) else line))
    if report.findings:
        return 0
    if report.delivery.finding == "none":
        talk(nothing_found(store, query))
        return UNKNOWN
    return NOTHING


def _window(when: str, window: Window, now_ns: int) -> Query:
    """The query with both times: around WHEN, or that of the options."""
    if not when:
        return until_now(make_query(window, default_last="1h"), now_ns)
    if window.last or window.since or window.until:
        raise QuestionError("WHEN and --last, --since or --until both set the time; use one of them")
    at_ns = parse_time(when, now_ns, zone())
    return replace(make_query(window), since_ns=at_ns - AROUND_NS, until_ns=min(now_ns, at_ns + AROUND_NS))


def _moment(ns: int) -> str:
    return moment(ns)[:19]
