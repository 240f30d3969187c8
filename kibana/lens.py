"""Lens panels: one or several for each view of the catalogue that counts or measures.

The split column comes before the time column. Elasticsearch nests aggregations in the order of columns, so the workers shown
are the top workers of the whole time range and not those of each bucket."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kibana.objects import LENS, Body, kuery, saved, to_data_view
from logship.search import kql
from logship.search.targets import KIND_OF
from logship.search.views import LIFE, NODE, View

Chart = Literal["stacked", "parts", "lines", "heat", "table"]

LAYER: Final = "events"
TIME, SPLIT, AND_SPLIT = "time", "split", "and-split"
RECORDS: Final = "___records___"
# Maximum number of values in a chart; the rest is shown as "Other" where Kibana supports it.
SPLIT_SIZE: Final = 50
TABLE_SIZE: Final = 100
WORDS: Final = {
    "events": "Events", "count": "Count", "sum": "Total", "min": "Min", "max": "Max", "p50": "p50",
    "p95": "p95", "p99": "p99", "share": "Share", "missing": "Missing", "slot": "Slot",
    "imbalance": "vs. even share",
}  # fmt: skip
HEADS: Final = {
    NODE: "Worker", "http.route": "Route", "http.response.status_code": "Status", LIFE: "Run",
    "log.level": "Level", "log.logger": "Logger",
}  # fmt: skip
PERCENT: Final[Body] = {"id": "percent", "params": {"decimals": 1}}
TIMES: Final[Body] = {"id": "number", "params": {"decimals": 2}}
WHOLE: Final[Body] = {"id": "number", "params": {"decimals": 0}}
TITLE_SUFFIX: Final[Mapping[Chart, str]] = {"parts": "(share)", "heat": "(heat map)"}
# Label prefix of helper columns, from which Kibana computes a formula.
PART: Final = "Part of"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: a view or one of its metrics, in one chart type. `name` is its id without the prefix LENS."""

    name: str
    title: str
    view: View
    chart: Chart
    metrics: tuple[str, ...]

    @property
    def query(self) -> str:
        """Return the filter in KQL. A panel that measures a number only includes events that have it, as the stores do."""
        where = kql.parse(self.view.where)
        if not self.view.number or f"{self.view.number}: *" in self.view.where:
            return self.view.where
        return kql.text_of(kql.every(where, kql.existing(self.view.number)))


def panels(view: View) -> list[Panel]:
    """Return the panels of a view; none if it shows events, because those are saved searches."""
    match view.shape, view.over_time:
        case ("counts", True):
            drawn: list[Chart] = ["stacked", "parts", "heat"] if view.split == NODE else ["stacked"]
            return [
                Panel(
                    view.name if chart == "stacked" else f"{view.name}-{chart}",
                    f"{view.title} {TITLE_SUFFIX.get(chart, '')}".strip(),
                    view,
                    chart,
                    view.metrics,
                )
                for chart in drawn
            ]
        case ("numbers", True):
            return [
                Panel(f"{view.name}-{metric}", f"{view.title}: {WORDS[metric].lower()}", view, "lines", (metric,))
                for metric in view.metrics
            ]
        case ("counts" | "values" | "numbers", _):
            return [Panel(view.name, view.title, view, "table", view.metrics)]
    return []


def lens(panel: Panel) -> Body:
    """Return the saved object of a panel."""
    columns = columns_of(panel)
    state = {
        "datasourceStates": {
            "formBased": {
                "layers": {
                    LAYER: {
                        "columns": columns,
                        "columnOrder": list(columns),
                        "incompleteColumns": {},
                        "sampling": 1,
                    }
                }
            }
        },
        "visualization": _drawn(panel, columns),
        "query": kuery(panel.query),
        "filters": [],
        "internalReferences": [],
        "adHocDataViews": {},
    }
    kind = {"table": "lnsDatatable", "heat": "lnsHeatmap"}.get(panel.chart, "lnsXY")
    attributes = {
        "title": f"logship: {panel.title[0].lower()}{panel.title[1:]}",
        "description": f"{panel.view.sentence} Unit: {panel.view.unit}.",
        "visualizationType": kind,
        "state": state,
    }
    return saved("lens", LENS + panel.name, attributes, [to_data_view(f"indexpattern-datasource-layer-{LAYER}")])


def columns_of(panel: Panel) -> Body:
    """Return the columns of the panel's layer in order: split, time, metrics."""
    view, buckets = panel.view, {}
    metrics = {name: column for metric in panel.metrics for name, column in _metric(view, metric).items()}
    if view.split == LIFE:
        # The slot of the run: it does not change, and the first events of a run have none.
        metrics["slot"] = _measured("slot", "max", "logship.worker.slot")
    if view.name == "shares":
        metrics |= _relative("imbalance", "overall_average", TIMES)
    if view.name == "stored":
        metrics |= _missing(view)
    if view.split is not None:
        buckets[SPLIT] = _terms(view.split, panel, list(metrics))
    if view.and_split is not None:
        buckets[AND_SPLIT] = _terms(view.and_split, panel, list(metrics))
    if view.over_time:
        buckets[TIME] = _time()
    return {**buckets, **metrics}


def _terms(field: str, panel: Panel, metrics: list[str]) -> Body:
    counted = panel.view.shape in ("counts", "values")
    by = (
        next((name for name in ("p99", "sum", "events", "max") if name in metrics), "")
        if panel.chart != "lines"
        else ""
    )
    # Counts are complete: values beyond `size` are "Other", events without the field are "Missing". Kibana supports
    # "Missing" only for text; shares are of the events that have the field.
    other = counted and panel.chart != "heat"
    missing = other and panel.view.shape == "counts"
    kind = "number" if KIND_OF[field] in ("integer", "number") else "string"
    return {
        "label": HEADS[field], "customLabel": True, "dataType": kind, "operationType": "terms", "isBucketed": True,
        "scale": "ordinal", "sourceField": field,
        "params": {
            "size": TABLE_SIZE if panel.chart == "table" else SPLIT_SIZE,
            "orderBy": {"type": "column", "columnId": by} if by else {"type": "alphabetical", "fallback": False},
            "orderDirection": "desc" if by else "asc",
            "otherBucket": other, "missingBucket": missing and kind == "string", "parentFormat": {"id": "terms"},
            "include": [], "exclude": [], "includeIsRegex": False, "excludeIsRegex": False,
        },
    }  # fmt: skip


def _time() -> Body:
    return {
        "label": "Time", "customLabel": True, "dataType": "date", "operationType": "date_histogram", "isBucketed": True,
        "scale": "interval", "sourceField": "@timestamp",
        "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
    }  # fmt: skip


def _metric(view: View, metric: str) -> Body:
    """Return the column of a metric, and the helper columns that it is computed from."""
    match metric:
        case "events":
            return {metric: _measured(metric, "count", RECORDS, emptyAsNull=False)}
        case "count":
            return {metric: _measured(metric, "count", view.number, emptyAsNull=False)}
        case "sum" | "min" | "max":
            return {metric: _measured(metric, metric, view.number)}
        case "share":
            return _relative(metric, "overall_sum", PERCENT)
        case _:
            return {metric: _measured(metric, "percentile", view.number, percentile=int(metric.removeprefix("p")))}


def _relative(name: str, operation: str, number_format: Body) -> Body:
    """Return the number of events divided by `operation` over all rows."""
    whole = _computed(f"{PART} {WORDS[name]}", operation, [f"{name}X0"])
    parts, formula = {f"{name}X0": _part(name, "count", RECORDS), f"{name}X1": whole}, f"count() / {operation}(count())"
    return _formula(name, formula, _tree("divide", list(parts), formula), parts, number_format)


def _missing(view: View) -> Body:
    """Return the number of missing sequence numbers between the first and last event: dropped, lost, or still on their way."""
    parts = {f"missingX{at}": _part("missing", name, view.number) for at, name in enumerate(("max", "min", "count"))}
    formula = f"max({view.number}) - min({view.number}) + 1 - count({view.number})"
    last, first, stored = parts
    between = _tree("add", [_tree("subtract", [last, first], formula), 1], formula)
    return _formula("missing", formula, _tree("subtract", [between, stored], formula), parts, WHOLE)


def _measured(metric: str, operation: str, field: str, **params: object) -> Body:
    return {
        "label": WORDS[metric], "customLabel": True, "dataType": "number", "operationType": operation, "isBucketed": False,
        "scale": "ratio", "sourceField": field, "params": params,
    }  # fmt: skip


def _computed(label: str, operation: str, references: list[str], **params: object) -> Body:
    """Return a column that Kibana computes from other columns."""
    return {
        "label": label, "customLabel": True, "dataType": "number", "operationType": operation, "isBucketed": False,
        "scale": "ratio", "references": references, "params": params,
    }  # fmt: skip


def _part(metric: str, operation: str, field: str) -> Body:
    return _measured(metric, operation, field) | {"label": f"{PART} {WORDS[metric]}"}


def _tree(function: str, args: list[Any], formula: str) -> Body:
    return {
        "type": "function",
        "name": function,
        "args": args,
        "location": {"min": 0, "max": len(formula)},
        "text": formula,
    }


def _formula(name: str, formula: str, tree: Body, parts: Body, number_format: Body) -> Body:
    """Return a formula with all its parts, as Kibana stores it after it was typed. Without them the panel stays empty."""
    label, result = f"{PART} {WORDS[name]}", f"{name}X{len(parts)}"
    root = _computed(WORDS[name], "formula", [result], formula=formula, isFormulaBroken=False, format=number_format)
    return {name: root, **parts, result: _computed(label, "math", list(_leaves(tree)), tinymathAst=tree)}


def _leaves(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for argument in tree["args"]:
            yield from _leaves(argument)
    elif isinstance(tree, str):
        yield tree


def _drawn(panel: Panel, columns: Body) -> Body:
    layer = {"layerId": LAYER, "layerType": "data"}
    if panel.chart == "table":
        splits = [name for name in (SPLIT, "slot", AND_SPLIT) if name in columns]
        names = [*splits, *panel.metrics, *(name for name in ("missing", "imbalance") if name in columns)]
        return {**layer, "columns": [{"columnId": name, "isTransposed": False} for name in names]}
    if panel.chart == "heat":
        grid = {
            "type": "heatmap_grid", "isCellLabelVisible": False, "isXAxisLabelVisible": True, "isXAxisTitleVisible": False,
            "isYAxisLabelVisible": True, "isYAxisTitleVisible": False,
        }  # fmt: skip
        axes = {"xAccessor": TIME, "yAccessor": SPLIT, "valueAccessor": panel.metrics[0]}
        return {
            **layer,
            **axes,
            "shape": "heatmap",
            "legend": _legend() | {"type": "heatmap_legend"},
            "gridConfig": grid,
        }
    series = {"stacked": "bar_stacked", "parts": "bar_percentage_stacked"}.get(panel.chart, "line")
    data = {**layer, "seriesType": series, "xAccessor": TIME, "accessors": list(panel.metrics), "splitAccessor": SPLIT}
    return {
        "preferredSeriesType": series,
        "layers": [data],
        "legend": _legend(),
        "valueLabels": "hide",
        # Heartbeats come every ten seconds: interpolate over buckets without one instead of drawing zero.
        "fittingFunction": "Linear" if series == "line" else "None",
    }


def _legend() -> Body:
    return {"isVisible": True, "position": "right"}
