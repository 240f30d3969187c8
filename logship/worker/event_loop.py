"""What logship observes on the event loop of a server."""

import asyncio
import weakref
from collections.abc import Callable

from logship.worker.loop_lag import LoopLag
from logship.worker.metrics.loop import LoopWatch
from logship.worker.pipeline import Pipeline
from logship.worker.stalls import watch as stalls

_watched: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

# Called with each event loop that serves.
watchers: list[Callable[[asyncio.AbstractEventLoop], None]] = []


def watch(pipeline: Pipeline) -> None:
    """Watch the running event loop for stalls, measure its lag (asyncio), and call the watchers. Once for each loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        stalls.watch(pipeline)
        return
    if loop in _watched:
        return
    _watched.add(loop)
    stalls.watch(pipeline)
    pipeline.loop_watch = LoopWatch(pipeline, loop)
    pipeline.loop_lag = LoopLag(loop, pipeline.revive_shipper, pipeline.loop_watch.late)
    for watcher in watchers:
        watcher(loop)
