"""What the collector counts, for Prometheus: one table of names, types and sentences; `/metrics` is made from it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ACK: Final = "ack_seconds"


class Number(NamedTuple):
    """`key`: its name in what the process tells; `name`: that of Prometheus, base unit at its end."""

    key: str
    name: str
    type: Literal["counter", "gauge"]
    sentence: str


NUMBERS: Final = (
    Number("connections", "logship_collector_open_connections", "gauge", "Connections of senders now."),
    Number("connections_total", "logship_collector_accepted_connections", "counter", "Connections accepted."),
    Number("received_bytes_total", "logship_collector_received_bytes", "counter", "Bytes received from senders."),
    Number("frames_total", "logship_collector_received_frames", "counter", "Frames received."),
    Number("records_total", "logship_collector_received_events", "counter", "Events received, repeats included."),
    Number("stored_total", "logship_collector_stored_events", "counter", "Events stored."),
    Number("duplicates_total", "logship_collector_duplicate_events", "counter", "Events that were stored before."),
    Number("dead_letters_total", "logship_collector_dead_letter_events", "counter", "Events that fit nowhere, kept aside."),
    Number("acknowledged_total", "logship_collector_acknowledged_frames", "counter", "Frames acknowledged."),
    Number("refused_batches_total", "logship_collector_refused_frames", "counter", "Frames that could not be stored."),
    Number("commits_total", "logship_collector_commits", "counter", "Groups of frames made durable together."),
    Number("bad_peers_total", "logship_collector_bad_peers", "counter", "Connections closed for what they sent."),
    Number("slow_peers_total", "logship_collector_slow_peers", "counter", "Connections closed for what they did not send."),
    Number("refused_connections_total", "logship_collector_refused_connections", "counter", "Connections beyond the limit."),
    Number("idle_closed_total", "logship_collector_idle_connections_closed", "counter", "Silent connections closed for room."),
    Number("http_refused_total", "logship_http_refused_connections", "counter", "HTTP connections beyond the limit."),
    Number("undecided_bytes", "logship_collector_undecided_bytes", "gauge", "Bytes received and not yet stored."),
    Number("half_frame_bytes", "logship_collector_half_frame_bytes", "gauge", "Bytes received and not decoded."),
    Number("segments", "logship_store_segments", "gauge", "Sealed segments."),
    Number("store_bytes", "logship_store_size_bytes", "gauge", "Bytes of the store on disk."),
    Number("unsealed_logs", "logship_store_unsealed_logs", "gauge", "Logs that are not sealed yet."),
    Number("oldest_unsealed_seconds", "logship_store_oldest_unsealed_seconds", "gauge", "Age of the oldest log not sealed yet."),
    Number("sealing_fails", "logship_store_sealing_fails", "gauge", "1 while logs cannot be sealed."),
)  # fmt: skip


def exposition(told: Mapping[str, object]) -> bytes:
    """Return the text that Prometheus reads. Numbers that are not `told` are left out.

    `told[ACK]`: {"le": {bound in seconds: acknowledgements up to it}, "sum": seconds}, bounds as text in order."""
    registry = CollectorRegistry()
    registry.register(_Told(told))
    return generate_latest(registry)


class _Told(Collector):
    def __init__(self, told: Mapping[str, object]) -> None:
        self._told = told

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for one in NUMBERS:
            value = self._told.get(one.key)
            if isinstance(value, int | float):
                family = CounterMetricFamily if one.type == "counter" else GaugeMetricFamily
                yield family(one.name, one.sentence, value=float(value))
        ack = self._told.get(ACK)
        if isinstance(ack, Mapping):
            yield HistogramMetricFamily(
                "logship_collector_ack_seconds",
                "From the last byte of a frame to its acknowledgement.",
                buckets=[(bound, float(count)) for bound, count in ack["le"].items()],
                sum_value=float(ack["sum"]),
            )
