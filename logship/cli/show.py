"""How rows leave: a table on a terminal, tabs in a pipe, `--json` (one object a line) or `--csv`; talk goes to stderr.

What an event holds was written by strangers: control characters never reach a terminal."""

import locale
import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import click
import orjson

from logship.cli.screen import draw
from logship.event.invisible import visible, visible_json, visible_lines
from logship.search.formats import Csv, flat

Form = Literal["json", "csv", "lines"]
Row = Mapping[str, object]
F = TypeVar("F", bound=Callable[..., Any])

STYLES = {
    "error": "red", "critical": "bold red", "warning": "yellow", "debug": "dim", "info": "dim",
    "lost": "bold red", "missing": "bold red", "conflict": "bold red", "duplicated": "bold red",
    "unknown": "yellow", "silent": "yellow",
    "complete": "green", "running": "green", "alive": "green", "ended": "dim", "closed": "dim",
    "wrong": "bold red", "look": "yellow", "good": "green",
}  # fmt: skip
BLOCKS, SIMPLE_BLOCKS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
SHADES, SIMPLE_SHADES = " ░▒▓█", " .:*#"
# From nothing to the most, on a dark and on a light ground alike.
HEAT = ("", "color(23)", "color(29)", "color(71)", "color(143)", "color(178)", "color(208)", "color(196)")
STEPS_SECONDS = (
    1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400,
)  # fmt: skip
GAP = "  "
# A message in less room than this is no longer read: columns of less use go first.
WRAPPED_CELLS, LEAST_CELLS = 28, 12


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, its name in the row, how its value reads.
    `keep`: 0 always; a terminal too narrow loses the highest number first. `least`: cells on lines that come one by one."""

    head: str
    name: str
    read: Callable[[Any], str] = str
    right: bool = False
    wrap: bool = False
    keep: int = 0
    style: Callable[[Any], str] | None = None
    least: int = 0


class Enough(Exception):
    """Whoever reads our stdout has closed it, as `head` does."""


def form_options(command: F) -> F:
    """Add --json and --csv, and hand the command a `form`."""
    command = click.option("--csv", "form", flag_value="csv", help="CSV with a heading.")(command)
    return click.option("--json", "form", flag_value="json", help="One JSON object a line.")(command)


def show(rows: Iterable[Row], columns: Sequence[Column], form: Form | None, heads: Sequence[str] | None = None) -> int:
    """Write the rows to stdout, and return how many there were. JSON and CSV hold whole rows, the others the columns.

    "lines" is for what has no end: nothing is aligned, so nothing has to be waited for. `heads`: those of the CSV,
    which is then written as the rows come; without them it has a column for whatever occurs in the rows."""
    try:
        if form == "json":
            return sum(_json_line(row) for row in rows)
        if form == "csv":
            return _csv(rows, heads)
        if sys.stdout.isatty() and form != "lines":
            return _table(list(rows), columns)
        return sum(_line(row, columns) for row in rows)
    except BrokenPipeError:
        raise Enough from None


def write(line: str) -> None:
    """One line of a drawing to stdout."""
    try:
        draw(line.rstrip() + "\n")
    except BrokenPipeError:
        raise Enough from None


def say(line: str) -> None:
    """One line of text to stdout, all of it from elsewhere: a terminal gets no control character of it."""
    try:
        sys.stdout.write(line + "\n")
    except BrokenPipeError:
        raise Enough from None


def talk(sentence: str) -> None:
    """Say something that is no answer."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def note(sentence: str) -> None:
    """Say something beside an answer: quieter than it."""
    draw((paint(visible_lines(sentence), "dim") if sys.stderr.isatty() else sentence) + "\n", sys.stderr)
    sys.stderr.flush()


def plain(value: object) -> dict[str, Any]:
    """A dataclass or a named tuple as a row; nested ones too."""
    row: dict[str, Any] = orjson.loads(orjson.dumps(value, default=_named))
    return row


def of_workers(values: Iterable[object], form: Form | None) -> list[dict[str, Any]]:
    """Rows with a "node" as people read them; a supervisor has none, and is named by its service and process.

    On a terminal without the host and instance that all share: they stand above the table."""
    rows = [plain(value) for value in values]
    if form is not None:
        return rows
    shared = {row["node"].rpartition("/")[0] for row in rows if row["node"]}
    if len(shared) == 1 and sys.stdout.isatty():
        note(f"workers of {shared.pop()}")
        rows = [{**row, "node": row["node"].rpartition("/")[2]} for row in rows]
    return [{**row, "node": row["node"] or f"{row['service'] or 'process'} {row['pid'] or ''}".strip()} for row in rows]


def clean(text: str) -> str:
    """Text that a terminal takes as text: control characters as \\n, \\x1b."""
    return visible(text)


def cell(row: Row, column: Column) -> str:
    """The text of one cell, empty where the row has no such value."""
    value = row.get(column.name)
    return "" if value is None else clean(column.read(value))


def width() -> int:
    """Columns of the terminal; 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


@cache
def speaks_unicode() -> bool:
    """Whether lines and blocks can be drawn, or only ASCII: Python writes UTF-8 in the C locale, its terminal does not."""
    return "utf" in (sys.stdout.encoding or "").lower() and "utf" in locale.getencoding().lower()


def glyph(nice: str, simple: str) -> str:
    """The nice one where it can be shown."""
    return nice if speaks_unicode() else simple


def paint(text: str, style: str) -> str:
    """The text in colour, where stdout is a terminal that has some and nobody asked for none."""
    if not style or not text or _colors() is None:
        return text
    from rich.style import Style

    return Style.parse(style).render(text, color_system=_colors())


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fit(text: str, room: int, right: bool = False) -> str:
    """The text in exactly so many columns: filled up with spaces, or cut with a mark."""
    if cells(text) > room:
        mark = glyph("…", "~")
        while text and cells(text) > room - 1:
            text = text[:-1]
        text = (text + mark)[: max(room, 0)]
    space = " " * (room - cells(text))
    return space + text if right else text + space


def bar(part: float, room: int) -> str:
    """A bar that fills this part of the room; never empty for what is not nothing."""
    if not speaks_unicode():
        return "#" * max(round(part * room), int(part > 0))
    eighths = max(round(part * room * 8), int(part > 0))
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def every_ns(span_ns: int, room: int) -> int:
    """Return the least width of a bucket that people would choose, with at most `room` of them in the span."""
    for seconds in STEPS_SECONDS:
        if span_ns <= seconds * 10**9 * room:
            return seconds * 10**9
    return -(-span_ns // (86400 * 10**9 * room)) * 86400 * 10**9


def lines_over_time(
    rows: Mapping[str, Sequence[float | None]],
    starts: range,
    told: tuple[Callable[[float], str], Callable[[int], str]],
    room: int,
    *,
    heat: bool = False,
    orders: bool = False,
) -> list[str]:
    """A line for each key with a cell for each of `starts`, its newest and greatest value; below it an axis of time.

    All lines have one scale, so that they can be compared. `told`: how a value reads, and a time. `heat`: shades of one
    cell instead of blocks of one height. `orders`: the height tells the order of magnitude, from the least to the most."""
    known = [value for values in rows.values() for value in values if value]
    least, most = min(known, default=0.0), max(known, default=0.0)

    def high(value: float | None) -> float | None:
        return math.log(value / least) + 1 if value and orders and most > 10 * least else value

    label = min(max((cells(clean(key)) for key in rows), default=4), max(room // 4, 12))
    numbers = {key: _numbers(values, told[0]) for key, values in rows.items()}
    wide = [max(map(len, column)) for column in zip(*numbers.values(), ("newest", "most"), strict=True)]
    each = max(1, (room - label - sum(wide) - 6) // len(starts))
    lines = [paint(" " * (label + each * len(starts) + 4) + f"{'newest':>{wide[0]}}  {'most':>{wide[1]}}", "dim")]
    for key, values in rows.items():
        drawn = "".join((shade if heat else block)(high(value), high(most) or 0.0, each) for value in values)
        newest, greatest = (text.rjust(size) for text, size in zip(numbers[key], wide, strict=True))
        lines.append(f"{paint(fit(clean(key), label), 'cyan')}  {drawn}  {newest}  {greatest}")
    return [*lines, " " * (label + 2) + paint(_time_axis(starts, told[1], each), "dim")]


def block(value: float | None, most: float, each: int) -> str:
    """A part of a line over time, as high as the value; a dot for nothing, blank where none is known."""
    if value is None:
        return " " * each
    level = _level(value, most, 8)
    return paint(glyph(BLOCKS, SIMPLE_BLOCKS)[level] * each, "green") if level else paint(glyph("·", " ") * each, "dim")


def shade(value: float | None, most: float, each: int) -> str:
    """A part of a line of a heat map: in colour the colour says how much, without it the shade does."""
    if value is None:
        return " " * each
    painted = paint(glyph("█", "#") * each, HEAT[_level(value, most, len(HEAT) - 1)])
    shaded = glyph(SHADES, SIMPLE_SHADES)[_level(value, most, 4)] if value > 0 else glyph("·", " ")
    return painted if "\x1b" in painted else shaded * each


def status_style(status: object) -> str:
    """How the status of a response looks."""
    if not isinstance(status, int):
        return ""
    return "bold red" if status >= 500 else "yellow" if status >= 400 else "green" if status >= 200 else ""


def _time_axis(starts: range, clock: Callable[[int], str], each: int) -> str:
    """Times under the buckets that begin then, as many as there is room for."""
    room, at = each * len(starts), 0
    line = " " * room
    while at < len(starts):
        text = glyph("╵", "'") + clock(starts[at])
        if at * each + len(text) > room:
            break
        line = line[: at * each] + text + line[at * each + len(text) :]
        at += max(-(-(len(text) + 3) // each), len(starts) // 4)
    return line


def _numbers(values: Sequence[float | None], told: Callable[[float], str]) -> tuple[str, str]:
    known = [value for value in values if value is not None]
    return (told(known[-1]), told(max(known))) if known else ("", "")


def _level(value: float, most: float, levels: int) -> int:
    """0 for nothing, 1 for the least something, `levels` for the most."""
    return 0 if value <= 0 or most <= 0 else max(1, min(levels, round(value / most * levels)))


@cache
def _colors() -> Any:
    """What the terminal can do; None for no colours."""
    if not sys.stdout.isatty():
        return None
    from rich.console import COLOR_SYSTEMS, Console

    console = Console(file=sys.stdout)
    return None if console.no_color or not console.color_system else COLOR_SYSTEMS[console.color_system]


def _json_line(row: Row) -> int:
    line = orjson.dumps(row, default=_named, option=orjson.OPT_NON_STR_KEYS)
    sys.stdout.write(visible_json(line).decode() + "\n")
    return 1


def _line(row: Row, columns: Sequence[Column]) -> int:
    """All cells on one line: tabs for programs, which may count columns; for eyes without the empty ones."""
    texts = [cell(row, column) for column in columns]
    line = "\t".join(texts)
    if sys.stdout.isatty():
        told = [
            (text, one, max(one.least, cells(text)))
            for text, one in zip(texts, columns, strict=True)
            if text or one.least
        ]
        line = GAP.join(paint(fit(text, room, one.right), _style(row, one, text)) for text, one, room in told)
    draw(line + "\n")
    return 1


def _csv(rows: Iterable[Row], heads: Sequence[str] | None) -> int:
    if heads is None:
        held = [flat(row) for row in rows]
        rows, heads = held, list(dict.fromkeys(name for row in held for name in row))
    out, count = Csv(heads), 0
    for row in rows:
        if not count:
            sys.stdout.write(out.head().decode())
        sys.stdout.write(out.rows([row]).decode())
        count += 1
    return count


def _table(rows: list[Row], columns: Sequence[Column]) -> int:
    if not rows:
        return 0
    used = [column for column in columns if any(row.get(column.name) is not None for row in rows)]
    texts = {column: [cell(row, column) for row in rows] for column in used}
    widths = {column: max(map(cells, [column.head, *texts[column]])) for column in used}
    used, hidden = _fitting(used, widths)
    rest = width() - sum(widths[one] + len(GAP) for one in used if not one.wrap)
    wrapped = [column for column in used if column.wrap]
    for column in wrapped:
        room = rest // len(wrapped) - len(GAP) * (len(wrapped) > 1)
        widths[column] = min(widths[column], max(room, LEAST_CELLS))
    above = GAP.join(fit(column.head, widths[column], column.right) for column in used)
    draw(paint(above.rstrip(), "bold") + "\n")
    draw(paint(GAP.join(glyph("─", "-") * widths[column] for column in used), "dim") + "\n")
    for number, row in enumerate(rows):
        _table_row(row, {column: texts[column][number] for column in used}, widths)
    if heads := ", ".join(column.head for column in hidden if column.head):
        note(fit(f"too narrow for {heads}", width()).rstrip())
    return len(rows)


def _fitting(used: list[Column], widths: Mapping[Column, int]) -> tuple[list[Column], list[Column]]:
    """The columns that there is room for, and those that there is not."""

    def needs(some: list[Column]) -> int:
        return sum(len(GAP) + (min(widths[one], WRAPPED_CELLS) if one.wrap else widths[one]) for one in some) - len(GAP)

    kept = list(used)
    while needs(kept) > width() and any(column.keep for column in kept):
        kept.remove(max(kept, key=lambda column: column.keep))
    return kept, [column for column in used if column not in kept]


def _table_row(row: Row, texts: Mapping[Column, str], widths: Mapping[Column, int]) -> None:
    """One row, on as many lines as its longest text needs."""
    parts = {one: _wrapped(text, widths[one]) if one.wrap else [text] for one, text in texts.items()}
    for number in range(max(map(len, parts.values()))):
        line = ""
        for column, lines in parts.items():
            text = lines[number] if number < len(lines) else ""
            style = _style(row, column, texts[column])
            line += paint(fit(text, widths[column], column.right), style if text else "") + GAP
        draw(line.rstrip() + "\n")


def _wrapped(text: str, room: int) -> list[str]:
    if cells(text) <= room:
        return [text]
    if text.isascii():
        return textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    from rich.cells import chop_cells

    return list(chop_cells(text, room)) or [""]


def _style(row: Row, column: Column, text: str) -> str:
    return column.style(row.get(column.name)) if column.style else STYLES.get(text, "")


def _named(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    raise TypeError(type(value).__name__)
