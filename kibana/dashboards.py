"""Kibana dashboards: the panels and searches of each, and their layout. Each has a service control and a worker control."""

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
    """`rows`: (height, names of the panels in the row); a name that begins with `?` is a search."""

    name: str
    title: str
    sentence: str
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    one_worker: bool = False


DROPPED: Final = tuple(f"dropped-{reason.replace('_', '-')}" for reason in DROP_REASONS)

DASHBOARDS: Final = (
    Dashboard(
        "workers", "Workers", "All workers side by side: traffic, balance, load and event-loop lag.",
        (
            (TALL, ("requests", "requests-heat")),
            (TALL, ("requests-parts", "statuses")),
            (SHORT, ("shares", "busy-time", "errors")),
            (TALL, ("in-flight-max", "loop-lag-max")),
            (TALL, ("?restarts",)),
        ),
    ),
    Dashboard(
        "one-worker", "One worker", "Choose a worker: its traffic, latency, event loop, log and events.",
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
        "failures", "Failures", "What failed, on which route and worker, newest first. Click a request id to see all its events.",
        (
            (TALL, ("errors", "statuses", "log-volume")),
            (TALL, ("?failures",)),
            (TALL, ("?app-errors",)),
            (TALL, ("?deaths",)),
        ),
    ),
    Dashboard(
        "latency", "Latency", "Request durations per worker and route, beside event-loop lag and requests in flight.",
        (
            (TALL, ("latency-p50", "latency-p95", "latency-p99")),
            (TALL, ("slowest-routes", "busy-time")),
            (SHORT, ("loop-lag-max", "in-flight-max")),
            (TALL, ("?slow",)),
        ),
    ),
    Dashboard(
        "trust", "Trust", "Delivery of events: emitted vs. stored, drops by reason, backlog, and ends of runs.",
        (
            (TALL, ("stored", "backlog-max")),
            (SHORT, DROPPED[:3]),
            (SHORT, DROPPED[3:]),
            (TALL, ("?drops",)),
            (TALL, ("?restarts", "?deaths")),
        ),
    ),
)  # fmt: skip


def dashboard(board: Dashboard) -> Body:
    """Return the saved object of a dashboard."""
    panels: list[Body] = []
    references: list[Body] = []
    top = 0
    for height, names in board.rows:
        width = WIDTH // len(names)
        for place, name in enumerate(names):
            panel = f"p{len(panels) + 1}"
            kind: Kind = "search" if name.startswith("?") else "lens"
            grid = {"i": panel, "x": place * width, "y": top, "w": width, "h": height}
            id_ = SEARCH + name.removeprefix("?") if kind == "search" else LENS + name
            panels.append(_panel(kind, panel, grid))
            references.append(reference(kind, id_, f"{panel}:panel_{panel}"))
        top += height
    controls = {"service": ("service.name", "Service", False), "worker": (NODE, "Worker", board.one_worker)}
    references += [to_data_view(f"controlGroup_{name}:optionsListDataView") for name in controls]
    attributes = {
        "title": f"logship: {board.title}",
        "description": board.sentence,
        "version": 1,
        "hits": 0,
        "timeRestore": True,  # otherwise it opens on the last fifteen minutes and may look empty
        "timeFrom": "now-1h",
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60000},
        "kibanaSavedObjectMeta": source("", indexed=False),
        "panelsJSON": text(panels),
        "optionsJSON": text(
            {
                "useMargins": True,
                "syncColors": True,  # a worker has the same colour in all panels
                "syncCursor": True,
                "syncTooltips": False,
                "hidePanelTitles": False,
            }
        ),
        "controlGroupInput": _controls(controls),
    }
    return saved("dashboard", DASHBOARD + board.name, attributes, references)


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
    settings = {"ignoreFilters": False, "ignoreQuery": False, "ignoreTimerange": False, "ignoreValidations": False}
    return {
        "chainingSystem": "HIERARCHICAL",
        "controlStyle": "oneLine",
        "showApplySelections": False,
        "panelsJSON": text(panels),
        "ignoreParentSettingsJSON": text(settings),
    }
