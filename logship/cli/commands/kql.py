"""`logship kql`."""

import time

import click

from logship.cli.options import Window, kql_argument, make_query, source_option
from logship.cli.output import note, say
from logship.cli.source import open_source
from logship.errors import SourceError
from logship.search.kql import text_of


@click.command()
@kql_argument
@source_option
def kql(kql: str, source: str | None) -> int:
    """Print a query in full, as Kibana needs it: short names and values expanded, labels with their prefix.

    Labels are those of the source. Without a source, unknown field names are taken as text labels."""
    from logship.search.kibana import for_kibana

    node = make_query(Window(kql)).where
    labels: set[str] = set()
    try:
        labels = {field.name for field in open_source(source).fields()} if node is not None else set()
    except SourceError as error:
        note(f"{error}; the labels are not known")
    say(text_of(for_kibana(node, labels, time.time_ns())))
    return 0
