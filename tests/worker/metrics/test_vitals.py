"""What heartbeats say about the process, its event loop and its queues."""

import asyncio
import os
import time
from pathlib import Path

import anyio.to_thread
import pytest

from logship.worker import event_loop
from logship.worker.metrics import vitals
from logship.worker.metrics.loop import LoopWatch, Utilization
from logship.worker.pipeline import Pipeline
from logship.worker.server_info import ServerInfo
from logship.worker.thread_pool import ThreadPool
from tests.worker.driving import desk


class Loop:
    """A loop that says how busy it was."""

    pool: ThreadPool | None = None

    def __init__(self) -> None:
        self.busy = (0, 0)

    def late(self, late_ns: int) -> None:
        raise AssertionError

    def busy_ns(self) -> tuple[int, int]:
        return self.busy


def test_utilization_is_the_greater_of_cpu_and_lag() -> None:
    loop, utilization = Loop(), Utilization()
    assert utilization.since(None, 1.0) == utilization.since(loop, 1.0) == 0.0
    loop.busy = (500_000_000, 100_000_000)
    assert utilization.since(loop, 2.0) == 0.5
    loop.busy = (600_000_000, 900_000_000)
    assert utilization.since(loop, 3.0) == pytest.approx(0.8)
    loop.busy = (9_000_000_000, 0)
    assert utilization.since(loop, 4.0) == 1.0


def test_a_process_knows_what_it_uses() -> None:
    used = vitals.read()
    assert used.cpu_ns > 0
    assert used.resident_bytes > 10**6
    assert 0 < used.open_fds <= used.max_fds
    assert (used.threads, len(used.collections)) >= (1, 3)


def test_heartbeats_carry_them(tmp_path: Path) -> None:
    with desk(tmp_path / "state") as worker:
        pipeline = worker.pipeline()
        pipeline.serve(ServerInfo("uvicorn", "8000", 1))
        asyncio.run(_busy(pipeline))
        beat = [event for event in worker.events() if event.get("event.action") == "worker-heartbeat"][-1]
    assert beat["process.pid"] == os.getpid()
    assert beat["logship.process.cpu_ns"] > 0
    assert beat["logship.process.rss_bytes"] > 10**6
    assert 0.2 < beat["logship.loop.utilization"] <= 1
    assert (beat["logship.thread_pool.busy"], beat["logship.thread_pool.waiting"]) == (1, 2)
    assert beat["logship.thread_pool.size"] == 1


async def _busy(pipeline: Pipeline) -> None:
    event_loop.watch(pipeline)
    watch = pipeline.loop_watch
    assert isinstance(watch, LoopWatch)
    limiter = anyio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = 1
    calls = [asyncio.create_task(anyio.to_thread.run_sync(time.sleep, 4.0)) for _ in range(3)]
    pipeline.vitals()
    for _ in range(12):
        await asyncio.sleep(0.05)
        time.sleep(0.2)
    pipeline.sample()
    pipeline.record_heartbeat()
    limiter.total_tokens = 3
    await asyncio.gather(*calls)
