"""`logship up`."""

import asyncio
import contextlib
from pathlib import Path

import click

from logship.cli.commands.http_options import http_options
from logship.cli.rows import Form
from logship.cli.serving.access import check_access
from logship.cli.serving.announce import log_to_stderr
from logship.settings import load


@click.command()
@click.option("--dir", "store_dir", type=click.Path(file_okay=False), metavar="DIR", help="Directory of the store")
@click.option("--forward", metavar="HOST:PORT", help='Address for events (127.0.0.1:24224); "off" disables it')
@click.option("--unix", metavar="PATH", help="Also accept events on this unix socket")
@click.option("--adopt", is_flag=True, help="Take over the journals of all dead workers, whatever their agent was")
@http_options
def up(adopt: bool, form: Form | None, **options: object) -> int:
    """Start the collector and its page; Ctrl-C stops it."""
    settings = load(options)
    check_access(settings)
    # A missing package is reported before anything is opened.
    import uvicorn  # noqa: F401

    import logship.page.app
    import logship.store.write.store  # noqa: F401
    from logship.cli.serving.collector import serve_collector
    from logship.state.home import make_directory

    log_to_stderr()
    # Private from the start; an existing directory is left unchanged.
    with contextlib.suppress(OSError):
        make_directory(Path(settings.state_dir))
    asyncio.run(serve_collector(settings, adopt, form))
    return 0
