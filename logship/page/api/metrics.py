"""The metrics of the collector for Prometheus: one table of names, types and help texts, from which `/metrics` is made.

The metrics of the workers of this machine come with them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from logship.page.context import PageContext
from logship.prometheus.exposition import Exposition, expose, worker_registry

ACK: Final = "ack_seconds"


class CollectorMetric(NamedTuple):
    """`key`: its name in `PageContext.health`; a key that ends in _total is a counter. `name`: in Prometheus, with the unit."""

    key: str
    name: str
    help: str


METRICS: Final = (
    CollectorMetric("connections", "logship_collector_open_connections", "Open connections from senders."),
    CollectorMetric("connections_total", "logship_collector_accepted_connections", "Accepted connections from senders."),
    CollectorMetric("received_bytes_total", "logship_collector_received_bytes", "Bytes received from senders."),
    CollectorMetric("frames_total", "logship_collector_received_frames", "Frames received."),
    CollectorMetric("records_total", "logship_collector_received_events", "Events received, including duplicates."),
    CollectorMetric("stored_total", "logship_collector_stored_events", "Events stored."),
    CollectorMetric("duplicates_total", "logship_collector_duplicate_events", "Events received that were stored already."),
    CollectorMetric("dead_letters_total", "logship_collector_dead_letter_events", "Events written to the dead letter file."),
    CollectorMetric("acknowledged_total", "logship_collector_acknowledged_frames", "Frames acknowledged."),
    CollectorMetric("refused_batches_total", "logship_collector_refused_frames", "Frames that could not be stored."),
    CollectorMetric("commits_total", "logship_collector_commits", "Commits; one makes a group of frames durable."),
    CollectorMetric("bad_peers_total", "logship_collector_bad_peers", "Connections closed because of invalid data."),
    CollectorMetric("slow_peers_total", "logship_collector_slow_peers", "Connections closed because of a timeout."),
    CollectorMetric("refused_connections_total", "logship_collector_refused_connections", "Connections refused at the limit."),
    CollectorMetric("idle_closed_total", "logship_collector_idle_connections_closed", "Idle connections closed to make room."),
    CollectorMetric("http_refused_total", "logship_http_refused_connections", "HTTP connections refused at the limit."),
    CollectorMetric("pending_bytes", "logship_collector_pending_bytes", "Bytes received and not stored yet."),
    CollectorMetric("half_frame_bytes", "logship_collector_half_frame_bytes", "Bytes of incomplete frames."),
    CollectorMetric("segments", "logship_store_segments", "Sealed segments."),
    CollectorMetric("store_bytes", "logship_store_size_bytes", "Size of the store on disk in bytes."),
    CollectorMetric("unsealed_logs", "logship_store_unsealed_logs", "Logs that are not sealed yet."),
    CollectorMetric("oldest_unsealed_seconds", "logship_store_oldest_unsealed_seconds", "Age of the oldest unsealed log."),
    CollectorMetric("sealing_fails", "logship_store_sealing_fails", "1 while sealing fails."),
)


def exposition(context: PageContext, accept: str, accept_encoding: str) -> Exposition:
    """Return the metrics, without those that `context.health()` lacks. `accept`, `accept_encoding`: headers of the request.

    `health()[ACK]`: {"le": {bound in seconds as text: acknowledgements up to it}, "sum": seconds}, bounds ascending."""
    registry = worker_registry(context.state_dir)
    registry.register(_HealthCollector(context.health()))
    return expose(registry, accept, accept_encoding)


class _HealthCollector(Collector):
    def __init__(self, health: Mapping[str, object]) -> None:
        self._health = health

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for metric in METRICS:
            value = self._health.get(metric.key)
            if isinstance(value, int | float):
                family = CounterMetricFamily if metric.key.endswith("_total") else GaugeMetricFamily
                yield family(metric.name, metric.help, value=float(value))
        ack = self._health.get(ACK)
        if isinstance(ack, Mapping):
            yield HistogramMetricFamily(
                "logship_collector_ack_seconds",
                "Time from the last byte of a frame to its acknowledgement.",
                buckets=[(bound, float(count)) for bound, count in ack["le"].items()],
                sum_value=float(ack["sum"]),
            )
