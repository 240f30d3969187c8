"""`logship trace`."""

import sys

import click

from logship.cli.options import service_option, source_option
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
@service_option
@source_option
@form_options
def trace(
    id: str, stack: bool, service: str | None, source: str | None, form: Form | None  # noqa: A002 - the word of the interface
) -> int:  # fmt: skip
    """Draw a request with its log lines as a waterfall.

    ID: a request id, a trace id (all its requests), or the id of any event of the request."""
    request = story(open_source(source), id, local_workers(load({"source": source})))
    records = [record for record in request.timeline() if not service or record.get("service.name") == service]
    if request.cut:
        talk("the result is too large and was truncated: later events of this id are missing")
    if not records:
        talk(f"nothing found: no event, request or trace{f' of service {service}' if service else ''} has the id {id!r}")
        return NOTHING
    if form is not None:
        show(records, (), form)
        return 0
    for line in waterfall(records, width(), sys.maxsize if stack else STACK_LINES):
        write(line)
    return 0
