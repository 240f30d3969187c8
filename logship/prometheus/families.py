"""The metrics of workers as families of prometheus_client.

Names follow OpenTelemetry's semantic conventions for HTTP, in Prometheus form, and Prometheus' own rules: base units, and
`_total` for counters. Counters belong to a slot and continue after a crash; gauges belong to a run and end with it."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from logship.prometheus import application
from logship.state import metric_file, metric_totals
from logship.state.home import Home
from logship.state.metric_file import DURATION_BOUNDS_NS, LAG_BOUNDS_NS, SERIES_BUCKETS, MetricCell, MetricCopy
from logship.state.metric_totals import SlotMetrics

SECOND_NS: Final = 10**9
WORKER: Final = ("service", "service_instance", "worker")
REQUEST: Final = (*WORKER, "http_request_method", "http_route", "http_response_status_code")
# Counters of a slot without a worker are shown for an hour: by then the service has stopped for good, or has fewer workers.
SHOWN_NS: Final = 3600 * SECOND_NS


class Gauge(NamedTuple):
    """A gauge of a run. `value`: None where it is unknown."""

    name: str
    help: str
    value: Callable[[MetricCopy], float | None]


class Counter(NamedTuple):
    """A counter of a slot, without `_total`. `per`: how many units of the cell are one unit of the metric."""

    name: str
    help: str
    cell: int
    per: float = 1


def _cell(cell: int, scale: float = 1) -> Callable[[MetricCopy], float | None]:
    return lambda copy: copy.cells[cell] / scale


def _pool(cell: int) -> Callable[[MetricCopy], float | None]:
    return lambda copy: copy.cells[cell] if copy.cells[MetricCell.POOL_SIZE] else None


GAUGES: Final = (
    Gauge(
        "http_server_active_requests", "Requests that are running.",
        lambda copy: max(0, copy.cells[MetricCell.BEGUN] - copy.cells[MetricCell.ENDED]),
    ),
    Gauge(
        "logship_worker_websockets_open", "Websockets that are open.",
        lambda copy: max(0, copy.cells[MetricCell.WEBSOCKETS_BEGUN] - copy.cells[MetricCell.WEBSOCKETS_ENDED]),
    ),
    Gauge("logship_worker_up", "1 while the worker runs.", lambda _: 1),
    Gauge("logship_worker_start_time_seconds", "Start of the worker, since 1970.", _cell(MetricCell.STARTED_NS, SECOND_NS)),
    Gauge(
        "logship_worker_event_loop_utilization_ratio",
        "Share of time in which the thread of the event loop used CPU or was blocked.",
        _cell(MetricCell.UTILIZATION_PPM, 1e6),
    ),
    Gauge(
        "logship_worker_accept_queue_connections",
        "Connections that wait to be accepted; workers that share a socket report the same queue.",
        lambda copy: copy.cells[MetricCell.ACCEPT_QUEUE] - 1 if copy.cells[MetricCell.ACCEPT_QUEUE] else None,
    ),
    Gauge(
        "logship_worker_accept_queue_limit_connections", "Connections that may wait; the kernel refuses more.",
        lambda copy: copy.cells[MetricCell.ACCEPT_QUEUE_LIMIT] if copy.cells[MetricCell.ACCEPT_QUEUE] else None,
    ),
    Gauge("logship_worker_thread_pool_threads_busy", "Threads of AnyIO's pool that run a call.", _pool(MetricCell.POOL_BUSY)),
    Gauge("logship_worker_thread_pool_threads_limit", "Threads that AnyIO's pool may have.", _pool(MetricCell.POOL_SIZE)),
    Gauge(
        "logship_worker_thread_pool_waiting_calls",
        "Calls that wait for a thread of the pool.",
        _pool(MetricCell.POOL_WAITING),
    ),
    Gauge("logship_journal_bytes", "Bytes in the journal that are not acknowledged.", _cell(MetricCell.JOURNAL_BYTES)),
    Gauge(
        "logship_journal_limit_bytes", "Size at which the journal drops events.",
        lambda copy: copy.cells[MetricCell.JOURNAL_LIMIT_BYTES] or None,
    ),
    Gauge("process_resident_memory_bytes", "Resident memory of the worker.", _cell(MetricCell.RESIDENT_BYTES)),
    Gauge("process_open_fds", "Open file descriptors of the worker.", _cell(MetricCell.OPEN_FDS)),
    Gauge("process_max_fds", "File descriptors that the worker may open.", _cell(MetricCell.MAX_FDS)),
    Gauge("process_threads", "Python threads of the worker.", _cell(MetricCell.THREADS)),
)  # fmt: skip

COUNTERS: Final = (
    Counter("process_cpu_seconds", "CPU time of the worker.", MetricCell.CPU_NS, SECOND_NS),
    Counter("logship_worker_websockets_accepted", "Websockets that the worker handled.", MetricCell.WEBSOCKETS_BEGUN),
    Counter("logship_events_emitted", "Events that the worker emitted, dropped ones included.", MetricCell.EMITTED),
    Counter("logship_events_acknowledged", "Events that the agent acknowledged.", MetricCell.ACKNOWLEDGED),
)


class WorkerCollector(Collector):
    """Reads the metrics of all workers in a state directory, at each collection."""

    def __init__(
        self,
        state: Path | None,
        services: Callable[[], Iterable[str]] = tuple,
        own: Callable[[], Iterable[SlotMetrics]] = tuple,
    ) -> None:
        """`services`: only theirs, empty for all. `own`: further metrics, which are not in the directory `state`."""
        self._state = state
        self._services = services
        self._own = own

    def describe(self) -> Iterable[Metric]:
        """Return nothing: which metrics there are depends on the workers."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all families that have a sample."""
        stored = [] if self._state is None else metric_totals.read_all(self._state)
        slots = shown([*stored, *self._own()], frozenset(self._services()), time.time_ns())
        found = families(slots)
        if self._state is not None:
            found = chain(found, application.families(Home(self._state), slots))
        yield from (family for family in found if family.samples)


def shown(slots: Iterable[SlotMetrics], services: frozenset[str], now_ns: int) -> list[SlotMetrics]:
    """Return the slots to show: those with a worker, and those whose worker ended within the last hour."""
    return [
        slot
        for slot in slots
        if slot.slot is not None
        and (not services or slot.facts.service in services)
        and (slot.runs or now_ns - slot.ended_ns < SHOWN_NS)
    ]


def families(slots: list[SlotMetrics]) -> Iterator[Metric]:
    """Yield all families of `slots`."""
    yield from _requests(slots)
    yield _reasons(slots)
    yield _lag(slots)
    yield from _stalls(slots)
    for gauge in GAUGES:
        family = GaugeMetricFamily(gauge.name, gauge.help, labels=WORKER)
        for slot in slots:
            values = [value for run in slot.runs if (value := gauge.value(run)) is not None]
            if values:  # during a restart two runs share the slot
                family.add_metric(_labels(slot), sum(values) if gauge.name not in _NOT_SUMMED else max(values))
        yield family
    for counter in COUNTERS:
        counted = CounterMetricFamily(counter.name, counter.help, labels=WORKER)
        for slot in slots:
            counted.add_metric(_labels(slot), slot.counter(counter.cell) / counter.per)
        yield counted
    yield from _by_label(slots)
    yield _info(slots)


_NOT_SUMMED: Final = {
    "logship_worker_up",
    "logship_worker_start_time_seconds",
    "logship_worker_event_loop_utilization_ratio",
    "logship_worker_accept_queue_connections",
    "logship_worker_accept_queue_limit_connections",
}


def _labels(slot: SlotMetrics) -> list[str]:
    return [slot.facts.service, slot.facts.instance, f"w{slot.slot}"]


def _requests(slots: list[SlotMetrics]) -> Iterator[Metric]:
    durations = HistogramMetricFamily(
        "http_server_request_duration_seconds", "Duration of HTTP requests, to the last byte of the response.", labels=REQUEST
    )
    received = SummaryMetricFamily("http_server_request_body_size_bytes", "Bytes of request bodies.", labels=REQUEST)
    sent = SummaryMetricFamily("http_server_response_body_size_bytes", "Bytes of response bodies.", labels=REQUEST)
    for slot in slots:
        worker = _labels(slot)
        for packed, cells in slot.series.items():
            count = sum(cells[:SERIES_BUCKETS])
            if count:
                method, route, status = metric_file.label_values(packed)
                labels = [*worker, method, route, "" if status == "0" else status]
                durations.add_metric(labels, _buckets(cells), cells[metric_file.SERIES_DURATION_NS] / SECOND_NS)
                received.add_metric(labels, count, cells[metric_file.SERIES_REQUEST_BYTES])
                sent.add_metric(labels, count, cells[metric_file.SERIES_RESPONSE_BYTES])
    yield from (durations, received, sent)


_BOUNDS: Final = (*(f"{bound / SECOND_NS}" for bound in DURATION_BOUNDS_NS), "+Inf")


def _buckets(cells: list[int]) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """Return the buckets of a series, each with all shorter durations, and its exemplar in the bucket of its duration."""
    exemplar, place = _exemplar(cells), bisect_left(DURATION_BOUNDS_NS, cells[metric_file.EXEMPLAR_DURATION_NS])
    rows: list[tuple[str, float] | tuple[str, float, Exemplar]] = _cumulated(_BOUNDS, cells[:SERIES_BUCKETS])
    if exemplar is not None:
        rows[place] = (*rows[place][:2], exemplar)
    return rows


def _cumulated(bounds: Sequence[str], counts: Iterable[int]) -> list[Any]:
    """Return (bound, events up to it) of each bucket, as Prometheus counts them."""
    return [(bound, float(total)) for bound, total in zip(bounds, accumulate(counts), strict=True)]


def _exemplar(cells: list[int]) -> Exemplar | None:
    at = metric_file.EXEMPLAR_TRACE
    trace = b"".join(cell.to_bytes(8, "little") for cell in cells[at : at + 4])
    if not trace.strip(b"\0"):
        return None
    return Exemplar(
        {"trace_id": trace.decode("ascii", "replace")},
        cells[metric_file.EXEMPLAR_DURATION_NS] / SECOND_NS,
        cells[metric_file.EXEMPLAR_TIME_NS] / SECOND_NS,
    )


def _reasons(slots: list[SlotMetrics]) -> Metric:
    family = CounterMetricFamily(
        "logship_worker_requests",
        "Requests by how they ended; lost: in flight when their worker crashed.",
        labels=(*WORKER, "reason"),
    )
    for slot in slots:
        for reason, cell in metric_file.REASON_CELLS.items():
            family.add_metric([*_labels(slot), reason], slot.counter(cell))
        family.add_metric([*_labels(slot), "lost"], slot.interrupted)
    return family


def _lag(slots: list[SlotMetrics]) -> Metric:
    family = HistogramMetricFamily(
        "logship_worker_event_loop_lag_seconds", "How late a timer of the event loop fired; four a second.", labels=WORKER
    )
    bounds = [*(f"{bound / SECOND_NS}" for bound in LAG_BOUNDS_NS), "+Inf"]
    for slot in slots:
        counts = (slot.counter(MetricCell.LAG_BUCKETS + place) for place in range(len(bounds)))
        family.add_metric(_labels(slot), _cumulated(bounds, counts), slot.counter(MetricCell.LAG_SUM_NS) / SECOND_NS)
    return family


def _stalls(slots: list[SlotMetrics]) -> Iterator[Metric]:
    labels = (*WORKER, "reason")
    stalls = CounterMetricFamily("logship_worker_event_loop_stalls", "Times that the event loop was blocked.", labels=labels)
    stalled = CounterMetricFamily(
        "logship_worker_event_loop_stalled_seconds", "Time for which the event loop was blocked.", labels=labels
    )
    for slot in slots:
        for reason, (count, time_ns) in metric_file.STALL_CELLS.items():
            stalls.add_metric([*_labels(slot), reason], slot.counter(count))
            stalled.add_metric([*_labels(slot), reason], slot.counter(time_ns) / SECOND_NS)
    yield from (stalls, stalled)


def _by_label(slots: list[SlotMetrics]) -> Iterator[Metric]:
    restarts = CounterMetricFamily("logship_worker_restarts", "Runs of the worker after the first.", labels=WORKER)
    deaths = CounterMetricFamily(
        "logship_worker_deaths", "Crashes of the worker, by signal or exit status.", labels=(*WORKER, "reason")
    )
    dropped = CounterMetricFamily("logship_events_dropped", "Events that were lost, by reason.", labels=(*WORKER, "reason"))
    collections = CounterMetricFamily(
        "python_gc_collections", "Runs of the garbage collector, by generation.", labels=(*WORKER, "generation")
    )
    for slot in slots:
        worker = _labels(slot)
        restarts.add_metric(worker, max(0, slot.generation - 1))
        for reason in sorted({"SIGKILL", "unknown"} | set(slot.deaths)):
            deaths.add_metric([*worker, reason], slot.deaths[reason])
        for reason, cell in metric_file.DROP_CELLS.items():
            dropped.add_metric([*worker, reason], slot.counter(cell))
        for generation in range(3):
            collections.add_metric([*worker, str(generation)], slot.counter(MetricCell.GC_COLLECTIONS + generation))
    yield from (restarts, deaths, dropped, collections)


def _own_version() -> str:
    try:
        return version("logship")
    except PackageNotFoundError:  # run from a directory of sources
        return ""


def _info(slots: list[SlotMetrics]) -> Metric:
    family = GaugeMetricFamily(
        "logship_build_info", "1, with the version of the service and of logship.", labels=(*WORKER, "service_version", "version")
    )
    for slot in slots:
        if slot.runs:
            family.add_metric([*_labels(slot), slot.runs[-1].facts.version, _own_version()], 1)
    return family
