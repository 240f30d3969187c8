"""What was being answered: when workers died, out of their end records, and now, out of the cells of living ones."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from logship.search import kql
from logship.search.query import Page, Query, Record, Source
from logship.search.times import from_rfc3339

# Deaths in one answer; each names at most some tens of requests.
DEATHS_LIMIT = 1_000
_REQUEST = re.compile(r"(\S+) (.*) (\d+)ms", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One request without an end. `state`: running, or lost with its worker; `age_ns`: until now, or until the death.

    `began_ns`: when it began, for a lost one by the clock of the dead worker. A row without an id stands for requests
    that were counted and not named, `what` says how many."""

    state: str
    id: str
    what: str
    began_ns: int
    age_ns: int
    service: str
    node: str
    slot: int | None
    generation: int | None
    pid: int | None
    incarnation: str


def inflight(
    source: Source, query: Query, live: Iterable[Mapping[str, Any]] = (), now_ns: int = 0, worker: str = ""
) -> list[Unfinished]:
    """Return what is running (`live`, as of `now_ns`), oldest first, then what died with workers in `query`, newest
    death first.

    `live`: maps with started_ns, request_id, method and path of the cell, and service, node, slot, generation, pid and
    incarnation of the worker where known. `worker`: only this one, by slot, node, pid or incarnation."""
    running = sorted((_running(cell, now_ns) for cell in live), key=lambda one: one.began_ns)
    found = kql.parse("event.action: (worker-lost or worker-ended) and logship.in_flight.count > 0")
    deaths = source.search(
        Query(kql.every(found, query.where), query.since_ns, query.until_ns), Page(DEATHS_LIMIT)
    ).records
    lost = [one for death in deaths for one in _lost(death)]
    return [one for one in running + lost if not worker or is_worker(one, worker)]


def is_worker(one: Unfinished, worker: str) -> bool:
    """Return whether `worker` is the slot (`2`, `w2`), node, pid or incarnation of the request's worker."""
    slot = "" if one.slot is None else str(one.slot)
    return worker in (slot, f"w{slot}", one.node, str(one.pid), one.incarnation)


def _running(cell: Mapping[str, Any], now_ns: int) -> Unfinished:
    began_ns = int(cell["started_ns"])
    return Unfinished(
        state="running",
        id=str(cell.get("request_id", "")),
        what=f"{cell.get('method', '')} {cell.get('path', '')}".strip(),
        began_ns=began_ns,
        age_ns=max(0, now_ns - began_ns),
        service=cell.get("service") or "",
        node=cell.get("node") or "",
        slot=cell.get("slot"),
        generation=cell.get("generation"),
        pid=cell.get("pid"),
        incarnation=cell.get("incarnation") or "",
    )


def _lost(death: Record) -> list[Unfinished]:
    ids, texts = death.get("logship.in_flight.ids") or [], death.get("logship.in_flight.requests") or []
    count = death.get("logship.in_flight.count") or 0
    rows = [_row(death, id_, text) for id_, text in zip(ids, texts, strict=False)]
    if count > len(rows):
        rows.append(_row(death, "", f"and {count - len(rows)} more" if rows else f"{count} requests"))
    return rows


def _row(death: Record, request: str, text: str) -> Unfinished:
    died_ns = from_rfc3339(death["@timestamp"])
    parts = _REQUEST.fullmatch(text)
    age_ns = int(parts[3]) * 10**6 if parts else 0
    return Unfinished(
        state="lost",
        id=request,
        what=f"{parts[1]} {parts[2]}" if parts else text,
        began_ns=died_ns - age_ns,
        age_ns=age_ns,
        service=death.get("service.name", ""),
        node=death.get("service.node.name", ""),
        slot=death.get("logship.worker.slot"),
        generation=death.get("logship.worker.generation"),
        pid=death.get("process.pid"),
        incarnation=death.get("service.ephemeral_id", ""),
    )
