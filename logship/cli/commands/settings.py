"""`logship settings`."""

import sys

import click

from logship.cli.output import talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.terminal.table import Column
from logship.settings import load, table

COLUMNS = (
    Column("Setting", "environment"),
    Column("Value", "value", wrap=True, style=lambda _: ""),
    Column("From", "origin", keep=1),
    Column("Meaning", "sentence", wrap=True, style=lambda _: "dim"),
)


@click.command()
@form_options
def settings(form: Form | None) -> int:
    """Print every setting with its value, its origin and its meaning."""
    show([plain(row) for row in table(load())], COLUMNS, form)
    if sys.stdout.isatty() and form is None:
        talk("as arguments of logship.configure(), names are lowercase and without LOGSHIP_")
    return 0
