"""How rows leave: a table on a terminal, tabs in a pipe, `--json` (one object a line) or `--csv`; talk goes to stderr.

What an event holds was written by strangers: control characters never reach a terminal."""

import csv
import io
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar

import click
import orjson

Form = Literal["json", "csv", "lines"]
Row = Mapping[str, object]
F = TypeVar("F", bound=Callable[..., Any])

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
STYLES = {
    "error": "red", "critical": "bold red", "warning": "yellow", "debug": "dim",
    "lost": "bold red", "missing": "bold red", "complete": "green", "running": "green",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the heading, the name in the row, and how its value reads."""

    head: str
    name: str
    read: Callable[[Any], str] = str
    right: bool = False
    wrap: bool = False


class Enough(Exception):
    """Whoever reads our stdout has closed it, as `head` does."""


def form_options(command: F) -> F:
    """Add --json and --csv, and hand the command a `form`."""
    command = click.option("--csv", "form", flag_value="csv", help="CSV with a heading.")(command)
    return click.option("--json", "form", flag_value="json", help="One JSON object a line.")(command)


def show(rows: Iterable[Row], columns: Sequence[Column], form: Form | None) -> int:
    """Write the rows to stdout, and return how many there were. JSON and CSV hold whole rows, the others the columns.

    "lines" is for what has no end: nothing is aligned, so nothing has to be waited for."""
    try:
        if form == "json":
            return sum(_json_line(row) for row in rows)
        if form == "csv":
            return _csv(list(rows))
        if sys.stdout.isatty() and form != "lines":
            return _table(list(rows), columns)
        return sum(_line(row, columns) for row in rows)
    except BrokenPipeError:
        raise Enough from None


def talk(sentence: str) -> None:
    """Say something that is no answer."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def plain(value: object) -> dict[str, Any]:
    """A dataclass or a named tuple as a row; nested ones too."""
    row: dict[str, Any] = orjson.loads(orjson.dumps(value, default=_named))
    return row


def clean(text: str) -> str:
    """Text that a terminal takes as text: control characters as \\n, \\x1b."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def cell(row: Row, column: Column) -> str:
    """The text of one cell, empty where the row has no such value."""
    value = row.get(column.name)
    return "" if value is None else clean(column.read(value))


def duration(ns: float) -> str:
    """Nanoseconds as people read them: 950us, 12.3ms, 3.41s, 2m05s."""
    if ns < 1e6:
        return f"{ns / 1e3:.0f}us"
    if ns < 1e9:
        return f"{ns / 1e6:.1f}ms"
    return f"{ns / 1e9:.2f}s" if ns < 60e9 else f"{ns // 60e9:.0f}m{ns % 60e9 / 1e9:02.0f}s"


def size(count: float) -> str:
    """Bytes as people read them: 812 B, 3.4 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _json_line(row: Row) -> int:
    sys.stdout.write(orjson.dumps(row, default=_named, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
    return 1


def _line(row: Row, columns: Sequence[Column]) -> int:
    """All cells on one line: tabs for programs, which may count columns; for eyes without the empty ones."""
    cells = [cell(row, column) for column in columns]
    sys.stdout.write(("  ".join(filter(None, cells)) if sys.stdout.isatty() else "\t".join(cells)) + "\n")
    return 1


def _csv(rows: list[Row]) -> int:
    if not rows:
        return 0
    heads = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for row in rows:
        writer.writerow([_csv_value(row.get(name)) for name in heads])
    sys.stdout.write(out.getvalue())
    return len(rows)


def _csv_value(value: object) -> object:
    return orjson.dumps(value, default=_named).decode() if isinstance(value, list | dict | tuple) else value


def _table(rows: list[Row], columns: Sequence[Column]) -> int:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return 0
    used = [column for column in columns if any(row.get(column.name) is not None for row in rows)]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in used:
        side: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.head, justify=side, no_wrap=not column.wrap, overflow="fold")
    for row in rows:
        texts = [cell(row, column) for column in used]
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in texts))
    Console().print(table)
    return len(rows)


def _named(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    raise TypeError(type(value).__name__)
