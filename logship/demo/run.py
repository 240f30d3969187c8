"""The demo from start to end: a collector, the shop under uvicorn, traffic, an incident, and the delivery check."""

import asyncio
import contextlib
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from logship.demo import processes
from logship.demo.incident import Incident
from logship.demo.outcome import Outcome, measure
from logship.demo.processes import Layout, free_address
from logship.demo.traffic import Traffic

COMMANDS = ("findings", "workers", "search 'http.response.status_code >= 500'", "tail", "verify")


class Demo:
    """One demo. `outcome` is set when `run` has ended, by itself or because it was cancelled."""

    def __init__(self, workers: int, seconds: float | None, show: Callable[[str], None]) -> None:
        """`seconds`: None runs until cancelled; `show`: called with lines for a person."""
        self.outcome: Outcome | None = None
        self._workers = workers
        self._seconds = seconds
        self._show = show
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Start everything, let the incident happen, stop everything. LogshipError if a part does not start.

        SIGTERM ends it like the end of its time, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            # Without a handler the parts, which are separate processes, would continue.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        with tempfile.TemporaryDirectory(prefix="logship-demo-") as folder:
            layout = Layout(Path(folder), free_address(24224), free_address(24280), free_address(8000))
            async with processes.collector(layout), processes.shop(layout, self._workers) as pid:
                self._show_addresses(layout)
                await self._run_incident(layout, pid)

    def _show_addresses(self, layout: Layout) -> None:
        url = f"http://{layout.http}"
        source = "" if layout.http == "127.0.0.1:24280" else f" --source {url}"
        self._show(f"shop       http://{layout.shop}   {self._workers} uvicorn workers, about 80 requests a second")
        self._show(f"page       {url}/?last=5m   open it in a browser")
        self._show("try, in another terminal:")
        for command in COMMANDS:
            self._show(f"  logship {command}{source}")

    async def _run_incident(self, layout: Layout, shop_pid: int) -> None:
        traffic = Traffic(int(layout.shop.rpartition(":")[2]))
        incident = Incident(layout.state.path, traffic, self._show)
        began = time.monotonic()
        tasks = [asyncio.create_task(traffic.run()), asyncio.create_task(incident.run(self._seconds))]
        try:
            if self._seconds is None:
                self._show("running until Ctrl-C")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._seconds)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._show("stopping, then checking that every event was stored")
            await asyncio.to_thread(processes.stop_shop, shop_pid)
            seconds = time.monotonic() - began
            self.outcome = await asyncio.to_thread(measure, layout, seconds, traffic.sent, incident.killed)
