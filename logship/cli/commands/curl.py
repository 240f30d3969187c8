"""`logship curl`."""

import json
from pathlib import Path
from typing import Any

import click

from logship.cli.options import Window, make_query, source_option, span_options
from logship.cli.output import NOTHING, note, say, talk, write_file
from logship.cli.rows import Form, json_option
from logship.cli.source import nothing_found, open_source
from logship.connect.source import local_workers
from logship.event.invisible import visible
from logship.forensics.reproduce.curl import curl as command_of
from logship.forensics.reproduce.curl import described
from logship.forensics.reproduce.http_file import http_file
from logship.forensics.reproduce.request import Reproduction, base_of, reproduction
from logship.forensics.reproduce.requests import requests_of
from logship.search import kql
from logship.search.query import Page, Record, Source
from logship.search.units import plural
from logship.search.views import SERVED
from logship.settings import load


@click.command()
@click.argument("id", default="")
@click.option("--where", metavar="KQL", help="Instead of ID: the newest requests that match")
@click.option("--limit", default=20, type=click.IntRange(1, 1000), metavar="N", show_default=True, help="Limit of --where")
@click.option("--http", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a .http file")
@click.option("--to", "base", default="", metavar="URL", help="Send to http://HOST:PORT instead of the recorded host")
@span_options
@source_option
@json_option
def curl(
    id: str, where: str | None, limit: int, http: Path | None, base: str, source: str | None, form: Form | None,  # noqa: A002
    **window: Any,
) -> int:  # fmt: skip
    """Print a request as a curl command.

    ID: a request id, or a trace id (all its requests). Only what was recorded is in the command, and secrets are redacted; stderr
    says what is missing, such as the body. With --where and --http: a file that sends the requests of a selection again."""
    if bool(id) == (where is not None):
        raise click.UsageError("give the ID of a request, or --where KQL")
    if base:
        base_of(base)
    store = open_source(source)
    records = _selection(store, Window(where or "", **window), limit) if where is not None else _of_id(store, id, source)
    if not records:
        talk(nothing_found(store, make_query(Window(where or "", **window))) if where is not None else _unknown(id))
        return NOTHING
    if http is not None:
        write_file(http, http_file(records, base))
        talk(f"wrote {plural(len(records), 'request')} to {http}; its comments say what was not recorded")
        return 0
    for record in records:
        _print(reproduction(record, base), form)
    return 0


def _of_id(store: Source, id_: str, source: str | None) -> list[Record]:
    return requests_of(store, id_, local_workers(load({"source": source})))


def _selection(store: Source, window: Window, limit: int) -> list[Record]:
    rows = store.search(make_query(window).narrowed(kql.parse(SERVED)), Page(limit))
    return [record for record in reversed(rows.records) if record.get("network.protocol") != "websocket"]


def _print(request: Reproduction, form: Form | None) -> None:
    if form == "json":
        say(json.dumps(described(request)))
        return
    say(command_of(request))
    note(f"not recorded, and so not in the command: {'; '.join(request.not_recorded)}")


def _unknown(id_: str) -> str:
    return f"nothing found: no request or trace has the id {visible(repr(id_))}"
