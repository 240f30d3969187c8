"""Watches one event loop: samples its thread while it is late, and records each stall when it has ended.

A stall of more than a second is recorded while it lasts too: the worker may be killed before it ends."""

import sys
import time
from typing import Final

from logship.event import stall as events
from logship.event.stall import Place, Stall
from logship.worker.pipeline import Pipeline
from logship.worker.stalls import request as requests
from logship.worker.stalls.application import Application, is_debugger
from logship.worker.stalls.cause import Reason, StackSample, held_by_another, reason_of
from logship.worker.stalls.count import StallCount
from logship.worker.stalls.gc_pauses import GcPauses
from logship.worker.stalls.loops import QUIET_NS, WatchedLoop
from logship.worker.stalls.place import place_of
from logship.worker.stalls.pool import busy_stacks
from logship.worker.stalls.stack import Stack, stack_of

LONG_NS: Final = 1_000_000_000
# A stall of minutes needs no more samples than these.
SAMPLES_KEPT = 200
# A timer that is late by less is on time.
SLACK_NS = 5_000_000


class LoopObserver:
    """Observes `loop` for the watchdog, whose thread alone calls it."""

    def __init__(self, loop: WatchedLoop, pipeline: Pipeline, application: Application, pauses: GcPauses) -> None:
        self.loop = loop
        self._pipeline = pipeline
        self._application = application
        self._pauses = pauses
        self._count = StallCount(pipeline)
        self._before = loop.clocks.now()
        self._busy_ns = self._before.time_ns
        self._forget()

    def look(self, late_ns: int, switches: int) -> int:
        """Look at the loop; return for how many nanoseconds it has not run.

        `late_ns`: how late the watchdog itself is; `switches`: the context switches it made since its last look."""
        loop = self.loop
        if not loop.runs():
            loop.forget()
            self._forget()
            return 0
        while loop.gaps:
            self._finish(loop.gaps.popleft(), late_ns, switches)
        age_ns = time.monotonic_ns() - loop.seen_ns
        if age_ns < loop.interval_ns + SLACK_NS:
            if self._samples:
                self._forget()
            self._before = loop.clocks.now()
            self._note_quiet()
            return 0
        if len(self._samples) < SAMPLES_KEPT:
            self._sample(late_ns, switches)
        # A watchdog that was late may come at the end of a stall: it looks again before it reports that the stall continues.
        if age_ns >= max(LONG_NS, loop.limit_ns) + loop.interval_ns and not self._start_ns and late_ns < loop.limit_ns:
            self._record(loop.seen_ns, time.monotonic_ns(), self._samples, loop.interval_ns, ended=False)
        self._count.lasts(age_ns - loop.interval_ns // 2)
        return age_ns

    def _note_quiet(self) -> None:
        now_ns = self._before.time_ns
        if self._pipeline.journal.inflight.count():
            self._busy_ns = now_ns
        self.loop.quiet = now_ns - self._busy_ns > QUIET_NS

    def _forget(self) -> None:
        self._samples: list[StackSample] = []
        self._others: list[dict[str, Stack]] = []
        self._request: requests.Handled | None = None
        self._request_fields: dict[str, object] = {}
        self._running = 0
        self._start_ns = 0
        self._debugged = False
        self._count.end()

    def _sample(self, late_ns: int, switches: int) -> None:
        loop = self.loop
        # First what changes as soon as the loop runs again: reading a file releases the interpreter lock.
        moment = loop.clocks.now()
        frame = sys._current_frames().get(loop.thread)
        stack = stack_of(frame, loop.base_depth)
        task = requests.running_task(loop.asyncio_loop())
        self._note_request(requests.request_of(task, frame))
        del frame
        self._running = max(self._running, self._pipeline.journal.inflight.count())
        self._debugged = self._debugged or is_debugger(stack)
        if late_ns >= loop.busy_interval_ns or not self._application.owns_any(stack):
            self._others.append(busy_stacks(self._application, loop.thread))
        waited_ns = loop.clocks.waited_ns()
        self._samples.append(StackSample(moment, late_ns, switches, waited_ns, id(task) if task else 0, stack))

    def _note_request(self, request: requests.Handled | None) -> None:
        if request is None or request is self._request:
            return
        self._application.learn(requests.endpoint_of(request))
        if self._request is None:
            self._request_fields = requests.fields_of(request, self._pipeline.redactor)
        self._request = request

    def _finish(self, gap: tuple[int, int, int], late_ns: int, switches: int) -> None:
        begin_ns, end_ns, interval_ns = gap
        samples = [sample for sample in self._samples if begin_ns <= sample.moment.time_ns <= end_ns]
        if not samples:  # the watchdog did not run before the loop did
            samples = [StackSample(self.loop.clocks.now(), late_ns, switches, 0, 0, ())]
        self._record(begin_ns, end_ns, samples, interval_ns, ended=True)
        self._forget()
        self._before = self.loop.clocks.now()

    def _record(self, begin_ns: int, end_ns: int, samples: list[StackSample], interval_ns: int, ended: bool) -> None:
        gap_ns = end_ns - begin_ns
        reason = reason_of(self._before, samples, gap_ns, self._pauses.within(begin_ns, end_ns), self.loop.limit_ns)
        if self._debugged or (reason == "not_scheduled" and gap_ns < LONG_NS):
            return  # a busy machine is late for less than a second every day
        # The loop last ran at `begin_ns`, and would have run again an interval later: it stopped in between.
        duration_ns = gap_ns - interval_ns // 2
        start_ns = self._start_ns or time.time_ns() - (time.monotonic_ns() - end_ns) - duration_ns
        self._start_ns = start_ns
        without_line = reason in events.WITHOUT_LINE
        stall = Stall(
            start_ns, duration_ns, reason, self._running, None if without_line else self._place(reason, samples),
            {} if without_line else self._request_fields, ended,
        )  # fmt: skip
        self._count.add(reason, duration_ns)
        self._pipeline.record(events.stalled(stall))

    def _place(self, reason: Reason, samples: list[StackSample]) -> Place | None:
        redactor = self._pipeline.redactor
        if reason == "interpreter_held" and held_by_another(self._before, samples):
            self._request_fields = {}
            stacks = [(name, stack) for others in self._others for name, stack in others.items()]
            place = place_of([stack for _, stack in stacks], self._application, redactor)
            if place is None:
                return None
            name = next(name for name, stack in stacks if place_of([stack], self._application, redactor) == place)
            return place_of([dict(stacks)[name]], self._application, redactor, name.partition("\0")[0]) or place
        return place_of([sample.stack for sample in samples], self._application, redactor)
