"""Which servers of this process serve, and what happens when the last of them stops."""

import asyncio
import os

from logship.worker.pipeline import Pipeline

FLUSH_SECONDS = 2.0

_serving: set[int] = set()
os.register_at_fork(after_in_child=_serving.clear)


def started(server: object) -> None:
    """Note that `server` serves from now on."""
    _serving.add(id(server))


def stopping(server: object) -> bool:
    """Note that `server` begins to stop. Return whether no other server of this process serves."""
    _serving.discard(id(server))
    return not _serving


async def close(pipeline: Pipeline) -> None:
    """Record `worker-closed` and wait, without blocking the loop, until all events are acknowledged; two seconds at most."""
    pipeline.close()
    if pipeline.shipper is not None:
        try:
            await asyncio.to_thread(pipeline.shipper.flush, FLUSH_SECONDS)
        except RuntimeError:  # not asyncio's loop, or its thread pool has ended
            pipeline.shipper.flush(FLUSH_SECONDS)
