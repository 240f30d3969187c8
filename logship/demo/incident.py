"""The demo's incident: one worker becomes slow, the bank is unreachable, and one worker is killed while it handles requests.

This module causes the first and the last. The bank fails for a range of order numbers: `shop.OUTAGE`."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from logship.demo.traffic import Traffic
from logship.state import inflight
from logship.state.survey import survey

SLOW_AFTER_SECONDS = 6.0
KILL_AFTER_SECONDS = 30.0
SLOW_SECONDS = 120.0
# The kernel chooses the worker: so many requests are sent to reach one.
TRIES = 100
# The overview shows 15 minutes: there is always an incident in it.
INTERVAL_SECONDS = 300.0
REPORTS = 6
REPORTS_STARTED_SECONDS = 1.5


class Incident:
    """The incident of one shop. `killed`: pid of the last worker that was killed, or None."""

    def __init__(self, state: Path, traffic: Traffic, show: Callable[[str], None]) -> None:
        """`state`: the workers' state directory; `show`: called with lines for a person."""
        self.killed: int | None = None
        self._state, self._traffic, self._show = state, traffic, show
        self._slow: int | None = None

    async def run(self, seconds: float | None) -> None:
        """Cause the incident once within `seconds`, the length of the demo; None: every five minutes, until cancelled."""
        if seconds is not None:
            await self._once(min(SLOW_AFTER_SECONDS, seconds / 6), min(KILL_AFTER_SECONDS, seconds / 3))
            return
        while True:
            await self._once(SLOW_AFTER_SECONDS, KILL_AFTER_SECONDS)
            await asyncio.sleep(INTERVAL_SECONDS - KILL_AFTER_SECONDS)

    async def _once(self, slow_after: float, kill_after: float) -> None:
        await asyncio.sleep(slow_after)
        self._slow = await self._slow_down()
        await asyncio.sleep(kill_after - slow_after)
        await self._kill()

    async def _slow_down(self) -> int | None:
        """Make a worker slow, the same one as before if there is one. Return its pid, None if it was not reached."""
        target = "" if self._slow is None else f"&pid={self._slow}"
        for _ in range(TRIES):
            response = await self._traffic.get(f"/prices/forget?seconds={SLOW_SECONDS:g}{target}")
            if response is not None and response.isdigit() and int(response) == (self._slow or int(response)):
                self._show(f"incident   the worker with pid {int(response)} reads its prices from disk for {SLOW_SECONDS:g} s")
                return int(response)
        return None

    async def _kill(self) -> None:
        """Kill the busiest worker, but not the slow one, with -9 while it handles requests."""
        reports = [asyncio.create_task(self._traffic.get("/report?seconds=8")) for _ in range(REPORTS)]
        await asyncio.sleep(REPORTS_STARTED_SECONDS)
        for task in reports:
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        journals, _ = survey(self._state)
        workers = [journal for journal in journals if journal.owner is not None and journal.snapshot.slot is not None]
        workers = [worker for worker in workers if worker.snapshot.facts.pid != self._slow] or workers
        if not workers:
            return
        victim = max(workers, key=lambda worker: len(inflight.read(worker.directory))).snapshot
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.facts.pid, signal.SIGKILL)
        self.killed = victim.facts.pid
        self._show(f"incident   worker w{victim.slot} (pid {self.killed}) was killed with -9 while it handled requests")
