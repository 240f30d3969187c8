"""`kibana/logship.ndjson`, which Kibana imports, and `kibana/logship.md`, the same for people. Byte for byte the same on
every machine; `python -m kibana.generate` writes them from the catalogue of views and the list of fields."""

from pathlib import Path
from typing import Final

from kibana.dashboards import DASHBOARDS, Dashboard, dashboard
from kibana.data_view import LINKS, data_view
from kibana.lens import Panel, columns_of, lens, panels
from kibana.objects import Body, as_lines
from kibana.searches import query_of, search
from logship.elastic.mapping import PATTERN
from logship.search.views import VIEWS

DIRECTORY: Final = Path(__file__).parent
PANELS: Final = tuple(panel for view in VIEWS for panel in panels(view))
SEARCHES: Final = tuple(view for view in VIEWS if view.shape == "rows")


def objects() -> list[Body]:
    """Every object."""
    drawn = [*map(lens, PANELS), *map(search, SEARCHES), *map(dashboard, DASHBOARDS)]
    return [data_view(), *drawn]


def files() -> dict[str, str]:
    """The text of every file by its name."""
    return {"logship.ndjson": as_lines(objects()), "logship.md": readable()}


def readable() -> str:
    """What there is in Kibana, and what each asks."""
    lines = [
        "# What logship puts into Kibana",
        "",
        "Made by `python -m kibana.generate` from the catalogue of views; `logship.ndjson` is the same for Kibana.",
        f"One data view, `{PATTERN}`. A click on {_words([f'`{name}`' for name in LINKS])} opens the search named below.",
        "",
        "## Dashboards",
        *(line for one in DASHBOARDS for line in _of_dashboard(one)),
        "",
        "## Searches",
        "",
        "| search | what it shows | question | columns |",
        "| --- | --- | --- | --- |",
    ]
    for view in SEARCHES:
        columns = ", ".join(f"`{name}`" for name in view.columns)
        lines.append(f"| {view.name} | {view.sentence} | `{query_of(view)}` | {columns} |")
    lines += ["", "## Links", "", "| a click on | opens | where |", "| --- | --- | --- |"]
    lines += [
        f"| `{field}` | {name} | {' or '.join(f'`{one}`' for one in fields)} is the same |"
        for field, (name, fields) in LINKS.items()
    ]
    lines += ["", "## Panels", ""]
    lines += [
        "| panel | drawn | what it shows | question | columns, outermost first |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {one.name} | {one.chart} | {one.view.sentence} | `{one.query}` | {_columns(one)} |" for one in PANELS]
    return "\n".join(lines) + "\n"


def _of_dashboard(one: Dashboard) -> list[str]:
    rows = ["; ".join(name.replace("?", "search ") for name in names) for _, names in one.rows]
    return ["", f"**{one.title}**: {one.sentence}", "", *(f"- {row}" for row in rows)]


def _columns(panel: Panel) -> str:
    said = []
    for one in columns_of(panel).values():
        if one["operationType"] in ("math", "overall_sum", "overall_average") or one["label"].startswith("Part of"):
            continue
        params = one["params"]
        detail = params.get("formula") or one["sourceField"].replace("___records___", "events")
        percentile = f" {params['percentile']}" if "percentile" in params else ""
        said.append(f"{one['operationType']}{percentile} of {detail}")
    return ", ".join(said)


def _words(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1]


def write(directory: Path = DIRECTORY) -> None:
    """Write every file."""
    for name, content in files().items():
        (directory / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write()
