"""`logship fields`."""

import click

from logship.cli.options import Window, make_query, service_option, source_option
from logship.cli.output import NOTHING, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import nothing_found, open_source
from logship.cli.terminal.table import Column
from logship.event.fields import BY_NAME
from logship.search.query import FieldCount, Query
from logship.search.shorthand import ALIASES, field_of

SHORT = {field: [name for name in ALIASES if ALIASES[name] == field] for field in ALIASES.values()}
COLUMNS = (
    Column("Field", "name"),
    Column("Type", "type", style=lambda _: "dim"),
    Column("Events", "events", "{:,}".format, right=True),
    Column("Meaning", "sentence", wrap=True, keep=1, style=lambda _: "dim"),
    Column("Short name", "short", keep=2, style=lambda _: "cyan"),
)


@click.command()
@click.argument("part", default="")
@service_option
@source_option
@form_options
def fields(part: str, service: str | None, source: str | None, form: Form | None) -> int:
    """List the fields that occur, with the number of events that have them. PART: only names that contain it."""
    store, query = open_source(source), make_query(Window(service=service)) if service else None
    rows = [_row(field) for field in store.fields(query) if _matches(field, part.lower())]
    if show(rows, COLUMNS, form):
        return 0
    talk(f"nothing found: no field name contains {part!r}" if part else nothing_found(store, query or Query()))
    return NOTHING


def _matches(field: FieldCount, part: str) -> bool:
    return part in field.name.lower() or field_of(part) == field.name


def _row(field: FieldCount) -> dict[str, object]:
    known = BY_NAME.get(field.name)
    return {
        **plain(field),
        "short": ", ".join(SHORT[field.name]) if field.name in SHORT else None,
        "sentence": known.sentence if known else "Set by the application.",
    }
