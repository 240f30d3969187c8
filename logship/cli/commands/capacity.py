"""`logship capacity`."""

import time
from dataclasses import replace
from typing import Any

import click

from logship.cli.options import Window, make_query, source_option, span_options
from logship.cli.output import NOTHING, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import nothing_found, open_source
from logship.cli.terminal.table import Column
from logship.cli.times import zone

COLUMNS = (
    Column("Service", "service"),
    Column("Estimate", "name", style=lambda _: ""),
    Column("Value", "text", keep=2, wrap=True),
    Column("Confidence", "confidence", keep=1),
    Column("Derived from", "derived", wrap=True, style=lambda _: "dim"),
)


@click.command()
@span_options
@click.option("--latency", default="500ms", metavar="DURATION", help="p95 that the service must keep. Default: 500ms")
@click.option("--target", default="70%", metavar="PERCENT", help="Utilization of workers at the peak. Default: 70%")
@source_option
@form_options
def capacity(latency: str, target: str, source: str | None, form: Form | None, **window: Any) -> int:
    """Show how much traffic the workers can carry, what limits them, and for how long that is enough.

    Each number has its derivation and a confidence. Default: the last 30 days. CPU time, event loop time and thread pool time
    are read from heartbeats; without these, only durations are used."""
    from logship.forensics.capacity.plan import capacity as capacity_of
    from logship.forensics.capacity.wanted import wanted_of

    wanted = wanted_of(latency, target)
    now_ns = time.time_ns()
    query = make_query(Window(**window), default_last="30d")
    query = replace(query, since_ns=query.since_ns or 0, until_ns=query.until_ns or now_ns)
    store = open_source(source)
    services = capacity_of(store, query, now_ns, zone(), wanted)
    if not services:
        talk(nothing_found(store, query))
        return NOTHING
    if form == "json":
        show(map(plain, services), COLUMNS, form)
        return 0
    rows = [{"service": one.service, **plain(estimate)} for one in services for estimate in one.estimates]
    show(rows, COLUMNS, form)
    for service in services:
        talk(f"{service.service}: {service.sentence}")
    return 0
