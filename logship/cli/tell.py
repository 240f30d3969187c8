"""Commands about logship itself: how it is set up, and what it looks like at work."""

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

import click

from logship.cli.show import Column, Form, form_options, plain, show, talk
from logship.settings import load, table

if TYPE_CHECKING:
    from logship.demo.run import Outcome

SETTING = (
    Column("Setting", "environment"),
    Column("Value", "value", wrap=True),
    Column("From", "origin"),
    Column("Meaning", "sentence", wrap=True),
)


@click.command()
@form_options
def settings(form: Form | None) -> int:
    """Print every setting: value, where it came from, and what it means."""
    rows = [plain(row) for row in table(load())]
    show(rows, SETTING, form)
    if sys.stdout.isatty() and form is None:
        talk("as arguments of logship.configure() they are lower case, without LOGSHIP_")
    return 0


ACCOUNT = (
    Column("Worker", "node"),
    Column("Pid", "pid"),
    Column("Life", "generation"),
    Column("End", "state"),
    Column("Stored", "stored"),
    Column("Lost", "missing"),
    Column("Verdict", "sentence"),
)


@click.command()
@click.option("--seconds", type=click.FloatRange(min=3), help="End after so long and report; otherwise until Ctrl-C.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Uvicorn workers of the shop."
)
@click.option("--json", "form", flag_value="json", help="The report as one JSON object on stdout.")
def demo(seconds: float | None, workers: int, form: Form | None) -> int:
    """A shop under several workers, its traffic, and a worker killed with -9: see what is left of it.

    Status 1 if an event was lost."""
    from logship.demo.run import Demo

    shown = Demo(workers, seconds, talk)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(shown.run())
    outcome = shown.outcome
    if outcome is None:
        return 0
    _report(outcome, form)
    return 1 if outcome.lost else 0


def _report(outcome: "Outcome", form: Form | None) -> None:
    if form == "json":
        show([plain(outcome)], (), "json")
        return
    show([plain(verdict) for verdict in outcome.verdicts], ACCOUNT, form)
    talk(
        f"{outcome.asked} requests asked in {outcome.seconds:g} s; {outcome.emitted} events emitted, "
        f"{outcome.stored} stored, {outcome.dropped} dropped, {outcome.lost} lost"
    )
