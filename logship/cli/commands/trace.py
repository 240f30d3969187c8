"""`logship trace`."""

import sys

import click

from logship.cli.options import source_option
from logship.cli.output import NOTHING, talk, write
from logship.cli.rows import Form, form_options, show
from logship.cli.source import open_source
from logship.cli.terminal.text import width
from logship.cli.terminal.waterfall import waterfall
from logship.connect.source import local_workers
from logship.forensics.story import story
from logship.settings import load

STACK_LINES = 8


@click.command()
@click.argument("id")
@click.option("--stack", is_flag=True, help="Show whole stack traces, not only their ends")
@source_option
@form_options
def trace(id: str, stack: bool, source: str | None, form: Form | None) -> int:  # noqa: A002 - the word of the interface
    """Draw a request with its log lines as a waterfall.

    ID: a request id, a trace id (all its requests), or the id of any event of the request."""
    request = story(open_source(source), id, local_workers(load({"source": source})))
    records = request.timeline()
    if request.cut:
        talk("the result is too large and was truncated: later events of this id are missing")
    if not records:
        talk(f"nothing found: no event, request or trace has the id {id!r}")
        return NOTHING
    if form is not None:
        show(records, (), form)
        return 0
    for line in waterfall(records, width(), sys.maxsize if stack else STACK_LINES):
        write(line)
    return 0
