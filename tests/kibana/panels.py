"""A layer of a Lens panel: whether it holds together, and the request that Kibana would send for it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from logship.elastic.mapping import LOOKED_UP
from logship.search import kql
from tests.kibana.questions import as_query

Body = dict[str, Any]

NUMBERS = {"long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float", "unsigned_long"}
# What terms, controls and orders can be of: everything but running text.
AGGREGATED = NUMBERS | {
    "keyword",
    "ip",
    "boolean",
    "date",
    "date_nanos",
    "flattened",
    "version",
    "wildcard",
    "constant_keyword",
}
# Computed in the browser from other columns, once these are there.
COMPUTED = {"formula", "math", "overall_sum", "overall_average"}
METRICS = {"sum": "sum", "average": "avg", "min": "min", "max": "max", "unique_count": "cardinality"}
RECORDS = "___records___"


def has_column(name: str, types: Mapping[str, str]) -> bool:
    """Whether Kibana can group and sort by a field."""
    return types.get(name) in AGGREGATED and name not in LOOKED_UP


ACCESSORS = ("xAccessor", "splitAccessor", "yAccessor", "valueAccessor", "metricAccessor", "breakdownByAccessor")
MISSING = "__missing__"


def findings(layer: Body, types: Mapping[str, str], question: Callable[[str, str], Iterator[str]]) -> Iterator[str]:
    """What does not hold together. `question`: what is wrong with KQL text, and where it stands."""
    columns, order = layer["columns"], layer["columnOrder"]
    if sorted(columns) != sorted(order):
        yield "its order of columns has others than its columns"
        return
    measured = False
    for name in order:
        column = columns[name]
        if column["isBucketed"] and measured:
            yield f"the bucket {name} comes after a metric"
        measured |= not column["isBucketed"]
        yield from (f"{name}: {said}" for said in _field(column, types))
        yield from (f"{name}: {said}" for said in _computed(column, columns))
        by = column["params"].get("orderBy", {})
        if by.get("type") == "column" and columns.get(by["columnId"], {"isBucketed": True})["isBucketed"]:
            yield f"{name} is ordered by {by['columnId']}, which is no metric"
        if "filter" in column:
            yield from question(column["filter"]["query"], f"the filter of {name}")


def _field(column: Body, types: Mapping[str, str]) -> Iterator[str]:
    operation, field = column["operationType"], column.get("sourceField")
    if operation in COMPUTED or field == RECORDS:
        if operation in COMPUTED and field is not None:
            yield f"is computed and has the field {field}"
        return
    kind = types.get(str(field))
    if kind not in AGGREGATED:
        yield f"{field} is {kind or 'not mapped'}, which cannot be counted"
    elif not has_column(str(field), types):
        yield f"{field} is only looked up, which cannot be counted"
    elif operation == "date_histogram" and kind not in ("date", "date_nanos"):
        yield f"{field} is no date"
    elif operation in ("percentile", "sum", "min", "max", "average") and kind not in NUMBERS:
        yield f"{field} is no number"
    elif operation == "terms" and (column["dataType"] == "number") != (kind in NUMBERS):
        yield f"{field} is {kind} and shown as {column['dataType']}"
    elif operation not in ("terms", "date_histogram", "percentile", "count", *METRICS):
        yield f"{operation} is not known"


def _computed(column: Body, columns: Body) -> Iterator[str]:
    references = column.get("references", [])
    yield from (f"is computed from {name}, which is not there" for name in references if name not in columns)
    operation, params = column["operationType"], column["params"]
    if operation in COMPUTED and not references:
        yield f"the {operation} has none of its parts"
    if operation == "math" and set(_names_in(params.get("tinymathAst", ""))) != set(references):
        yield "the math names others than its parts"


def drawn(shown: Body) -> Iterator[str]:
    """The columns that a drawn layer names."""
    yield from (shown[name] for name in ACCESSORS if name in shown)
    yield from shown.get("accessors", ())
    yield from (column["columnId"] for column in shown.get("columns", ()))


def request(layer: Body, queries: list[str], types: Mapping[str, str], since: str, until: str, interval: str) -> Body:
    """The search that Kibana sends for a layer. `queries`: KQL of panel, dashboard and control; bounds as it writes them."""
    span = {"range": {"@timestamp": {"gte": since, "lte": until, "format": "strict_date_optional_time"}}}
    asked = [as_query(kql.parse(text), types) for text in queries if text]
    names = [name for name in layer["columnOrder"] if layer["columns"][name]["operationType"] not in COMPUTED]
    buckets = [name for name in names if layer["columns"][name]["isBucketed"]]
    metrics = [name for name in names if not layer["columns"][name]["isBucketed"]]
    return {
        "size": 0,
        "track_total_hits": True,
        "query": {"bool": {"must": [], "filter": [span, *asked], "should": [], "must_not": []}},
        "aggs": _level(layer["columns"], buckets, metrics, (since, until, interval), types),
    }


def _level(
    columns: Body, buckets: list[str], metrics: list[str], span: tuple[str, str, str], types: Mapping[str, str]
) -> Body:
    if not buckets:
        return {name: one for name in metrics if (one := _metric(columns[name]))}
    name, column = buckets[0], columns[buckets[0]]
    inner = _level(columns, buckets[1:], metrics, span, types)
    if column["operationType"] == "date_histogram":
        since, until, interval = span
        own: Body = {
            "date_histogram": {
                "field": column["sourceField"],
                "fixed_interval": interval,
                "time_zone": "UTC",
                "min_doc_count": 0,
                "extended_bounds": {"min": since, "max": until},
            }
        }
        assert column["params"]["includeEmptyRows"]
    else:
        order, more = _order(name, column, columns)
        params = column["params"]
        terms: Body = {"field": column["sourceField"], "size": params["size"], "order": order}
        if params["missingBucket"] and types[column["sourceField"]] not in NUMBERS:
            terms["missing"] = MISSING
        own, inner = {"terms": terms}, {**inner, **more}
    return {name: own | ({"aggs": inner} if inner else {})}


def _order(name: str, column: Body, columns: Body) -> tuple[Body, Body]:
    """The order of a bucket, and the metric that it needs beside it."""
    by, way = column["params"]["orderBy"], column["params"]["orderDirection"]
    if by["type"] != "column":
        return {"_key": way}, {}
    measured = columns[by["columnId"]]
    metric = _metric(measured)
    if metric is None:
        return {"_count": way}, {}
    # Elasticsearch parts such a path at its last dot, so a percentile is named in brackets.
    inside = f"[{measured['params']['percentile']}]" if measured["operationType"] == "percentile" else ""
    return {f"{name}-order{inside}": way}, {f"{name}-order": metric}


def _metric(column: Body) -> Body | None:
    """The aggregation of a metric; None for the number of events, which every bucket has."""
    operation, field = column["operationType"], column.get("sourceField")
    if operation == "count":
        return None if field == RECORDS else {"value_count": {"field": field}}
    if operation == "percentile":
        return {"percentiles": {"field": field, "percents": [column["params"]["percentile"]]}}
    return {METRICS[operation]: {"field": field}}


Row = tuple[tuple[object, ...], dict[str, float | None]]


def rows(layer: Body, answer: Body) -> list[Row]:
    """The rows of a panel: the keys of its buckets from the outside in, and its metrics, computed ones included."""
    columns = layer["columns"]
    buckets = [name for name in layer["columnOrder"] if columns[name]["isBucketed"]]
    found = [
        (keys, {name: _value(columns[name], name, leaf) for name in layer["columnOrder"] if name not in buckets})
        for keys, leaf in _leaves(answer["aggregations"], buckets)
    ]
    for name in [name for name in layer["columnOrder"] if columns[name]["operationType"] in COMPUTED]:
        _compute(name, columns, found)
    return found


def _leaves(level: Body, buckets: list[str]) -> Iterator[tuple[tuple[object, ...], Body]]:
    if not buckets:
        yield (), level
        return
    for bucket in level[buckets[0]]["buckets"]:
        for keys, leaf in _leaves(bucket, buckets[1:]):
            yield (bucket["key"], *keys), leaf


def _value(column: Body, name: str, leaf: Body) -> float | None:
    if column["operationType"] in COMPUTED:
        return None
    if name not in leaf:
        return float(leaf["doc_count"])
    told = leaf[name]
    found = next(iter(told["values"].values())) if "values" in told else told["value"]
    return None if found is None or found == "NaN" else float(found)


def _compute(name: str, columns: Body, found: list[Row]) -> None:
    """As the browser does: a formula is the value of its tree, a sum over all goes over every row."""
    column = columns[name]
    if column["operationType"] == "formula":
        inner = column["references"][0]
        _compute(inner, columns, found)
        for _, values in found:
            values[name] = values[inner]
    elif column["operationType"].startswith("overall_"):
        all_rows = [values[column["references"][0]] or 0.0 for _, values in found]
        total = sum(all_rows) / (len(all_rows) if column["operationType"] == "overall_average" else 1)
        for _, values in found:
            values[name] = total
    else:
        tree = column["params"]["tinymathAst"]
        for part in _names_in(tree):
            if columns[part]["operationType"] in COMPUTED:
                _compute(part, columns, found)
        for _, values in found:
            values[name] = _evaluated(tree, values)


def _names_in(tree: Any) -> Iterator[str]:
    """The columns that a tree of mathematics names."""
    if isinstance(tree, dict):
        for one in tree["args"]:
            yield from _names_in(one)
    elif isinstance(tree, str):
        yield tree


def _evaluated(tree: Any, values: Mapping[str, float | None]) -> float | None:
    if not isinstance(tree, dict):
        return values[tree] if isinstance(tree, str) else float(tree)
    first, second = (_evaluated(one, values) for one in tree["args"])
    if first is None or second is None:
        return None
    match tree["name"]:
        case "divide":
            return first / second if second else None
        case "subtract":
            return first - second
        case "add":
            return first + second
    raise AssertionError(tree["name"])
