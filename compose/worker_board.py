"""Grafana's dashboard of the workers over Prometheus, made with Grafana's official builder.

It needs grafana-foundation-sdk, a development dependency: the generated JSON is in the repository."""

import json
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models import prometheus as prometheus_models

TITLE: Final = "logship: workers (Prometheus)"
UID: Final = "logship-workers-prometheus"
SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="logship-prometheus")
WIDTH, HEIGHT = 12, 9
# The variables of the dashboard, in every query.
CHOSEN: Final = '{service=~"$service",worker=~"$worker"}'
WORKER: Final = "{{service}} {{worker}}"


@dataclass(frozen=True, slots=True)
class WorkerPanel:
    """A panel with lines. `queries`: PromQL, where {} stands for the chosen workers, with its legend."""

    title: str
    sentence: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    stacked: bool = False


def _quantile(share: float) -> tuple[str, str]:
    query = f"histogram_quantile({share}, sum by (le) (rate(http_server_request_duration_seconds_bucket{{}}[$__rate_interval])))"
    return query, f"p{round(share * 100)}"


def _rate(metric: str, labels: str = "service, worker", legend: str = WORKER) -> tuple[str, str]:
    return f"sum by ({labels}) (rate({metric}{{}}[$__rate_interval]))", legend


HEAT: Final = "sum by (le) (increase(http_server_request_duration_seconds_bucket{}[$__rate_interval]))"
P99: Final = (
    "histogram_quantile(0.99, sum by (service, worker, le) "
    "(rate(http_server_request_duration_seconds_bucket{}[$__rate_interval])))"
)
FAILED: Final = (
    "sum by (service, worker) (worker:http_server_errors:rate5m{}) "
    "/ sum by (service, worker) (worker:http_server_requests:rate5m{} > 0)"
)
SHARE: Final = (
    "sum by (service, worker) (rate(logship_worker_requests_total{}[$__rate_interval])) "
    '/ on (service) group_left () sum by (service) (rate(logship_worker_requests_total{service=~"$service"}[$__rate_interval]))'
)
LAG: Final = (
    "histogram_quantile(0.99, sum by (service, worker, le) "
    "(rate(logship_worker_event_loop_lag_seconds_bucket{}[$__rate_interval])))"
)

PANELS: Final = (
    WorkerPanel(
        "Response times",
        "Percentiles of the requests of all chosen workers.",
        "s",
        tuple(map(_quantile, (0.5, 0.95, 0.99))),
    ),
    WorkerPanel("p99 per worker", "99 % of the requests of the worker were faster.", "s", ((P99, WORKER),)),
    WorkerPanel(
        "p99 per route",
        "99 % of the requests of the route were faster; the ten slowest routes.",
        "s",
        ((f"topk(10, {P99.replace('service, worker', 'service, http_route')})", "{{service}} {{http_route}}"),),
    ),
    WorkerPanel(
        "Requests per second",
        "Requests of each worker that ended, or were interrupted by a crash.",
        "reqps",
        (_rate("logship_worker_requests_total"),),
        stacked=True,
    ),
    WorkerPanel(
        "Share of requests per worker",
        "Balanced is 1/N; busy time matters more than requests.",
        "percentunit",
        ((SHARE, WORKER),),
        stacked=True,
    ),
    WorkerPanel(
        "Requests by status",
        "Requests of the chosen workers by status code.",
        "reqps",
        (
            _rate(
                "http_server_request_duration_seconds_count",
                "http_response_status_code",
                "{{http_response_status_code}}",
            ),
        ),
        stacked=True,
    ),
    WorkerPanel(
        "Failed requests",
        "Share of requests with status 5xx or interrupted by a crash, over five minutes.",
        "percentunit",
        ((FAILED, WORKER),),
    ),
    WorkerPanel(
        "Requests by how they ended",
        "complete, client_disconnected, server_error, ...; lost: in flight at a crash.",
        "reqps",
        (_rate("logship_worker_requests_total", "reason", "{{reason}}"),),
        stacked=True,
    ),
    WorkerPanel(
        "Running requests",
        "Requests in flight.",
        "short",
        (("sum by (service, worker) (http_server_active_requests{})", WORKER),),
    ),
    WorkerPanel(
        "Accept queue",
        "Connections that wait to be accepted, and the limit. Workers that share a socket report the same queue.",
        "short",
        (
            ("max by (service) (logship_worker_accept_queue_connections{})", "{{service}}"),
            ("min by (service) (logship_worker_accept_queue_limit_connections{})", "{{service}} limit"),
        ),
    ),
    WorkerPanel("Event loop lag", "p99 of how late timers fired.", "s", ((LAG, WORKER),)),
    WorkerPanel(
        "Event loop stalls",
        "Share of time in which the event loop was blocked, by reason. Details: the loop-stalled events.",
        "percentunit",
        (
            _rate(
                "logship_worker_event_loop_stalled_seconds_total",
                "service, worker, reason",
                "{{service}} {{worker}} {{reason}}",
            ),
        ),
    ),
    WorkerPanel(
        "Event loop utilization",
        "Share of time in which the thread of the event loop used CPU or was blocked.",
        "percentunit",
        (("max by (service, worker) (logship_worker_event_loop_utilization_ratio{})", WORKER),),
    ),
    WorkerPanel(
        "Thread pool",
        "Threads in use, and calls that wait for a thread.",
        "short",
        (
            ("sum by (service, worker) (logship_worker_thread_pool_threads_busy{})", f"{WORKER} busy"),
            ("sum by (service, worker) (logship_worker_thread_pool_waiting_calls{})", f"{WORKER} waiting"),
        ),
    ),
    WorkerPanel("CPU", "Cores that the worker used.", "short", (_rate("process_cpu_seconds_total"),), stacked=True),
    WorkerPanel(
        "Memory",
        "Resident memory.",
        "bytes",
        (("sum by (service, worker) (process_resident_memory_bytes{})", WORKER),),
        stacked=True,
    ),
    WorkerPanel(
        "Open files", "Open file descriptors.", "short", (("sum by (service, worker) (process_open_fds{})", WORKER),)
    ),
    WorkerPanel(
        "Journal",
        "Bytes that the agent has not acknowledged, and the size at which events are dropped.",
        "bytes",
        (
            ("sum by (service, worker) (logship_journal_bytes{})", WORKER),
            ("max by (service) (logship_journal_limit_bytes{})", "{{service}} limit"),
        ),
    ),
    WorkerPanel(
        "Dropped events",
        "Events that were lost, by reason.",
        "short",
        (
            (
                "sum by (service, reason) (increase(logship_events_dropped_total{}[$__rate_interval]))",
                "{{service}} {{reason}}",
            ),
        ),
    ),
)

# Title, color, query.
ANNOTATIONS: Final = (
    ("Crashes", "red", "sum by (service, worker) (increase(worker:logship_worker_deaths:sum{}[1m])) > 0"),
    ("Restarts", "blue", "sum by (service, worker) (increase(logship_worker_restarts_total{}[1m])) > 0"),
)
# Variable, label, query.
VARIABLES: Final = (
    ("service", "Service", "label_values(logship_worker_requests_total, service)"),
    ("worker", "Worker", 'label_values(logship_worker_requests_total{service=~"$service"}, worker)'),
)


def worker_board() -> dict[str, object]:
    """Return the dashboard as Grafana imports it."""
    board = (
        dashboard.Dashboard(TITLE).uid(UID).tags(["logship"]).time("now-1h", "now").timezone("browser").refresh("30s").editable()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )  # fmt: skip
    for name, label, query in VARIABLES:
        board.with_variable(
            dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(query)
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(True).include_all(True).all_value(".*")
        )  # fmt: skip
    for title, color, query in ANNOTATIONS:
        board.annotation(_annotation(title, color, query))
    board.with_panel(_heat())
    for number, panel in enumerate(PANELS, 1):
        board.with_panel(_lines(panel).grid_pos(_place(number)).id(number + 1))
    body: dict[str, object] = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    return body


def chosen(query: str) -> str:
    """Return `query` with the chosen workers in the place of {}."""
    return query.replace("{}", CHOSEN)


def _place(number: int) -> models.GridPos:
    return models.GridPos(h=HEIGHT, w=WIDTH, x=number % 2 * WIDTH, y=number // 2 * HEIGHT)


def _annotation(title: str, color: str, query: str) -> dashboard.AnnotationQuery:
    return dashboard.AnnotationQuery().name(title).datasource(SOURCE).enable(True).icon_color(color).expr(chosen(query))


def _query(query: str, legend: str, ref_id: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(chosen(query)).legend_format(legend).ref_id(ref_id).range()


def _heat() -> heatmap.Panel:
    color = (
        heatmap.HeatmapColorOptions()
        .mode(heatmap_models.HeatmapColorMode.SCHEME)
        .scheme("Oranges")
        .steps(64)
        .exponent(0.5)
        .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
        .fill("dark-orange")
    )
    return (
        heatmap.Panel().title("Response times, heat map").description("Requests by duration; darker is more.").datasource(SOURCE)
        .id(1).grid_pos(_place(0)).calculate(False).color(color).y_axis(heatmap.YAxisConfig().unit("s"))
        .with_target(_query(HEAT, "{{le}}", "A").format(prometheus_models.PromQueryFormat.HEATMAP).exemplar(True))
    )  # fmt: skip


def _lines(panel: WorkerPanel) -> timeseries.Panel:
    lines = (
        timeseries.Panel().title(panel.title).description(panel.sentence).unit(panel.unit).datasource(SOURCE).min(0)
        .draw_style(common_models.GraphDrawStyle.LINE).fill_opacity(40 if panel.stacked else 0)
        .show_points(common_models.VisibilityMode.NEVER).tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .legend(common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST).placement(common_models.LegendPlacement.BOTTOM))
    )  # fmt: skip
    if panel.stacked:
        lines.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    for place, (query, legend) in enumerate(panel.queries):
        lines.with_target(_query(query, legend, chr(ord("A") + place)))
    return lines
