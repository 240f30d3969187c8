"""The list of commands. Each imports what it needs when it runs, so that `logship --help` is quick."""

import click

from logship import __version__
from logship.cli.ask import inflight, search, tail, verify, workers
from logship.cli.run import run
from logship.cli.tell import demo, settings
from logship.cli.up import up

GROUPS = {"Collect": [up, run], "Ask": [search, tail, workers, inflight, verify], "Tell": [settings, demo]}


class Grouped(click.Group):
    """Commands listed by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(one.name or "", one.get_short_help_str(80)) for one in commands])


@click.group(cls=Grouped, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="logship")
def logship() -> None:
    """What every worker of an ASGI service did: collected, and asked.

    Answers go to stdout, everything else to stderr. The status is 0 when something was found, 1 when nothing was, and 2
    when the question made no sense."""


for commands in GROUPS.values():
    for command in commands:
        logship.add_command(command)
