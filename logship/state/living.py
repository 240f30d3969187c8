"""The live workers of this machine, and the requests that each of them is handling."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from logship.event.build import Worker
from logship.state import inflight
from logship.state.identity import Cell, IdentitySnapshot
from logship.state.survey import survey


@dataclass(frozen=True, slots=True)
class Living:
    """One live worker, as its journal describes it, and its running requests, oldest first."""

    incarnation: str
    service: str
    node: str | None
    slot: int | None
    generation: int
    pid: int
    requests: tuple[inflight.Running, ...] = ()

    def cells(self) -> list[dict[str, Any]]:
        """Return one map for each request, with its worker, as `forensics.inflight` expects."""
        worker = asdict(self)
        requests = worker.pop("requests")
        return [request | worker for request in requests]


def living(state: Path) -> list[Living]:
    """Return the live workers with journals in the state directory `state`; [] if it cannot be read."""
    try:
        found, _ = survey(state)
    except OSError:
        return []
    return [_living(one.directory, one.snapshot) for one in found if one.owner]


def _living(directory: Path, snapshot: IdentitySnapshot) -> Living:
    facts, slot = snapshot.facts, snapshot.slot
    told = Worker(snapshot.incarnation, facts.service, facts.host, facts.pid, instance=facts.instance, slot=slot)
    requests = tuple(inflight.read(directory))
    generation = snapshot.cells[Cell.GENERATION]
    return Living(snapshot.incarnation, facts.service, told.node(), slot, generation, facts.pid, requests)
