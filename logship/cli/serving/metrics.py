"""`logship run --metrics`: the metrics of the workers of the command, served by the process that runs it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import click

from logship.settings import Settings, host_and_port
from logship.state.living import living
from logship.state.processes import ancestors


@contextlib.contextmanager
def serving_metrics(address: str, settings: Settings) -> Iterator[None]:
    """Serve at `address` in the background. UsageError if it cannot be bound; SettingsError if it is not an address.

    The services are those of live workers that descend from this process; before the first of them, the setting `service`."""
    from logship.prometheus.exposition import worker_registry
    from logship.prometheus.serve import listen

    state = Path(settings.state_dir)
    known: set[str] = set()

    def services() -> set[str]:
        known.update(worker.service for worker in living(state) if os.getpid() in ancestors(worker.pid))
        return known or {settings.service}

    host, port = host_and_port(address, "metrics")
    try:
        server = listen(host, port, worker_registry(state, services))
    except OSError as error:
        raise click.UsageError(f"--metrics: cannot listen on {address}: {error.strerror or error}") from error
    # Signals belong to the thread that relays them to the command.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        threading.Thread(target=server.serve_forever, name="logship-metrics", daemon=True).start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield
    finally:
        server.server_close()
