"""Grafana's dashboards: the catalogue of views on Elasticsearch, and the delivery counters on Prometheus."""

from typing import Any, Final

from compose.lucene import condition, lucene
from logship.search.targets import KIND_OF
from logship.search.views import LIFE, NODE, VIEWS, View

Body = dict[str, Any]

ELASTIC: Final = {"type": "elasticsearch", "uid": "logship-elasticsearch"}
PROMETHEUS: Final = {"type": "prometheus", "uid": "logship-prometheus"}
UNITS: Final = {"nanoseconds": "ns", "bytes": "bytes", "requests": "short", "events": "short"}
# Columns of raw events that are shown with the unit nanoseconds.
NANOSECONDS: Final = ("event.duration", "logship.loop_lag.mean_ns", "logship.loop_lag.max_ns")
NO_VALUE: Final = "(none)"
SERIES, ROWS = 50, 100
WIDTH, HEIGHT = 12, 9

# Panels of the delivery counters: title, unit, and queries with their legend.
LINE: Final[tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]] = (
    (
        "Fluent Bit: events received per second", "short",
        (("sum by (name) (rate(fluentbit_input_records_total[5m]))", "{{name}}"),),
    ),
    (
        "Fluent Bit: events delivered per second", "short",
        (("sum by (name) (rate(fluentbit_output_proc_records_total[5m]))", "{{name}}"),),
    ),
    (
        "Fluent Bit: undelivered chunks on disk", "short",
        (("fluentbit_storage_fs_chunks", "all"), ("fluentbit_storage_fs_chunks_up", "also in memory")),
    ),
    (
        "Fluent Bit: retries and failures", "short",
        (
            ("sum by (name) (increase(fluentbit_output_retries_total[5m]))", "{{name}} retries"),
            ("sum by (name) (increase(fluentbit_output_retries_failed_total[5m]))", "{{name}} given up"),
            ("sum by (name) (increase(fluentbit_output_dropped_records_total[5m]))", "{{name}} events dropped"),
        ),
    ),
    ("Fluent Bit: input paused", "short", (("max by (name) (fluentbit_input_ingestion_paused)", "{{name}}"),)),
    (
        "Collector: events per second", "short",
        (
            ("sum by (instance) (rate(logship_collector_received_events_total[5m]))", "{{instance}} received"),
            ("sum by (instance) (rate(logship_collector_stored_events_total[5m]))", "{{instance}} stored"),
            ("sum by (instance) (rate(logship_collector_duplicate_events_total[5m]))", "{{instance}} duplicates"),
        ),
    ),
    (
        "Collector: time to acknowledge", "s",
        (
            ("histogram_quantile(0.99, sum by (le) (rate(logship_collector_ack_seconds_bucket[5m])))", "p99"),
            ("histogram_quantile(0.5, sum by (le) (rate(logship_collector_ack_seconds_bucket[5m])))", "p50"),
        ),
    ),
    (
        "Collector: rejected", "short",
        (
            ("sum by (instance) (increase(logship_collector_dead_letter_events_total[5m]))", "{{instance}} dead letters"),
            ("sum by (instance) (increase(logship_collector_refused_frames_total[5m]))", "{{instance}} refused frames"),
            ("sum by (instance) (increase(logship_collector_bad_peers_total[5m]))", "{{instance}} invalid senders"),
        ),
    ),
    (
        "Collector: store", "bytes",
        (
            ("logship_store_size_bytes", "{{instance}} on disk"),
            ("logship_collector_pending_bytes", "{{instance}} received, not yet stored"),
        ),
    ),
    (
        "Collector: age of the oldest unsealed log", "s",
        (
            ("logship_store_oldest_unsealed_seconds", "{{instance}}"),
            ("logship_store_sealing_fails", "{{instance}} failed to seal"),
        ),
    ),
)  # fmt: skip


def catalogue() -> Body:
    """Return the dashboard with every view. The variable `worker` filters views of workers, `request` the view of one request."""
    panels: list[Body] = []
    for view in VIEWS:
        for panel in _panels(view):
            panels.append(panel | {"id": len(panels) + 1, "gridPos": _place(len(panels))})
    worker = {
        "name": "worker", "label": "Worker", "type": "query", "datasource": ELASTIC, "refresh": 2, "sort": 1,
        "query": f'{{"find": "terms", "field": "{NODE}"}}', "definition": f'{{"find": "terms", "field": "{NODE}"}}',
        "multi": True, "includeAll": True, "allValue": "*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }  # fmt: skip
    request = {"name": "request", "label": "Request or trace id", "type": "textbox", "query": "", "options": []}
    return _board("logship-workers", "logship: workers", panels, [worker, request])


def line() -> Body:
    """Return the dashboard with the counters of Fluent Bit and the collectors."""
    panels = [
        _panel("timeseries", title, "Delivery counters of Fluent Bit and the collectors.", unit)
        | {
            "id": number + 1, "gridPos": _place(number), "datasource": PROMETHEUS,
            "targets": [
                {"refId": chr(ord("A") + at), "datasource": PROMETHEUS, "expr": query, "legendFormat": legend}
                for at, (query, legend) in enumerate(queries)
            ],
        }
        for number, (title, unit, queries) in enumerate(LINE)
    ]  # fmt: skip
    return _board("logship-line", "logship: delivery", panels, [])


def _board(uid: str, title: str, panels: list[Body], variables: list[Body]) -> Body:
    return {
        "uid": uid, "title": title, "tags": ["logship"], "schemaVersion": 39, "version": 1, "editable": True, "refresh": "",
        "time": {"from": "now-1h", "to": "now"}, "timezone": "browser", "templating": {"list": variables}, "panels": panels,
    }  # fmt: skip


def _place(number: int) -> Body:
    return {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT}


def _panel(kind: str, title: str, sentence: str, unit: str) -> Body:
    custom = {"drawStyle": "line", "spanNulls": True} if kind == "timeseries" else {}
    return {
        "type": kind, "title": title, "description": sentence, "datasource": ELASTIC, "options": {},
        "fieldConfig": {"defaults": {"unit": unit, "custom": custom}, "overrides": []},
    }  # fmt: skip


def _panels(view: View) -> list[Body]:
    if view.shape == "rows":
        return [_rows(view)]
    query = _query(view)
    if view.over_time and view.shape == "numbers":
        return [_over_time(view, query, metric) for metric in view.metrics]
    if view.over_time:
        return [_over_time(view, query, "events")]
    return [_table(view, query)]


def _query(view: View) -> str:
    text = lucene(condition(view, "$request"))
    # Events without a slot belong to a run all the same, so views per run are not filtered by worker.
    narrowed = NODE in (view.split, *view.columns) or view.split in (
        "http.route",
        "http.response.status_code",
        "log.level",
    )
    return f"({text}) AND {NODE}:$worker" if narrowed and view.split != LIFE and not view.needs_id else text


def _target(query: str, metrics: list[Body], buckets: list[Body]) -> Body:
    return {
        "refId": "A", "datasource": ELASTIC, "query": query, "alias": "", "timeField": "@timestamp", "metrics": metrics,
        "bucketAggs": buckets,
    }  # fmt: skip


def _terms(field: str, size: int, *, missing: bool, order: str = "_count") -> Body:
    settings = {"size": str(size), "order": "desc", "orderBy": order, "min_doc_count": "1"}
    if missing and KIND_OF[field] not in ("integer", "number"):
        settings["missing"] = NO_VALUE
    return {"id": f"by-{field}", "type": "terms", "field": field, "settings": settings}


def _metric(view: View, metric: str) -> Body:
    if metric in ("events", "count", "share"):
        return {"id": metric, "type": "count"}
    if metric.startswith("p"):
        return {"id": metric, "type": "percentiles", "field": view.number, "settings": {"percents": [metric[1:]]}}
    return {"id": metric, "type": metric, "field": view.number}


def _over_time(view: View, query: str, metric: str) -> Body:
    counted = view.shape == "counts"
    buckets = [
        _terms(view.split or NODE, SERIES, missing=counted),
        {"id": "time", "type": "date_histogram", "field": "@timestamp",
         "settings": {"interval": "auto", "min_doc_count": "0" if counted else "1", "trimEdges": "0"}},
    ]  # fmt: skip
    title = view.title if counted else f"{view.title}: {metric}"
    panel = _panel("timeseries", title, view.sentence, UNITS[view.unit])
    if counted:
        panel["fieldConfig"]["defaults"]["custom"] = {
            "drawStyle": "bars",
            "fillOpacity": 80,
            "stacking": {"mode": "normal", "group": "A"},
        }
    return panel | {"targets": [_target(query, [_metric(view, metric)], buckets)]}


def _table(view: View, query: str) -> Body:
    fields = [name for name in (view.split, view.and_split) if name is not None]
    # Sort by the metric of the view: sorted by count, a slow route with few requests would be missing.
    order = "p99[99.0]" if "p99" in view.metrics else "_count"
    buckets = [_terms(name, ROWS, missing=view.shape == "counts", order=order) for name in fields]
    metrics = [_metric(view, metric) for metric in view.metrics if metric != "share"]
    panel = _panel("piechart" if view.shape == "values" else "table", view.title, view.sentence, UNITS[view.unit])
    if view.shape == "values":
        panel["options"] = {"displayLabels": ["name", "percent"], "reduceOptions": {"values": True, "calcs": []}}
    else:
        # A count has no unit, unlike the other metrics of the view.
        panel["fieldConfig"]["overrides"] = [
            {"matcher": {"id": "byName", "options": "Count"}, "properties": [{"id": "unit", "value": "short"}]}
        ]
    return panel | {"targets": [_target(query, metrics, buckets)]}


def _rows(view: View) -> Body:
    panel, query = _panel("table", view.title, view.sentence, "none"), _query(view)
    if view.greatest:
        # Grafana sorts raw events only by time, so this groups by event and takes the maximum of each. Elasticsearch cannot
        # group by request ids (logship/elastic/mapping.py, LOOKED_UP).
        greatest = {"id": "greatest", "type": "max", "field": view.greatest}
        by = _terms("event.id", ROWS, missing=False, order="greatest")
        panel["fieldConfig"]["defaults"]["unit"] = "ns"
        return panel | {"targets": [_target(f"{query} AND _exists_:{view.greatest}", [greatest], [by])]}
    panel["transformations"] = [
        {"id": "filterFieldsByName", "options": {"include": {"names": list(view.columns)}}},
        {"id": "organize", "options": {"indexByName": {name: at for at, name in enumerate(view.columns)}}},
    ]
    panel["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": "ns"}]}
        for name in view.columns
        if name in NANOSECONDS
    ]
    raw = {"id": "rows", "type": "raw_data", "settings": {"size": str(ROWS)}}
    return panel | {"targets": [_target(query, [raw], [])]}
