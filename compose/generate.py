"""Grafana's dashboards and Splunk's saved searches, from the catalogue of views; `python -m compose.generate` writes them.
Byte for byte the same on every machine."""

import json
from pathlib import Path
from typing import Final

from compose.grafana_boards import catalogue, line
from compose.lucene import condition, spl
from logship.search.views import LIFE, NODE, VIEWS, View

DIRECTORY: Final = Path(__file__).parent
BASE: Final = "`logship_events`"
FUNCTIONS: Final = {
    "count": "count",
    "sum": "sum",
    "min": "min",
    "max": "max",
    "p50": "perc50",
    "p95": "perc95",
    "p99": "perc99",
}


def files() -> dict[str, str]:
    """The text of every file by its path below DIRECTORY."""
    return {
        "grafana/dashboards/logship-workers.json": _as_text(catalogue()),
        "grafana/dashboards/logship-line.json": _as_text(line()),
        "splunk/logship/default/savedsearches.conf": savedsearches(),
    }


def _as_text(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def savedsearches() -> str:
    """A stanza for each view. Splunk numbers events by time of arrival too: searches are over the last hour."""
    lines = [
        "# Made by `python -m compose.generate` from the catalogue of views. One request's story needs its id: replace ID.",
        "",
    ]
    for view in VIEWS:
        lines += [
            f"[logship: {view.title}]",
            f"description = {view.sentence} Unit: {view.unit}.",
            f"search = {search(view)}",
            "dispatch.earliest_time = -60m",
            "dispatch.latest_time = now",
            "",
        ]
    return "\n".join(lines)


def search(view: View) -> str:
    """The search of a view. `logship_events` is a macro: which index and source type."""
    asked = f"{BASE} {spl(condition(view, 'ID'))}"
    split = " ".join(name for name in (view.split, view.and_split) if name)
    measured = " ".join(f'{FUNCTIONS[metric]}({view.number}) as "{metric}"' for metric in view.metrics if view.number)
    match view.shape:
        case "rows":
            way = f"- {view.greatest}" if view.greatest else "+ _time" if view.needs_id else "- _time"
            columns = " ".join(name.replace("@timestamp", "_time") for name in view.columns)
            return f"{asked} | sort 1000 {way} | table {columns}"
        case "counts" if view.over_time:
            return f"{asked} | timechart limit=50 count by {view.split}"
        case "counts":
            return f"{asked} | fillnull value=NULL {split} | stats count as events by {split} | sort 0 - events"
        case "values":
            return f"{asked} | top limit=100 {split}"
        case "numbers" if view.over_time:
            return f"{asked} | timechart limit=50 {measured} by {view.split}"
    whose = f" latest({NODE}) as worker" if view.split == LIFE else ""
    return f"{asked} | stats {measured}{whose} by {split}"


def write(directory: Path = DIRECTORY) -> None:
    """Write every file."""
    for name, content in files().items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write()
