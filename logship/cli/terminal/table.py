"""Tables that fit the terminal: less useful columns are hidden, long texts are wrapped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from logship.cli.terminal.screen import draw
from logship.cli.terminal.style import VALUE_STYLES, paint
from logship.cli.terminal.text import cells, clean, fit, glyph, width, wrap

Row: TypeAlias = Mapping[str, object]

GAP = "  "
# A text column narrower than WRAPPED_CELLS is hard to read: less useful columns are hidden before. LEAST_CELLS: its minimum.
WRAPPED_CELLS, LEAST_CELLS = 28, 12


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, the name of its value in a row, and the function that formats the value.

    `keep`: 0 if the column is never hidden; otherwise a narrow terminal hides the highest number first. `least`: minimum
    width in `line`, where columns cannot be aligned. `style`: of a value; without it the text decides (VALUE_STYLES)."""

    head: str
    name: str
    read: Callable[[Any], str] = str
    right: bool = False
    wrap: bool = False
    keep: int = 0
    style: Callable[[Any], str] | None = None
    least: int = 0


def cell(row: Row, column: Column) -> str:
    """Return the text of one cell; empty if the row has no such value."""
    value = row.get(column.name)
    return "" if value is None else clean(column.read(value))


def line(row: Row, columns: Sequence[Column]) -> str:
    """Return one row of an endless list: nothing is aligned with later rows, empty cells are left out."""
    parts = []
    for column in columns:
        text = cell(row, column)
        if text or column.least:
            room = max(column.least, cells(text))
            parts.append(paint(fit(text, room, column.right), _style(row, column, text)))
    return GAP.join(parts)


def draw_table(rows: Sequence[Row], columns: Sequence[Column]) -> list[Column]:
    """Draw the rows under their headings, and return the columns that were hidden. Columns without a value are left out."""
    used = [column for column in columns if any(row.get(column.name) is not None for row in rows)]
    texts = {column: [cell(row, column) for row in rows] for column in used}
    widths = {column: max(map(cells, [column.head, *texts[column]])) for column in used}
    shown, hidden = _fitting(used, widths)
    _narrow(shown, widths)
    heading = GAP.join(fit(column.head, widths[column], column.right) for column in shown)
    draw(paint(heading.rstrip(), "bold") + "\n")
    draw(paint(GAP.join(glyph("─", "-") * widths[column] for column in shown), "dim") + "\n")
    for number, row in enumerate(rows):
        _draw_row(row, {column: texts[column][number] for column in shown}, widths)
    return hidden


def _fitting(used: list[Column], widths: Mapping[Column, int]) -> tuple[list[Column], list[Column]]:
    """The columns that fit the terminal, and the others."""

    def needed(columns: list[Column]) -> int:
        sizes = [min(widths[column], WRAPPED_CELLS) if column.wrap else widths[column] for column in columns]
        return sum(sizes) + len(GAP) * (len(sizes) - 1)

    shown = list(used)
    while needed(shown) > width() and any(column.keep for column in shown):
        shown.remove(max(shown, key=lambda column: column.keep))
    return shown, [column for column in used if column not in shown]


def _narrow(shown: list[Column], widths: dict[Column, int]) -> None:
    """Give wrapped columns an equal part of the remaining room."""
    wrapped = [column for column in shown if column.wrap]
    rest = width() - sum(widths[column] + len(GAP) for column in shown if not column.wrap)
    for column in wrapped:
        room = rest // len(wrapped) - len(GAP) * (len(wrapped) > 1)
        widths[column] = min(widths[column], max(room, LEAST_CELLS))


def _draw_row(row: Row, texts: Mapping[Column, str], widths: Mapping[Column, int]) -> None:
    """One row, on as many lines as its longest text needs."""
    parts = {column: wrap(text, widths[column]) if column.wrap else [text] for column, text in texts.items()}
    for number in range(max(map(len, parts.values()))):
        drawn = ""
        for column, lines in parts.items():
            text = lines[number] if number < len(lines) else ""
            style = _style(row, column, texts[column]) if text else ""
            drawn += paint(fit(text, widths[column], column.right), style) + GAP
        draw(drawn.rstrip() + "\n")


def _style(row: Row, column: Column, text: str) -> str:
    return column.style(row.get(column.name)) if column.style else VALUE_STYLES.get(text, "")
