"""Requests without an end: running now, from the tables of living workers, and lost, from the reports of dead ones.

A table can be read on the worker's own machine alone. Whoever asks elsewhere gets the workers that may be running
requests and cannot be seen, so that an empty answer is never taken for "nothing is running"."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from logship.forensics.beats import number, state
from logship.search import kql
from logship.search.kql import And, Is, Node, Not, Or, Range, Text
from logship.search.matches import matches
from logship.search.query import LIFE_NAMES, Incarnation, Page, Query, Record, Source
from logship.search.shorthand import field_of
from logship.search.times import from_rfc3339, rfc3339
from logship.state.living import Living

# Deaths in one answer; each names at most some tens of requests.
DEATHS_LIMIT = 1_000
# A worker that was not heard of for longer is not expected to be running requests.
SILENT_NS = 15 * 60 * 10**9
# Names in a sentence; the answer has all of them.
NAMED = 3
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


@dataclass(frozen=True, slots=True)
class Unseen:
    """A worker that may be running requests, which cannot be seen from here. `in_flight`: as of its newest heartbeat."""

    service: str
    node: str
    slot: int | None
    generation: int | None
    pid: int | None
    incarnation: str
    state: str
    last_seen_ns: int
    in_flight: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """`requests`: as `inflight` returns them; `not_visible`: workers whose running requests are not among them."""

    requests: list[Unfinished]
    not_visible: list[Unseen]
    sentence: str


@runtime_checkable
class Watcher(Protocol):
    """A source that sees requests run itself: a collector on the workers' machine, asked over HTTP."""

    def inflight(self, query: Query, worker: str) -> Report: ...


def report(source: Source, query: Query, here: Sequence[Living], now_ns: int, worker: str = "") -> Report:
    """Return what runs and what was lost in `query`, with the workers whose running requests nobody could see.

    `here`: the living workers of this machine; [] when its state is none of `source`'s business."""
    live = [cell for one in here for cell in one.cells()]
    seen = {one.incarnation for one in here}
    if isinstance(source, Watcher):
        far = source.inflight(query, worker)
        known = {(one.incarnation, one.id) for one in far.requests}
        near = [one for one in running(live, query, now_ns, worker) if (one.incarnation, one.id) not in known]
        rows = near + far.requests
        unseen = [one for one in far.not_visible if one.incarnation not in seen]
    else:
        rows = inflight(source, query, live, now_ns, worker)
        unseen = not_visible(source, query, seen, now_ns, worker)
    return Report(rows, unseen, _sentence(rows, unseen, now_ns, worker))


def not_visible(source: Source, query: Query, seen: Collection[str], now_ns: int, worker: str = "") -> list[Unseen]:
    """Return the workers that are alive, or silent for a short time, by `source`, and not among the incarnations `seen`."""
    lives = source.incarnations(Query(None, now_ns - SILENT_NS, None))
    found = [_unseen(life, now_ns) for life in lives if life.node and life.id not in seen]
    found = [one for one in found if one.state in ("alive", "silent") and (not worker or is_worker(one, worker))]
    if not set(_names(query.where)) <= _WORKER_FIELDS:
        return found  # what they are serving is not known
    return [one for one in found if matches(query.where, _worker_record(one), now_ns)]


_WORKER_FIELDS = {*LIFE_NAMES, "service.ephemeral_id"}


def _names(node: Node | None) -> list[str]:
    match node:
        case And(parts) | Or(parts):
            return [name for part in parts for name in _names(part)]
        case Not(part):
            return _names(part)
        case Is(Text(name), _) | Range(Text(name), _, _):
            return [field_of(name)]
    return [] if node is None else [""]


def _unseen(life: Incarnation, now_ns: int) -> Unseen:
    return Unseen(
        life.service, life.node, life.slot, life.generation, life.pid, life.id, state(life, now_ns), life.last_ns,
        number(life.last_beat, "logship.requests.in_flight"),
    )  # fmt: skip


def _worker_record(one: "Unseen | Unfinished") -> Record:
    values = (one.service or None, one.node or None, one.slot, one.generation, one.pid)
    told = dict(zip(LIFE_NAMES, values, strict=True)) | {"service.ephemeral_id": one.incarnation or None}
    return {name: value for name, value in told.items() if value is not None}


def _sentence(rows: Sequence[Unfinished], unseen: Sequence[Unseen], now_ns: int, worker: str) -> str:
    """What the rows do not say: that there are none, or that there may be more."""
    of = f" of worker {worker}" if worker else ""
    if not unseen:
        return "" if rows else f"nothing{of} is in flight, and no request was lost with its worker"
    named = ", ".join(_told(one, now_ns) for one in unseen[:NAMED])
    more = f" and {len(unseen) - NAMED} more" if len(unseen) > NAMED else ""
    lead = "" if rows else f"no request{of} is known to be in flight or lost; "
    workers = "1 worker" if len(unseen) == 1 else f"{len(unseen)} workers"
    return (
        f"{lead}running requests of {workers} are not visible from here ({named}{more}); "
        "ask on the machine of the workers, or its collector"
    )


def _told(one: Unseen, now_ns: int) -> str:
    ago = max(0, now_ns - one.last_seen_ns) // 10**9
    counted = "" if one.in_flight is None else f"{one.in_flight} in flight at its last heartbeat, "
    return f"{one.node}: {counted}seen {ago} s ago"


def inflight(
    source: Source, query: Query, live: Iterable[Mapping[str, Any]] = (), now_ns: int = 0, worker: str = ""
) -> list[Unfinished]:
    """Return what is running (`live`, as of `now_ns`), oldest first, then what died with workers in `query`, newest
    death first.

    `live`: maps with started_ns, request_id, method and path of the cell, and service, node, slot, generation, pid and
    incarnation of the worker where known. `worker`: only this one, by slot, node, pid or incarnation."""
    found = kql.parse("event.action: (worker-lost or worker-ended) and logship.in_flight.count > 0")
    deaths = source.search(
        Query(kql.every(found, query.where), query.since_ns, query.until_ns), Page(DEATHS_LIMIT)
    ).records
    lost = [one for death in deaths for one in _lost(death)]
    return running(live, query, now_ns, worker) + [one for one in lost if not worker or is_worker(one, worker)]


def running(live: Iterable[Mapping[str, Any]], query: Query, now_ns: int, worker: str = "") -> list[Unfinished]:
    """Return the requests of `live` that `query` and `worker` mean, oldest first; its times are those of deaths."""
    rows = [one for one in (_running(cell, now_ns) for cell in live) if not worker or is_worker(one, worker)]
    if query.where is not None:
        rows = [one for one in rows if matches(query.where, _as_record(one), now_ns)]
    return sorted(rows, key=lambda one: one.began_ns)


def _as_record(one: Unfinished) -> Record:
    method, _, path = one.what.partition(" ")
    request = {"http.request.id": one.id, "http.request.method": method, "url.path": path, "message": one.what}
    return _worker_record(one) | {"@timestamp": rfc3339(one.began_ns), "event.duration": one.age_ns} | request


def is_worker(one: "Unfinished | Unseen", worker: str) -> bool:
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
