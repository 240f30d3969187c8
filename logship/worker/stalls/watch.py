"""The watchdog of this process: made when the worker begins to serve, ended before a fork, forgotten by a child."""

import os

from logship.worker.fork import around_forks
from logship.worker.pipeline import Pipeline
from logship.worker.stalls.loops import running_loop
from logship.worker.stalls.watchdog import Watchdog
from logship.worker.thread_pool import thread_pool

# Timers of the event loop have a resolution of a millisecond.
LEAST_NS = 20_000_000

_watchdogs: list[Watchdog] = []


def watch(pipeline: Pipeline) -> None:
    """Watch the loop that runs the caller, unless `stall_seconds` is 0. Nothing happens without a running loop."""
    if not pipeline.settings.stall_seconds:
        return
    limit_ns = max(LEAST_NS, int(pipeline.settings.stall_seconds * 1e9))
    loop = running_loop(limit_ns)
    if loop is None:
        return
    _watchdogs[:] = [known for known in _watchdogs if known.watches()]
    watchdog = next((known for known in _watchdogs if known.pipeline is pipeline), None)
    if watchdog is None:
        watchdog = Watchdog(pipeline, limit_ns)
        _watchdogs.append(watchdog)
    watchdog.watch(loop, thread_pool())


def _pause() -> None:
    for watchdog in _watchdogs:
        watchdog.pause()


def _resume() -> None:
    for watchdog in _watchdogs:
        watchdog.resume()


os.register_at_fork(after_in_child=_watchdogs.clear)
around_forks(_pause, _resume)
