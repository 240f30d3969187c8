"""Dashboards: which panels and searches stand where. Each has a control of workers, and one of services before it."""

from dataclasses import dataclass
from typing import Final, Literal

from kibana.objects import DASHBOARD, LENS, SEARCH, Body, reference, saved, source, text, to_data_view
from logship.event.fields import DROP_REASONS
from logship.search.views import NODE

WIDTH: Final = 48
SHORT, TALL = 10, 15

Kind = Literal["lens", "search"]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`rows`: names of panels beside each other, a search with `?` before it; each row is `height` high."""

    name: str
    title: str
    sentence: str
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    one_worker: bool = False


DROPPED: Final = tuple(f"dropped-{reason.replace('_', '-')}" for reason in DROP_REASONS)

DASHBOARDS: Final = (
    Dashboard(
        "workers", "Workers", "Every worker beside the others: what it answered, how even that is, how it is doing.",
        (
            (TALL, ("requests", "requests-heat")),
            (TALL, ("requests-parts", "statuses")),
            (SHORT, ("shares", "busy-time", "errors")),
            (TALL, ("in-flight-max", "loop-lag-max")),
            (TALL, ("?restarts",)),
        ),
    ),
    Dashboard(
        "one-worker", "One worker", "Choose a worker: its traffic, its latency, its event loop, its log, its events.",
        (
            (TALL, ("requests", "statuses", "errors")),
            (TALL, ("latency-p50", "latency-p95", "latency-p99")),
            (SHORT, ("in-flight-p50", "loop-lag-p50", "backlog-p50")),
            (SHORT, ("log-volume", "?restarts")),
            (TALL, ("?worker",)),
        ),
        one_worker=True,
    ),
    Dashboard(
        "failures", "Failures", "What failed, where and on which worker, the newest first; a click on a request tells its story.",
        (
            (TALL, ("errors", "statuses", "log-volume")),
            (TALL, ("?failures",)),
            (TALL, ("?app-errors",)),
            (TALL, ("?deaths",)),
        ),
    ),
    Dashboard(
        "latency", "Latency", "How long requests took, on each worker and each route, and whether the event loop was the reason.",
        (
            (TALL, ("latency-p50", "latency-p95", "latency-p99")),
            (TALL, ("slowest-routes", "busy-time")),
            (SHORT, ("loop-lag-max", "in-flight-max")),
            (TALL, ("?slow",)),
        ),
    ),
    Dashboard(
        "trust", "Trust", "Whether everything is here: numbered against stored, what was dropped and why, what waits, who ended.",
        (
            (TALL, ("stored", "backlog-max")),
            (SHORT, DROPPED[:3]),
            (SHORT, DROPPED[3:]),
            (TALL, ("?drops",)),
            (TALL, ("?restarts", "?deaths")),
        ),
    ),
)  # fmt: skip


def dashboard(one: Dashboard) -> Body:
    """The object."""
    panels: list[Body] = []
    references: list[Body] = []
    top = 0
    for height, names in one.rows:
        width = WIDTH // len(names)
        for place, name in enumerate(names):
            panel = f"p{len(panels) + 1}"
            kind: Kind = "search" if name.startswith("?") else "lens"
            grid = {"i": panel, "x": place * width, "y": top, "w": width, "h": height}
            id_ = SEARCH + name.removeprefix("?") if kind == "search" else LENS + name
            panels.append(_panel(kind, panel, grid))
            references.append(reference(kind, id_, f"{panel}:panel_{panel}"))
        top += height
    controls = {"service": ("service.name", "Service", False), "worker": (NODE, "Worker", one.one_worker)}
    references += [to_data_view(f"controlGroup_{name}:optionsListDataView") for name in controls]
    attributes = {
        "title": f"logship: {one.title}",
        "description": one.sentence,
        "version": 1,
        "hits": 0,
        "timeRestore": True,  # without a span of its own it would open on fifteen minutes and look empty
        "timeFrom": "now-1h",
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60000},
        "kibanaSavedObjectMeta": source("", indexed=False),
        "panelsJSON": text(panels),
        "optionsJSON": text(
            {
                "useMargins": True,
                "syncColors": True,  # a worker has one colour in all panels
                "syncCursor": True,
                "syncTooltips": False,
                "hidePanelTitles": False,
            }
        ),
        "controlGroupInput": _controls(controls),
    }
    return saved("dashboard", DASHBOARD + one.name, attributes, references)


def _panel(kind: Kind, panel: str, grid: Body) -> Body:
    return {
        "type": kind,
        "panelIndex": panel,
        "panelRefName": f"panel_{panel}",
        "embeddableConfig": {"enhancements": {}},
        "gridData": grid,
    }


def _controls(controls: dict[str, tuple[str, str, bool]]) -> Body:
    panels = {
        name: {
            "order": order,
            "width": "medium",
            "grow": True,
            "type": "optionsListControl",
            "explicitInput": {
                "id": name,
                "fieldName": field,
                "title": title,
                "selectedOptions": [],
                "singleSelect": single,
                "enhancements": {},
            },
        }
        for order, (name, (field, title, single)) in enumerate(controls.items())
    }
    heeded = {"ignoreFilters": False, "ignoreQuery": False, "ignoreTimerange": False, "ignoreValidations": False}
    return {
        "chainingSystem": "HIERARCHICAL",
        "controlStyle": "oneLine",
        "showApplySelections": False,
        "panelsJSON": text(panels),
        "ignoreParentSettingsJSON": text(heeded),
    }
