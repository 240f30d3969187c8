"""Views of the catalogue drawn for a terminal: charts over time, tables with bars, and the columns of events."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from logship.cli.output import talk, write
from logship.cli.rows import show
from logship.cli.terminal.chart import Scale, chart
from logship.cli.terminal.style import paint, status_style
from logship.cli.terminal.table import Column
from logship.cli.terminal.text import bar, width, wrap
from logship.cli.times import moment, moment_cell, zone_name
from logship.search import views
from logship.search.query import Bucket, Record, Share, Stat
from logship.search.units import duration
from logship.search.views import View

BAR_CELLS = 40
HEADS = {
    "@timestamp": "Time", "service.node.name": "Worker", "event.duration": "Took", "http.response.status_code": "Status",
    "http.request.id": "Request", "error.type": "Error", "error.message": "Reason", "event.action": "Action",
    "log.level": "Level", "logship.in_flight.count": "In flight", "logship.worker.generation": "Run",
    "process.exit_code": "Exit", "service.ephemeral_id": "Run",
}  # fmt: skip
METRICS = {"count": "Count", "events": "Events", "sum": "Total", "max": "Max", "min": "Min"}
READ: dict[str, Callable[..., str]] = {"@timestamp": moment_cell, "event.duration": duration}
# The first of these that a view has orders its table.
RANKED = ("p99", "sum", "events", "max")
NO_KEY = "(none)"
Measured: TypeAlias = Bucket | Share | Stat


@dataclass(frozen=True, slots=True)
class Options:
    """How a view is drawn. `services`: the service of each worker, if there are several services."""

    limit: int
    heat: bool = False
    services: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def draw_view(view: View, values: Sequence[Measured], span: range, options: Options) -> None:
    """Draw a view that is not a list of events. `span`: the shown time with the step of its buckets."""
    _draw_heading(view, span, options.heat)
    if view.over_time:
        for line in _charts(view, [value for value in values if not isinstance(value, Share)], span, options):
            write(line)
    else:
        _draw_table(view, values, options)


def _draw_heading(view: View, span: range, heat: bool) -> None:
    scale = ", log scale" if view.unit == "nanoseconds" and not heat else ""
    steps = f", in steps of {duration(span.step)}{scale}" if view.over_time else ""
    write(paint(view.title, "bold"))
    times = f"{moment(span.start)[:19]} to {moment(span.stop)[:19]} {zone_name(span.stop)}{steps}"
    for text in (view.sentence, times):
        for line in wrap(text, width()):
            write(paint(line, "dim"))


def _charts(view: View, values: Sequence[Bucket | Stat], span: range, options: Options) -> list[str]:
    """A chart for each metric, with a line for each key."""
    starts = range(span.start // span.step * span.step, span.stop, span.step)
    lines: list[str] = []
    for metric in view.metrics:
        series: dict[str, dict[int, float]] = {}
        for value in values:
            series.setdefault(value.key or NO_KEY, {})[value.start_ns] = float(getattr(value, metric))
        keys = _ordered(series, view)
        empty = 0.0 if view.shape == "counts" else None
        names = _short(keys[: options.limit], options.services)
        rows = {name: [series[key].get(start, empty) for start in starts] for key, name in names.items()}
        lines += [paint(METRICS.get(metric, metric), "bold")] if len(view.metrics) > 1 else []
        is_time = _is_time(view, metric)
        lines += chart(rows, starts, Scale(_format(view, metric), _clock(starts), options.heat, is_time), width())
        lines += [f"{len(keys) - options.limit} more; --limit shows them"] if len(keys) > options.limit else []
        lines.append("")
    return lines[:-1]


def _ordered(series: Mapping[str, Mapping[int, float]], view: View) -> list[str]:
    """The keys with the largest totals first; workers and statuses in their own order."""
    keys = sorted(series, key=lambda key: (-sum(series[key].values()), key))
    if view.split in (views.NODE, views.STATUS):
        keys.sort(key=lambda key: (len(key), key))
    return keys


def _draw_table(view: View, values: Sequence[Measured], options: Options) -> None:
    """A row for each key, with all metrics and a bar for the ranked one."""
    metrics = [metric for metric in view.metrics if metric != "share"]
    ranked = next(metric for metric in (*RANKED, *metrics) if metric in metrics)
    values = sorted(values, key=lambda value: float(-getattr(value, ranked)))
    most = float(getattr(values[0], ranked)) or 1.0
    totals = _totals(values, options.services)
    rows = [
        {**_row(view, value, totals, options.services), "bar": float(getattr(value, ranked)) / most}
        for value in values[: options.limit]
    ]
    show(rows, _columns(view, metrics), None)
    if len(values) > options.limit:
        talk(f"{len(values) - options.limit} more; --limit shows them")


def _columns(view: View, metrics: Sequence[str]) -> list[Column]:
    return [
        Column("Service", "service"),
        Column(_head(view.split or ""), "key", wrap=True, style=lambda _: "cyan"),
        Column(_head(view.and_split or ""), "and_key", style=lambda _: ""),
        *(Column(METRICS.get(metric, metric), metric, _format(view, metric), right=True) for metric in metrics),
        *([Column("Share", "share", "{:.1%}".format, right=True)] if "share" in view.metrics else []),
        Column("", "bar", lambda part: bar(part, BAR_CELLS), keep=1, style=lambda _: "blue"),
    ]


def _totals(values: Sequence[Measured], services: Mapping[str, str]) -> Counter[str]:
    """The events of each service: a share relates to its service."""
    totals: Counter[str] = Counter()
    for value in values:
        if isinstance(value, Share):
            totals[services.get(value.value, "")] += value.events
    return totals


def _row(view: View, value: Measured, totals: Counter[str], services: Mapping[str, str]) -> dict[str, object]:
    key = (value.value if isinstance(value, Share) else value.key) or NO_KEY
    row: dict[str, object] = {metric: getattr(value, metric) for metric in view.metrics}
    if services and isinstance(value, Share):
        row["share"] = value.events / max(totals[services.get(value.value, "")], 1)
    row["key"] = key
    row["service"] = services.get(key) if services else None
    row["and_key"] = value.and_key or NO_KEY if isinstance(value, Bucket) and view.and_split else None
    return row


def _clock(starts: range) -> Callable[[int], str]:
    """How the time axis shows times: with dates for spans of days, with seconds for steps below a minute."""
    if len(starts) * starts.step >= 86400 * 10**9:
        return lambda ns: moment(ns)[5:16]
    return (lambda ns: moment(ns)[11:19]) if starts.step < 60 * 10**9 else (lambda ns: moment(ns)[11:16])


def _short(keys: Iterable[str], services: Mapping[str, str]) -> dict[str, str]:
    """The shown name of each key: workers of one host and instance by their slot, workers of several services with these."""
    shown = list(keys)
    if services:
        return {key: f"{services[key]} {key}" if key in services else key for key in shown}
    nodes = len({key.rpartition("/")[0] for key in shown}) == 1 and len(shown) > 1
    nodes = nodes and all(re.fullmatch(r"[^/ ]+/[^/ ]+/w\d+", key) for key in shown)
    return {key: key.rpartition("/")[2] if nodes else key for key in shown}


def _is_time(view: View, metric: str) -> bool:
    return view.unit == "nanoseconds" and metric != "count"


def _format(view: View, metric: str) -> Callable[[float], str]:
    return duration if _is_time(view, metric) else "{:,.0f}".format


def event_view_columns(view: View, records: Sequence[Record]) -> list[Column]:
    """Return the columns of a view that lists events, with that of the service if there are several services."""
    columns = [_event_column(name) for name in view.columns]
    if len({record.get("service.name") for record in records} - {None}) < 2:
        return columns
    return [columns[0], Column("Service", "service.name"), *columns[1:]]


def _event_column(name: str) -> Column:
    style = {"http.response.status_code": status_style}.get(name, lambda _: "dim" if name == "@timestamp" else "")
    head = f"{_head(name)} ({zone_name()})" if name == "@timestamp" else _head(name)
    wide = name in ("message", "error.message")
    keep = 0 if name in ("@timestamp", "message", views.NODE, views.STATUS, views.DURATION) else len(name)
    right = name == "event.duration" or name.startswith(("process.", "logship."))
    return Column(head, name, READ.get(name, _text), right, wide, keep, style)


def _head(name: str) -> str:
    return HEADS.get(name) or name.rpartition(".")[2].replace("_", " ").capitalize()


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
