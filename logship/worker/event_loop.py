"""What logship observes on the event loop of a server."""

import asyncio
from collections.abc import Callable

from logship.worker.loop_lag import LoopLag
from logship.worker.pipeline import Pipeline

# Called with each event loop that serves.
watchers: list[Callable[[asyncio.AbstractEventLoop], None]] = []


def watch(pipeline: Pipeline) -> None:
    """Measure the lag of the running event loop from now on, and call the watchers. Nothing happens without a running loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    pipeline.loop_lag = LoopLag(loop, pipeline.revive_shipper)
    for watcher in watchers:
        watcher(loop)
