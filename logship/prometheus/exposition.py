"""The metrics of workers as bytes, in the format that the scraper accepts, compressed if it accepts that."""

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector

from logship.prometheus.families import WorkerCollector
from logship.state.metric_totals import SlotMetrics

# Shorter answers are not worth the CPU time.
COMPRESSED_BYTES = 4096


class Exposition(NamedTuple):
    """`headers`: name and value of each header of the response, its length not included."""

    headers: list[tuple[str, str]]
    body: bytes


def worker_registry(
    state: Path | None, services: Callable[[], Iterable[str]] = tuple, own: Callable[[], Iterable[SlotMetrics]] = tuple
) -> CollectorRegistry:
    """Return a registry with the metrics of the workers in the state directory `state`, read at each scrape.

    `services`: only theirs; empty for all. `own`: metrics that are in no directory. The metrics that applications define with
    prometheus_client are included."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(state, services, own))
    return registry


def expose(registry: Collector, accept: str, accept_encoding: str) -> Exposition:
    """Return what `registry` collects now. `accept`, `accept_encoding`: headers of the request, "" without them.

    A scraper that accepts OpenMetrics gets it, with exemplars; others get Prometheus' text format."""
    encode, content_type = choose_encoder(accept)
    body = encode(registry)
    headers = [("content-type", content_type)]
    if len(body) > COMPRESSED_BYTES and gzip_accepted(accept_encoding):
        body = gzip.compress(body, compresslevel=1)
        headers += [("content-encoding", "gzip"), ("vary", "accept-encoding")]
    return Exposition(headers, body)

