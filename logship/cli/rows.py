"""Rows of a result: a table on a terminal, tab-separated lines in a pipe, `--json` (one object a line) or `--csv`."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import click
import orjson

from logship.cli.output import OutputClosed, note
from logship.cli.terminal.screen import draw
from logship.cli.terminal.table import Column, Row, cell, draw_table, line
from logship.cli.terminal.text import fit, width
from logship.event.invisible import visible_json
from logship.search.formats import Csv, flat

Form: TypeAlias = Literal["json", "csv", "lines"]
F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "form", flag_value="json", help="Print one JSON object per line")


def form_options(command: F) -> F:
    """Add --json and --csv, passed to the command as `form`."""
    command = click.option("--csv", "form", flag_value="csv", help="Print CSV with a header line")(command)
    return json_option(command)


def show(rows: Iterable[Row], columns: Sequence[Column], form: Form | None, names: Sequence[str] | None = None) -> int:
    """Write rows to stdout and return their number. JSON and CSV contain whole rows, the other forms `columns`.

    "lines" is for endless results: a row is written as soon as it is there. `names`: the columns of CSV that is written
    row by row; without them the CSV has a column for each name that occurs."""
    try:
        if form == "json":
            return sum(map(_write_json, rows))
        if form == "csv":
            return _write_csv(rows, names)
        if sys.stdout.isatty() and form != "lines":
            return _write_table(list(rows), columns)
        return sum(_write_line(row, columns) for row in rows)
    except BrokenPipeError:
        raise OutputClosed from None


def plain(value: object) -> dict[str, Any]:
    """Return a dataclass or named tuple, and those within it, as a row."""
    row: dict[str, Any] = orjson.loads(orjson.dumps(value, default=_as_mapping))
    return row


def _write_json(row: Row) -> int:
    text = orjson.dumps(row, default=_as_mapping, option=orjson.OPT_NON_STR_KEYS)
    sys.stdout.write(visible_json(text).decode() + "\n")
    return 1


def _write_csv(rows: Iterable[Row], names: Sequence[str] | None) -> int:
    if names is None:
        collected = [flat(row) for row in rows]
        rows, names = collected, list(dict.fromkeys(name for row in collected for name in row))
    out, count = Csv(names), 0
    for row in rows:
        if not count:
            sys.stdout.write(out.head().decode())
        sys.stdout.write(out.rows([row]).decode())
        count += 1
    return count


def _write_table(rows: list[Row], columns: Sequence[Column]) -> int:
    if rows:
        hidden = [column.head for column in draw_table(rows, columns) if column.head]
        if hidden:
            note(fit(f"hidden, terminal too narrow: {', '.join(hidden)}", width()).rstrip())
    return len(rows)


def _write_line(row: Row, columns: Sequence[Column]) -> int:
    """All cells on one line: in a pipe separated by tabs, so that programs can count columns."""
    if sys.stdout.isatty():
        draw(line(row, columns) + "\n")
    else:
        draw("\t".join(cell(row, column) for column in columns) + "\n")
    return 1


def _as_mapping(value: object) -> Mapping[str, object]:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        mapping: Mapping[str, object] = value._asdict()
        return mapping
    raise TypeError(type(value).__name__)
