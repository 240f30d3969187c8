"""Heartbeats: a timestamp in the identity table every second, an event every ten."""

import time

from logship.state.identity import Cell
from logship.worker.pipeline import Pipeline

ALIVE_SECONDS = 1.0


class Heartbeat:
    """A task of the shipping thread. Heartbeat events begin when the worker serves."""

    def __init__(self, pipeline: Pipeline, interval_seconds: float) -> None:
        self._pipeline = pipeline
        self._interval_seconds = interval_seconds
        self._due = time.monotonic() + interval_seconds

    def tick(self, now: float) -> float:
        self._pipeline.journal.cells[Cell.ALIVE_NS] = time.time_ns()
        if now >= self._due and self._pipeline.server is not None:
            self._due = now + self._interval_seconds
            self._pipeline.record_heartbeat()
        return min(ALIVE_SECONDS, self._interval_seconds)
