"""`logship run`."""

import contextlib
import os
from pathlib import Path

import click

import logship.cli
from logship.cli.serving.metrics import serving_metrics
from logship.cli.supervision import supervise
from logship.settings import child_environment, inherited, load
from logship.wire.address import has_address, parse_address

INJECT = Path(logship.cli.__path__[0]) / "inject"
UNPARSED = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": ["-h", "--help"]}


@click.command(context_settings=UNPARSED)
@click.option("--metrics", metavar="HOST:PORT", help="Serve the metrics of all workers here, for Prometheus")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
def run(command: tuple[str, ...], metrics: str | None) -> int:
    """Run COMMAND with logship in all its processes.

    Example: logship run uvicorn shop:app --workers 4. Works with uvicorn, gunicorn, granian and hypercorn. The exit status
    is that of the command."""
    settings = load()  # an invalid setting is reported here once, not by every worker
    if has_address(settings.agent):
        parse_address(settings.agent)
    path = os.pathsep.join(filter(None, [str(INJECT), inherited("PYTHONPATH")]))
    with serving_metrics(metrics, settings) if metrics else contextlib.nullcontext():
        return supervise(command, child_environment({"PYTHONPATH": path}))
