"""Follows the log levels that an operator sets for a while with `logship level`."""

import time

from logship.event import build
from logship.state import levels
from logship.state.home import home_of
from logship.worker.capture import install as capture
from logship.worker.capture import stdlib
from logship.worker.pipeline import Pipeline

LOOK_SECONDS = 1.0


class LevelWatch:
    """A task of the shipping thread. An override that ends is taken back, and both are recorded as events."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        # By logger, "" for all of them.
        self._in_force: dict[str, str] = {}

    def tick(self, now: float) -> float:
        wanted = self._wanted()
        if wanted != self._in_force:
            before, self._in_force = self._in_force, wanted
            self._apply(before)
        return LOOK_SECONDS

    def _wanted(self) -> dict[str, str]:
        directory, worker = self._pipeline.journal.directory, self._pipeline.worker
        if directory is None:
            return {}
        overrides = levels.read(home_of(directory).path)
        now_ns = time.time_ns()
        return {
            override.logger: override.level
            for override in overrides
            if override.level in build.LEVELS and override.concerns(worker.service, worker.slot, now_ns)
        }

    def _apply(self, before: dict[str, str]) -> None:
        usual = self._pipeline.settings.level
        level = self._in_force.get("", usual)
        if level != before.get("", usual):
            capture.install(level)
        stdlib.name_levels({name: build.LEVELS[level] for name, level in self._in_force.items() if name})
        for name in sorted({*before, *self._in_force}):
            if before.get(name) != self._in_force.get(name):
                self._pipeline.record(build.level_changed(name, self._in_force.get(name, "") or usual, name in self._in_force))
