"""`logship demo`."""

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logship.cli.output import talk
from logship.cli.rows import Form, plain, show
from logship.cli.terminal.table import Column
from logship.forensics.states import worker_state

if TYPE_CHECKING:
    from logship.demo.outcome import Outcome

COLUMNS = (
    Column("Worker", "node"),
    Column("Pid", "pid"),
    Column("Run", "generation"),
    Column("State", "state", worker_state),
    Column("Stored", "stored"),
    Column("Missing", "missing"),
    Column("Details", "sentence"),
)


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(min=3), help="Stop after this time and report. Default: run until Ctrl-C"
)
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Number of uvicorn workers")
@click.option("--json", "form", flag_value="json", help="Print the report as one JSON object on stdout")
def demo(seconds: float | None, workers: int, form: Form | None) -> int:
    """Run a demo service with traffic, one slow worker and one killed worker.

    Exit status 1 if an event was lost."""
    from logship.demo.run import Demo

    command = _command()
    running = Demo(workers, seconds, lambda line: talk(line.replace("  logship ", f"  {command} ")))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(running.run())
    outcome = running.outcome
    if outcome is None:
        return 0
    _report(outcome, form)
    return 1 if outcome.lost else 0


def _command() -> str:
    """How to call this command again: in a working copy `logship` is not on the PATH."""
    executable, on_path = Path(sys.argv[0]), shutil.which("logship")
    if executable.name != "logship" or (on_path is not None and Path(on_path).samefile(executable)):
        return "logship"
    return os.path.relpath(executable)


def _report(outcome: "Outcome", form: Form | None) -> None:
    if form == "json":
        show([plain(outcome)], (), "json")
        return
    for sentence in outcome.findings:
        talk(sentence)
    show([plain(verdict) for verdict in outcome.verdicts], COLUMNS, form)
    talk(
        f"{outcome.asked:,} requests in {outcome.seconds:g} s; events: {outcome.emitted:,} emitted, "
        f"{outcome.stored:,} stored, {outcome.dropped:,} dropped, {outcome.lost:,} missing"
    )
