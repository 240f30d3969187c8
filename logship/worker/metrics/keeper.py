"""Keeps the metrics of this worker up to date: what is sampled every second, and the totals of its slot."""

import contextlib
import time

from logship.state import metric_totals, segment
from logship.state.home import home_of
from logship.state.identity import Cell
from logship.state.metric_file import DROP_CELLS, MetricCell
from logship.worker.metrics import accept_queue, application, cpu_limits, vitals
from logship.worker.metrics.loop import Utilization
from logship.worker.pipeline import Pipeline

SAMPLE_SECONDS = 1.0
# A server may open its sockets after it began to serve. Each look costs 3 us for each open descriptor.
SOCKETS_SECONDS, SOCKETS_AGAIN_SECONDS = 5.0, 300.0
FOLD_SECONDS = 5.0
FIELDS = {
    "logship.process.cpu_ns": MetricCell.CPU_NS,
    "logship.process.rss_bytes": MetricCell.RESIDENT_BYTES,
    "logship.process.open_fds": MetricCell.OPEN_FDS,
    "logship.process.threads": MetricCell.THREADS,
}
POOL_FIELDS = {
    "logship.thread_pool.busy": MetricCell.POOL_BUSY,
    "logship.thread_pool.size": MetricCell.POOL_SIZE,
    "logship.thread_pool.waiting": MetricCell.POOL_WAITING,
}


class MetricKeeper:
    """A task of the shipping thread. It begins when the worker serves."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._listening: list[int] = []
        self._sockets_due = self._fold_due = 0.0
        self._sampled, self._reported = Utilization(), Utilization()
        pipeline.sample = self._sample_now
        pipeline.vitals = self.vitals

    def tick(self, now: float) -> float:
        if self._pipeline.server is None:
            return SAMPLE_SECONDS
        if now >= self._sockets_due:
            self._listening = accept_queue.listening()
            self._sockets_due = now + (SOCKETS_AGAIN_SECONDS if self._listening else SOCKETS_SECONDS)
        self.sample(now)
        with contextlib.suppress(OSError):
            self._attach()
        if now >= self._fold_due:
            self._fold_due = now + FOLD_SECONDS
            with contextlib.suppress(OSError):
                self._fold()
        return SAMPLE_SECONDS

    def sample(self, now: float) -> None:
        """Write what this process uses and what its journal holds. `now`: monotonic seconds."""
        pipeline = self._pipeline
        cells, journal = pipeline.metrics.cells, pipeline.journal
        used = vitals.read()
        cells[MetricCell.CPU_NS], cells[MetricCell.RESIDENT_BYTES] = used.cpu_ns, used.resident_bytes
        cells[MetricCell.OPEN_FDS], cells[MetricCell.MAX_FDS] = used.open_fds, used.max_fds
        cells[MetricCell.THREADS] = used.threads
        for generation, count in enumerate(used.collections):
            cells[MetricCell.GC_COLLECTIONS + generation] = count
        cells[MetricCell.EMITTED], cells[MetricCell.ACKNOWLEDGED] = journal.cells[Cell.SEQUENCE], journal.cells[Cell.ACKNOWLEDGED]
        cells[MetricCell.JOURNAL_BYTES] = journal.backlog_bytes()
        cells[MetricCell.JOURNAL_LIMIT_BYTES] = journal.limit_segments * segment.DATA_BYTES
        for reason, events in journal.identity.dropped().items():
            cells[DROP_CELLS[reason]] = events
        self._sample_queues(now)
        cells[MetricCell.UPDATED_NS] = time.time_ns()

    def _sample_now(self) -> None:
        if self._pipeline.server is not None:
            self.sample(time.monotonic())

    def _sample_queues(self, now: float) -> None:
        cells = self._pipeline.metrics.cells
        queue = accept_queue.read(self._listening)
        cells[MetricCell.ACCEPT_QUEUE] = 0 if queue is None else queue.connections + 1
        cells[MetricCell.ACCEPT_QUEUE_LIMIT] = 0 if queue is None else queue.limit
        watch = self._pipeline.loop_watch
        if watch is not None and watch.pool is not None:
            cells[MetricCell.POOL_BUSY], cells[MetricCell.POOL_SIZE] = watch.pool.busy(), watch.pool.size()
            cells[MetricCell.POOL_WAITING] = watch.pool.waiting()
        cells[MetricCell.UTILIZATION_PPM] = int(self._sampled.since(watch, now) * 1e6)

    def vitals(self) -> dict[str, object]:
        """Return the sampled numbers as fields of a heartbeat, without those that are unknown."""
        cells = self._pipeline.metrics.cells
        cells[MetricCell.CPU_NS] = time.process_time_ns()  # as of the same moment as the number of requests
        fields: dict[str, object] = {name: cells[cell] for name, cell in FIELDS.items() if cells[cell]}
        fields["logship.requests.ended"] = cells[MetricCell.ENDED]
        fields |= cpu_limits.fields()
        if cells[MetricCell.ACCEPT_QUEUE]:
            fields["logship.accept_queue.connections"] = cells[MetricCell.ACCEPT_QUEUE] - 1
            fields["logship.accept_queue.limit"] = cells[MetricCell.ACCEPT_QUEUE_LIMIT]
        if cells[MetricCell.POOL_SIZE]:
            fields |= {name: cells[cell] for name, cell in POOL_FIELDS.items()}
        if self._pipeline.loop_watch is not None:
            share = self._reported.since(self._pipeline.loop_watch, time.monotonic())
            fields["logship.loop.utilization"] = round(share, 4)
        return fields

    def _fold(self) -> None:
        pipeline = self._pipeline
        path, slots = pipeline.metrics.path, pipeline.slots
        if path is None or pipeline.journal.directory is None or slots is None or slots.claim is None:
            return
        if not slots.claim.replacement:
            metric_totals.fold(home_of(pipeline.journal.directory), path.parent, slots.claim.slot, time.time_ns())

    def _attach(self) -> None:
        """Have the application's metrics in the files of the slot that this process holds now."""
        slots, path = self._pipeline.slots, self._pipeline.metrics.path
        claim = None if slots is None else slots.claim
        if application.is_used() and path is not None and claim is not None and not claim.replacement:
            application.attach(path.parent / metric_totals.APPLICATION, claim.slot, claim.generation)
