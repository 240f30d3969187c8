"""`logship doctor`."""

import click

from logship.cli.options import SOURCES
from logship.cli.output import NOTHING, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.terminal.table import Column
from logship.settings import load

COLUMNS = (
    Column("", "mark"),
    Column("Check", "what"),
    Column("Found", "found", wrap=True, style=lambda _: ""),
    Column("What to do", "advice", wrap=True, style=lambda _: "bold"),
)


@click.command()
@click.option(
    "--send", is_flag=True,
    help="Send one test event through the agent, and follow it into Elasticsearch if LOGSHIP_ELASTIC_URL is set",
)  # fmt: skip
@click.option(
    "--source", metavar=SOURCES,
    help="Check this store, collector or Elasticsearch. Default: the local collector, else Elasticsearch if"
    " LOGSHIP_ELASTIC_URL is set, else the local store",
)  # fmt: skip
@form_options
def doctor(send: bool, source: str | None, form: Form | None) -> int:
    """Check everything that workers and collectors need, and say what to do about each problem.

    The checks use the environment and the rights of this user: run the command as the user of the service, with its
    environment. Exit status 1 if something is wrong."""
    from logship.doctor.report import report

    checks = report(load({"source": source}), send, talk)
    show(map(plain, checks), COLUMNS, form)
    return NOTHING if any(check.mark == "wrong" for check in checks) else 0
