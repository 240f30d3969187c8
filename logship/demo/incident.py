"""What goes wrong in the demo: a worker grows slow, the bank does not answer, a worker is killed in the middle of requests.

The first and the last are done from here. The bank fails by itself for some orders in a row: `shop.OUTAGE`."""

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
# The kernel chooses who answers: so often we ask for one worker.
TRIES = 100
# The overview shows a quarter of an hour: there is always an incident in it.
AGAIN_SECONDS = 300.0
REPORTS = 6
REPORTS_BEGUN_SECONDS = 1.5


class Incident:
    """The incident of one shop. `killed`: the pid of the last worker that was killed."""

    def __init__(self, state: Path, traffic: Traffic, show: Callable[[str], None]) -> None:
        """`state`: where the workers keep their journals; `show` gets lines for a person."""
        self.killed: int | None = None
        self._state, self._traffic, self._show = state, traffic, show
        self._slow: int | None = None

    async def run(self, seconds: float | None) -> None:
        """Let it happen. `seconds`: how long the demo lasts, all of it within; None: again and again."""
        if seconds is not None:
            await self._once(min(SLOW_AFTER_SECONDS, seconds / 6), min(KILL_AFTER_SECONDS, seconds / 3))
            return
        while True:
            await self._once(SLOW_AFTER_SECONDS, KILL_AFTER_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS - KILL_AFTER_SECONDS)

    async def _once(self, slow_after: float, kill_after: float) -> None:
        await asyncio.sleep(slow_after)
        self._slow = await self._forget()
        await asyncio.sleep(kill_after - slow_after)
        await self._kill()

    async def _forget(self) -> int | None:
        """Make a worker forget its prices, the one that was slow before if there is one; its pid, None if nobody answered."""
        wanted = "" if self._slow is None else f"&pid={self._slow}"
        for _ in range(TRIES):
            answer = await self._traffic.hold(f"/prices/forget?seconds={SLOW_SECONDS:g}{wanted}")
            if answer is not None and answer.isdigit() and int(answer) == (self._slow or int(answer)):
                self._show(f"incident   the worker with pid {int(answer)} reads its prices from disk for a while")
                return int(answer)
        return None

    async def _kill(self) -> None:
        """Kill the busiest worker but the slow one with -9 in the middle of its requests."""
        holding = [asyncio.create_task(self._traffic.hold("/report?seconds=8")) for _ in range(REPORTS)]
        await asyncio.sleep(REPORTS_BEGUN_SECONDS)
        for task in holding:
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        found, _ = survey(self._state)
        living = [one for one in found if one.owner is not None and one.snapshot.slot is not None]
        living = [one for one in living if one.snapshot.facts.pid != self._slow] or living
        if not living:
            return
        victim = max(living, key=lambda one: len(inflight.read(one.directory))).snapshot
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.facts.pid, signal.SIGKILL)
        self.killed = victim.facts.pid
        self._show(f"incident   worker w{victim.slot} (pid {self.killed}) was killed with -9 in the middle of its requests")
