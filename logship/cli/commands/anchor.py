"""`logship anchor`."""

import click

from logship.cli.options import source_option
from logship.cli.output import say
from logship.cli.rows import Form, json_option, plain, show
from logship.cli.source import open_source
from logship.errors import SourceError
from logship.search.integrity import Chained


@click.command()
@source_option
@json_option
def anchor(source: str | None, form: Form | None) -> int:
    """Print one line with which `verify --anchor` detects later changes of the store.

    Keep it where those who can write the store cannot change it: in a mail, a git repository, an object store. `logship verify
    --anchor FILE` compares the store with it."""
    store = open_source(source)
    if not isinstance(store, Chained):
        raise SourceError("this source has no chain of digests; name a store or a collector with --source")
    newest = store.anchor()
    if form == "json":
        show([plain(newest)], (), form)
    else:
        say(str(newest))
    return 0
