"""Counts the stalls of an event loop in the metrics of the worker, which survive it."""

from logship.state.metric_file import STALL_CELLS
from logship.worker.pipeline import Pipeline


class StallCount:
    """Counts one stall after the other. The watchdog's thread alone calls it.

    A worker may be killed before a long stall ends: it is counted as soon as it is noticed, and its time while it lasts."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._reason = ""
        self._counted_ns = 0

    def add(self, reason: str, duration_ns: int) -> None:
        """Count a stall that has lasted for `duration_ns`; if it is counted already, what it has lasted since.

        Its first reason stays: counters do not go back."""
        first, self._reason = not self._reason, self._reason or reason
        count, time_ns = STALL_CELLS[self._reason]
        added_ns = max(0, duration_ns - self._counted_ns)
        self._counted_ns += added_ns
        cells = self._pipeline.metrics.cells
        cells[count] += int(first)
        cells[time_ns] += added_ns

    def lasts(self, duration_ns: int) -> None:
        """Add the time of a stall that is counted already; nothing happens otherwise."""
        if self._reason:
            self.add(self._reason, duration_ns)

    def end(self) -> None:
        """Note that the stall is over."""
        self._reason, self._counted_ns = "", 0
