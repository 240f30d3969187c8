"""`logship page`."""

import asyncio

import click

from logship.cli.commands.http_options import http_options
from logship.cli.options import SOURCE_HELP, SOURCES
from logship.cli.rows import Form
from logship.cli.serving.access import check_access
from logship.cli.serving.announce import log_to_stderr
from logship.cli.source import open_source
from logship.errors import SettingsError
from logship.settings import load


@click.command()
@click.option("--source", metavar=SOURCES, help=SOURCE_HELP)
@http_options
def page(form: Form | None, source: str | None, **options: object) -> int:
    """Serve the page and the HTTP API over any source; Ctrl-C stops it.

    Example, for a store that has no collector any more: logship page --source /srv/old-store"""
    from logship.cli.serving.page import QUERY_SECONDS, serve_page

    settings = load({"source": source, "forward": "off", **options})
    if settings.http == "off":
        raise SettingsError("nothing to do: http is off")
    check_access(settings)
    opened = open_source(source, QUERY_SECONDS)
    opened.oldest_ns()  # an unreachable source is reported before anything listens
    log_to_stderr()
    asyncio.run(serve_page(settings, opened, form))
    return 0
