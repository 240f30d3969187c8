"""Drawings in the terminal: `logship trace`, a request as a waterfall, and `logship view`, the catalogue of views."""

import difflib
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, cast

import click

from logship.cli.show import (
    Column,
    Form,
    bar,
    clean,
    every_ns,
    fit,
    form_options,
    glyph,
    lines_over_time,
    note,
    paint,
    plain,
    show,
    status_style,
    talk,
    width,
    write,
)
from logship.cli.source import (
    Window,
    hint,
    living_here,
    make_query,
    moment,
    moment_cell,
    nothing_found,
    open_source,
    source_option,
    window_options,
    zone_name,
)
from logship.errors import QuestionError
from logship.forensics.story import begin_ns, length_ns, story
from logship.search import views
from logship.search.query import Bucket, Query, Record, Rows, Share, Source, Stat
from logship.search.units import duration
from logship.search.view_results import result_of
from logship.settings import load

NOTHING = 1
LEVEL_STYLES = {"error": "red", "critical": "bold red", "warning": "yellow", "debug": "dim"}
STACK_LINES, STACK_INDENT = 8, 14
# What is installed is named from its package on.
INSTALLED = re.compile(r'(File ")[^"]*/(?:site|dist)-packages/')
MARKED = ("until the first byte", "sending", "in the background after it")


@click.command()
@click.argument("id")
@click.option("--stack", is_flag=True, help="The whole stack trace of errors, not only its end.")
@source_option
@form_options
def trace(id: str, stack: bool, source: str | None, form: Form | None) -> int:  # noqa: A002 - the word people know
    """Draw one request with its log lines as a waterfall.

    ID is that of a request, of a trace (then all its requests), or of any event of the request."""
    asked = open_source(source)
    found = story(asked, id, living_here(load({"source": source})))
    records = found.timeline()
    if not records:
        talk(f"nothing: no event, request or trace has the id {id!r}")
        return NOTHING
    if found.cut:
        talk("the result is too large and was cut: later events of this id are missing")
    if form is not None:
        show(records, (), form)
        return 0
    for line in waterfall(records, width(), STACK_LINES if not stack else 10**6):
        write(line)
    return 0


def waterfall(records: Sequence[Record], room: int, stack_lines: int) -> list[str]:
    """The drawing of these records, which are in order of their beginning, in lines of `room` columns."""
    first, last = (
        begin_ns(records[0]),
        max(begin_ns(one) + max(length_ns(one), 0) + _background(one) for one in records),
    )
    total = max(last - first, 1)
    bar_room = max(16, min(60, (room - 37) // 2))
    lines = [*_heading(records, room), ""]
    if last > first:  # one moment has no axis
        lines.append(" " * 23 + paint(_axis(total, bar_room), "dim"))
    for one in records:
        lines += _event(one, first, total, (bar_room, room))
        lines += _stack(one, stack_lines, room)
    drawn = "".join(_bar(one, first, total, bar_room, "") for one in records)
    said = [f"{mark} {what}" for mark, what in zip(_marks(), MARKED, strict=True) if mark in drawn]
    return [*lines, "", paint(fit("   ".join(said), room).rstrip(), "dim")] if said else lines


def _heading(records: Sequence[Record], room: int) -> list[str]:
    request = next((one for one in records if length_ns(one)), records[-1])
    said = [str(request.get(name, "")) for name in ("http.request.method", "url.path")]
    status = request.get("http.response.status_code")
    head = [paint(clean(" ".join(filter(None, said))) or clean(str(request.get("message", ""))), "bold")]
    if status is not None:
        head.append(paint(clean(str(status)), status_style(status)))
    if length_ns(request):
        head.append(duration(length_ns(request)))
    worker = f"{request.get('service.name', '')} w{request.get('logship.worker.slot', '?')}"
    facts = [("pid", "process.pid"), ("life", "logship.worker.generation")]
    told = ", ".join(f"{word} {request[name]}" for word, name in facts if name in request)
    began = begin_ns(request)
    lines = [
        "  ".join(head),
        paint(clean(f"{worker} ({told})" if told else worker), "cyan") + f"  began {moment(began)} {zone_name(began)}",
    ]
    facts = [("request", "http.request.id"), ("trace", "trace.id"), ("route", "http.route"), ("client", "client.ip")]
    line = ""
    for word, name in facts:
        if name not in request or (word == "trace" and request[name] == request.get("http.request.id")):
            continue
        fact = f"{word} {clean(str(request[name]))}"
        if line and len(line) + 2 + len(fact) > room:
            lines.append(paint(line, "dim"))
            line = ""
        line += ("  " if line else "") + fact
    return [*lines, paint(line, "dim")] if line else lines


def _axis(total: int, room: int) -> str:
    """0 at the left, the whole at the right, and in between what there is room for."""
    marks = 4 if room >= 44 else 2 if room >= 24 else 1
    line = fit("0", room)
    for number in range(1, marks + 1):
        text = duration(total * number / marks)
        at = min(round(room * number / marks) - (len(text) if number == marks else len(text) // 2), room - len(text))
        line = line[:at] + text + line[at + len(text) :]
    return line[:room]


def _event(one: Record, first: int, total: int, rooms: tuple[int, int]) -> list[str]:
    bar_room, room = rooms
    after = begin_ns(one) - first
    offset = fit(f"+{duration(after)}" if after else "0", 12, right=True)
    level, status = str(one.get("log.level", "")), one.get("http.response.status_code")
    mark = fit(clean(str(status)), 8) if status is not None else fit(clean(level), 8)
    style = status_style(status) if status is not None else LEVEL_STYLES.get(level, "dim")
    message = clean(str(one.get("message", one.get("event.action", ""))))
    # A pipe has no edge that a message could run over.
    text = fit(message, max(room - 25 - bar_room, 10)).rstrip() if sys.stdout.isatty() else message
    return [f"{paint(offset, 'dim')}  {paint(mark, style)} {_bar(one, first, total, bar_room, style)}  {text}"]


def _marks() -> tuple[str, str, str]:
    return glyph("░", "-"), glyph("█", "="), glyph("▒", "~")


def _bar(one: Record, first: int, total: int, room: int, style: str) -> str:
    def at(ns: float) -> int:
        return min(round(ns / total * room), room)

    start = begin_ns(one) - first
    if not length_ns(one):
        place = min(at(start), room - 1)
        return " " * place + paint(glyph("◆", "*"), style or "cyan") + " " * (room - place - 1)
    byte = start + min(one.get("logship.ttfb_ns", length_ns(one)), length_ns(one))
    edges = [at(start), at(byte), at(start + length_ns(one)), at(start + length_ns(one) + _background(one))]
    edges[2] = max(edges[2], min(edges[0] + 1, room))
    edges[0] = min(edges[0], edges[2] - 1)
    edges[3] = max(edges[3], edges[2])
    parts = zip(_marks(), pairwise(edges), strict=True)
    drawn = "".join(mark * max(0, end - begin) for mark, (begin, end) in parts)
    return " " * edges[0] + paint(drawn, style or "cyan") + " " * (room - edges[0] - len(drawn))


def _stack(one: Record, limit: int, room: int) -> list[str]:
    """The end of the stack trace, where the exception is named."""
    text = one.get("error.stack_trace")
    if not isinstance(text, str) or not text.strip():
        return []
    lines = [clean(INSTALLED.sub(r"\1", line)) for line in text.rstrip().splitlines()]
    more = [f"({len(lines) - limit} lines before; --stack shows them)"] if len(lines) > limit else []
    *frames, failure = more + lines[-limit:]
    said = textwrap.wrap(failure, max(room - STACK_INDENT - 1, 20))
    drawn = [paint(fit(line, max(room - STACK_INDENT - 1, 20)).rstrip(), "dim") for line in frames]
    return [" " * STACK_INDENT + line for line in [*drawn, *(paint(line, "red") for line in said)]]


def _background(record: Record) -> int:
    value: Any = record.get("logship.background_ns")
    return value if isinstance(value, int) and value > 0 else 0


# -- the catalogue

KEYS_SHOWN = 24
# A worker tells of itself every ten seconds: less than that between two buckets makes holes.
BEAT_NS = 10 * 10**9
BAR_CELLS = 40
HEADS = {
    "@timestamp": "Time", "service.node.name": "Worker", "event.duration": "Took", "http.response.status_code": "Status",
    "http.request.id": "Request", "error.type": "Error", "error.message": "Why", "event.action": "What", "log.level": "Level",
    "logship.in_flight.count": "In flight", "logship.worker.generation": "Life", "process.exit_code": "Exit",
    "service.ephemeral_id": "Life",
}  # fmt: skip
METRICS = {"count": "Count", "events": "Events", "sum": "In all", "max": "Most"}
READ = {"@timestamp": moment_cell, "event.duration": duration}


@click.command()
@click.argument(
    "name", default="", shell_complete=lambda _, __, begun: [name for name in views.BY_NAME if name.startswith(begun)]
)
@click.argument("kql", default="")
@click.option("--heat", is_flag=True, help="Over time as a map of heat.")
@click.option("--id", default="", metavar="ID", help="Of a request, for the views of one.")
@click.option("--limit", default=KEYS_SHOWN, type=click.IntRange(1, 10_000), metavar="N", show_default=True)
@window_options
@source_option
@form_options
def view(
    name: str,
    kql: str,
    heat: bool,
    id: str,  # noqa: A002
    limit: int,
    source: str | None,
    form: Form | None,
    **window: Any,
) -> int:
    """Draw a view of the catalogue; without a name list them. KQL narrows it. Without a span: the last hour."""
    if not name:
        show([{"name": one.name, "unit": one.unit, "sentence": one.sentence} for one in views.VIEWS], CATALOGUE, form)
        return 0
    if name not in views.BY_NAME:
        near = difflib.get_close_matches(name, views.BY_NAME, n=1)
        raise QuestionError(
            f"there is no view {name!r}; " + (f"did you mean {near[0]}?" if near else "logship view lists them")
        )
    one, query = views.BY_NAME[name], make_query(Window(kql, **window), default_last=None if id else "1h")
    if one.needs_id and not id:
        raise QuestionError(f"the view {name} is of one request: name it with --id")
    asked, until_ns = open_source(source), query.until_ns or time.time_ns()
    # Before the store's first event nothing can be known.
    since_ns = max(query.since_ns or 0, asked.oldest_ns() or 0)
    every = every_ns(until_ns - since_ns, max(width() - 40, 20))
    if views.BEATS in one.where:
        every = max(every, BEAT_NS)
    found = result_of(asked, one, query, every, limit, id)
    rows = found.records if isinstance(found, Rows) else found
    hint(asked, query)
    if not rows:
        talk(nothing_found(asked, query))
        return NOTHING
    if form is not None:
        show(map(plain, rows), (), form)
        return 0
    services = _services(asked, one, query)
    if isinstance(found, Rows):
        ordered = found.records if one.greatest or one.needs_id else found.records[::-1]
        show(ordered, _with_service([_column(field) for field in one.columns], ordered), form)
        if found.next is not None:
            note(f"the {'first' if one.greatest or one.needs_id else 'newest'} {limit}; --limit takes another number")
        return 0
    _above(one, since_ns, until_ns, every)
    starts = range(since_ns // every * every, until_ns, every)
    if one.over_time:
        for line in _over_time(one, cast(list[Bucket | Stat], found), starts, limit, services, heat=heat):
            write(line)
    else:
        _table(one, found, limit, services)
    return 0


def _services(asked: Source, one: views.View, query: Query) -> dict[str, str]:
    """The service of each worker, where the view is split by workers and they are of several."""
    if one.split != views.NODE:
        return {}
    found = {row.key: row.and_key for row in asked.tally(query, views.NODE, None, "service.name") if row.key}
    return found if len(set(found.values())) > 1 else {}


def _with_service(columns: list[Column], rows: Sequence[Record]) -> list[Column]:
    """The columns, with that of the service behind the time where the rows are of several."""
    if len({row.get("service.name") for row in rows} - {None}) < 2:
        return columns
    return [columns[0], Column("Service", "service.name"), *columns[1:]]


def _above(one: views.View, since_ns: int, until_ns: int, every: int) -> None:
    wide = duration(every)
    orders = ", heights by order of magnitude" if one.unit == "nanoseconds" else ""
    steps = f", in steps of {wide}{orders}" if one.over_time else ""
    write(paint(one.title, "bold"))
    for said in (one.sentence, f"{moment(since_ns)[:19]} to {moment(until_ns)[:19]} {zone_name(until_ns)}{steps}"):
        for line in textwrap.wrap(said, width()):
            write(paint(line, "dim"))


def _over_time(
    one: views.View,
    found: Sequence[Bucket | Stat],
    starts: range,
    limit: int,
    services: Mapping[str, str],
    *,
    heat: bool,
) -> list[str]:
    """A chart for each metric, one line in it for each key."""
    lines: list[str] = []
    for metric in one.metrics:
        values: dict[str, dict[int, float]] = {}
        for row in found:
            values.setdefault(row.key or "(none)", {})[row.start_ns] = float(getattr(row, metric))
        keys = sorted(values, key=lambda key: (-sum(values[key].values()), key))
        if one.split in (views.NODE, views.STATUS):
            keys.sort(key=lambda key: (len(key), key))
        empty = 0.0 if one.shape == "counts" else None
        names = _short(keys[:limit], services)
        rows = {name: [values[key].get(start, empty) for start in starts] for key, name in names.items()}
        lines += [paint(METRICS.get(metric, metric), "bold")] if len(one.metrics) > 1 else []
        told = (_told(one, metric), _clock(starts))
        lines += lines_over_time(rows, starts, told, width(), heat=heat, orders=_is_time(one, metric))
        lines += [f"and {len(keys) - limit} more; --limit shows them"] if len(keys) > limit else []
        lines.append("")
    return lines[:-1]


def _table(
    one: views.View, found: Sequence[Bucket | Share | Stat], limit: int, services: Mapping[str, str]
) -> None:
    """A row for each key, with all metrics and a bar of the one that matters. A share is one of its service."""
    totals: Counter[str] = Counter()
    for row in found:
        if isinstance(row, Share):
            totals[services.get(row.value, "")] += row.events
    names = [metric for metric in one.metrics if metric != "share"]
    ranked = next(metric for metric in ("p99", "sum", "events", "max", *names) if metric in names)
    found = sorted(found, key=lambda row: float(-getattr(row, ranked)))
    most = float(getattr(found[0], ranked)) or 1.0
    rows = []
    for row in found[:limit]:
        told: dict[str, object] = {name: getattr(row, name) for name in one.metrics}
        told["key"] = (row.value if isinstance(row, Share) else row.key) or "(none)"
        told["service"] = services.get(str(told["key"])) if services else None
        if services and isinstance(row, Share):
            told["share"] = row.events / max(totals[services.get(row.value, "")], 1)
        told["and_key"] = row.and_key or "(none)" if isinstance(row, Bucket) and one.and_split else None
        rows.append({**told, "bar": float(getattr(row, ranked)) / most})
    show(
        rows,
        [
            Column("Service", "service"),
            Column(_head(one.split or ""), "key", wrap=True, style=lambda _: "cyan"),
            Column(_head(one.and_split or ""), "and_key", style=lambda _: ""),
            *(Column(METRICS.get(name, name), name, _told(one, name), right=True) for name in names),
            *([Column("Share", "share", "{:.1%}".format, right=True)] if "share" in one.metrics else []),
            Column("", "bar", lambda part: bar(part, BAR_CELLS), keep=1, style=lambda _: "blue"),
        ],
        None,
    )
    if len(found) > limit:
        talk(f"and {len(found) - limit} more; --limit shows them")


def _clock(starts: range) -> Callable[[int], str]:
    """How the times below a chart read: with days where it is of several, with seconds where a minute has several."""
    if len(starts) * starts.step >= 86400 * 10**9:
        return lambda ns: moment(ns)[5:16]
    return (lambda ns: moment(ns)[11:19]) if starts.step < 60 * 10**9 else (lambda ns: moment(ns)[11:16])


def _short(keys: Iterable[str], services: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """How each key is shown: workers that share host and instance by their last part, those of several services with
    the name of theirs."""
    held = list(keys)
    if services:
        return {key: f"{services[key]} {key}" if key in services else key for key in held}
    nodes = len({key.rpartition("/")[0] for key in held}) == 1 and len(held) > 1
    nodes = nodes and all(re.fullmatch(r"[^/ ]+/[^/ ]+/w\d+", key) for key in held)
    return {key: key.rpartition("/")[2] if nodes else key for key in held}


def _is_time(one: views.View, metric: str) -> bool:
    return one.unit == "nanoseconds" and metric != "count"


def _told(one: views.View, metric: str) -> Callable[[float], str]:
    return duration if _is_time(one, metric) else "{:,.0f}".format


def _head(field: str) -> str:
    return HEADS.get(field) or field.rpartition(".")[2].replace("_", " ").capitalize()


def _text(value: object) -> str:
    """A value, or several with commas between them."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _column(field: str) -> Column:
    style = {"http.response.status_code": status_style}.get(field, lambda _: "dim" if field == "@timestamp" else "")
    head = _head(field)
    wide = field in ("message", "error.message")
    keep = 0 if field in ("@timestamp", "message", views.NODE, views.STATUS, views.DURATION) else len(field)
    head = f"{head} ({zone_name()})" if field == "@timestamp" else head
    right = field == "event.duration" or field.startswith(("process.", "logship."))
    return Column(head, field, READ.get(field, _text), right, wide, keep, style)


CATALOGUE = (
    Column("View", "name", style=lambda _: "cyan"),
    Column("What it shows", "sentence", wrap=True, style=lambda _: ""),
)
