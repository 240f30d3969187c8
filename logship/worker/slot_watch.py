"""The slot of this worker. A replacement that started early takes its slot when the worker that it replaces has ended."""

from logship.state import survey
from logship.state.home import home_of
from logship.state.identity import Cell
from logship.worker.pipeline import Pipeline

WAITING_SECONDS = 0.2
SETTLED_SECONDS = 2.0


class SlotWatch:
    """A task of the shipping thread. Polls the slots' locks every 0.2 s while this worker waits for its slot, else every 2 s."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._waiting_since = 0.0

    def tick(self, now: float) -> float:
        slots = self._pipeline.slots
        if slots is None:
            return WAITING_SECONDS
        waiting = slots.waiting()
        claim = slots.poll()
        if claim is None and waiting and self._is_additional(now):
            claim = slots.stay()
        if claim is not None:
            self._pipeline.set_claim(claim)
        return WAITING_SECONDS if waiting else SETTLED_SECONDS

    def _is_additional(self, now: float) -> bool:
        """Whether this waiting worker is an additional one (SIGTTIN) and not a replacement.

        True if it has waited longer than a replacement may, and no worker of its supervisor is closing."""
        server, directory = self._pipeline.server, self._pipeline.journal.directory
        if server is None or server.settle_seconds is None or directory is None:
            return False
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since < server.settle_seconds:
            return False
        journals, _ = survey.survey(home_of(directory).path)
        supervisor = self._pipeline.journal.identity.facts.supervisor
        return not any(
            journal.owner is not None
            and journal.snapshot.cells[Cell.CLOSING]
            and journal.snapshot.facts.supervisor == supervisor
            for journal in journals
        )
