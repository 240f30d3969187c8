"""Charts over time: one line of blocks or shades for each key, all on one scale, above a time axis."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from logship.cli.terminal.style import color_count, paint
from logship.cli.terminal.text import cells, clean, fit, glyph

BLOCKS, SIMPLE_BLOCKS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
SHADES, SIMPLE_SHADES = " ░▒▓█", " .:*#"
# From 0 to the maximum; readable on dark and light backgrounds.
HEAT = ("", "23", "29", "71", "143", "178", "208", "196")
STEPS_SECONDS = (
    1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """How a chart shows values and times. `heat`: shades instead of heights; `log`: a logarithmic scale for heights."""

    value: Callable[[float], str]
    clock: Callable[[int], str]
    heat: bool = False
    log: bool = False


def step_ns(span_ns: int, room: int) -> int:
    """Return the smallest round bucket width with which at most `room` buckets cover the span."""
    for seconds in STEPS_SECONDS:
        if span_ns <= seconds * 10**9 * room:
            return seconds * 10**9
    return -(-span_ns // (86400 * 10**9 * room)) * 86400 * 10**9


def chart(rows: Mapping[str, Sequence[float | None]], starts: range, scale: Scale, room: int) -> list[str]:
    """Return the lines of a chart: for each key a cell for each of `starts`, its newest and its maximum value."""
    known = [value for values in rows.values() for value in values if value]
    least, most = min(known, default=0.0), max(known, default=0.0)

    def height(value: float | None) -> float | None:
        return math.log(value / least) + 1 if value and scale.log and most > 10 * least else value

    label = min(max((cells(clean(key)) for key in rows), default=4), max(room // 4, 12))
    numbers = {key: _numbers(values, scale.value) for key, values in rows.items()}
    widths = [max(map(len, column)) for column in zip(*numbers.values(), ("newest", "max"), strict=True)]
    each = max(1, (room - label - sum(widths) - 6) // len(starts))
    heading = f"{'newest':>{widths[0]}}  {'max':>{widths[1]}}"
    lines = [paint(" " * (label + each * len(starts) + 4) + heading, "dim")]
    draw = _shade if scale.heat else _block
    for key, values in rows.items():
        drawn = "".join(draw(height(value), height(most) or 0.0, each) for value in values)
        newest, greatest = (text.rjust(size) for text, size in zip(numbers[key], widths, strict=True))
        lines.append(f"{paint(fit(clean(key), label), 'cyan')}  {drawn}  {newest}  {greatest}")
    return [*lines, " " * (label + 2) + paint(_time_axis(starts, scale.clock, each), "dim")]


def _block(value: float | None, most: float, each: int) -> str:
    """A cell as high as the value: a dot for 0, blank for an unknown value."""
    if value is None:
        return " " * each
    level = _level(value, most, 8)
    return paint(glyph(BLOCKS, SIMPLE_BLOCKS)[level] * each, "green") if level else paint(glyph("·", " ") * each, "dim")


def _shade(value: float | None, most: float, each: int) -> str:
    """A cell of a heat map: a colour for the value, or a shade on terminals with less than 256 colours."""
    if value is None:
        return " " * each
    level = _level(value, most, len(HEAT) - 1)
    if level and color_count() >= 256:
        return paint(glyph("█", "#") * each, HEAT[level])
    return (glyph(SHADES, SIMPLE_SHADES)[_level(value, most, 4)] if value > 0 else glyph("·", " ")) * each


def _level(value: float, most: float, levels: int) -> int:
    """0 for 0, 1 for the smallest value above it, `levels` for the maximum."""
    return 0 if value <= 0 or most <= 0 else max(1, min(levels, round(value / most * levels)))


def _time_axis(starts: range, clock: Callable[[int], str], each: int) -> str:
    """Times under the buckets that start then, as many as fit."""
    room, at = each * len(starts), 0
    axis = " " * room
    while at < len(starts):
        text = glyph("╵", "'") + clock(starts[at])
        if at * each + len(text) > room:
            break
        axis = axis[: at * each] + text + axis[at * each + len(text) :]
        at += max(-(-(len(text) + 3) // each), len(starts) // 4)
    return axis


def _numbers(values: Sequence[float | None], text_of: Callable[[float], str]) -> tuple[str, str]:
    """The newest and the maximum value."""
    known = [value for value in values if value is not None]
    return (text_of(known[-1]), text_of(max(known))) if known else ("", "")
