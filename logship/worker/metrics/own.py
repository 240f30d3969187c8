"""The registry of metrics that a worker serves: those of all workers of its service on this machine."""

from typing import TYPE_CHECKING

from logship.state.home import home_of
from logship.state.metric_totals import SlotMetrics
from logship.worker.pipeline import Pipeline

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


def registry_of(pipeline: Pipeline) -> "CollectorRegistry":
    """Return the registry. ImportError without prometheus_client. Metrics that are only in memory are those of this worker."""
    from logship.prometheus.exposition import worker_registry

    directory = pipeline.journal.directory

    def in_memory() -> list[SlotMetrics]:
        if pipeline.metrics.path is not None:
            return []
        copy = pipeline.metrics.copy()
        slot = SlotMetrics(copy.facts, copy.slot or 0)
        slot.add(copy, alive=True)
        return [slot]

    return worker_registry(
        None if directory is None else home_of(directory).path, lambda: (pipeline.worker.service,), in_memory
    )
