"""`LOGSHIP_METRICS`: the worker that gets the address serves the metrics of all workers; another takes over when it ends."""

import contextlib
import os
from typing import TYPE_CHECKING

from logship.settings import host_and_port
from logship.worker.metrics.own import registry_of
from logship.worker.pipeline import Pipeline

if TYPE_CHECKING:
    from logship.prometheus.serve import MetricServer

BUSY_SECONDS = 1.0
POLL_SECONDS = 0.1
REQUESTS_A_TICK = 8


class MetricsEndpoint:
    """A task of the shipping thread: it accepts scrapes, and each is answered in a separate thread."""

    def __init__(self, pipeline: Pipeline, address: str) -> None:
        """`address`: HOST:PORT. SettingsError if it is not."""
        self._pipeline = pipeline
        self._host, self._port = host_and_port(address, "metrics")
        self._server: MetricServer | None = None
        os.register_at_fork(after_in_child=self._close)

    def tick(self, now: float) -> float:
        if self._pipeline.server is None:
            return BUSY_SECONDS
        if self._server is None:
            from logship.prometheus.serve import listen

            try:
                self._server = listen(self._host, self._port, registry_of(self._pipeline))
            except OSError:  # another worker has the address
                return BUSY_SECONDS
        for _ in range(REQUESTS_A_TICK):
            self._server.handle_request()
        return POLL_SECONDS

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.socket.close()
