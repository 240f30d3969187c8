"""Unfinished requests: running ones, from the tables of alive workers, and interrupted ones, from crash reports.

A table can only be read on the machine of its worker. From elsewhere the result names the workers whose running requests
are not visible, so that an empty result is never read as "nothing is running"."""

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

# Crashes in one result; each names some tens of requests at most.
DEATHS_LIMIT = 1_000
# A worker that was silent for longer is not expected to run requests, unless its last heartbeat counted some.
SILENT_NS = 15 * 60 * 10**9
# Names in a sentence; the result has all of them.
NAMED = 3
_REQUEST = re.compile(r"(\S+) (.*) (\d+)ms", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One unfinished request. `state`: "running", or "lost" (interrupted by a crash); `age_ns`: until now, or until the crash.

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
    """A worker whose running requests are not visible from here. `in_flight`: as of its newest heartbeat."""

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
    """A source that sees running requests itself: a collector on the machine of the workers, queried over HTTP."""

    def inflight(self, query: Query, worker: str) -> Report: ...


def report(source: Source, query: Query, here: Sequence[Living], now_ns: int, worker: str = "") -> Report:
    """Return running and interrupted requests in `query`, and the workers whose running requests are not visible.

    `here`: the alive workers of this machine; [] when `source` is about another machine."""
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
    """Return the workers that are alive or silent by `source` and may run requests, and are not among the incarnations `seen`.

    A worker whose last event is older than the window of `query` is not among them."""
    recent_ns = now_ns - SILENT_NS
    since_ns = None if query.since_ns is None else min(query.since_ns, recent_ns)
    runs = source.incarnations(Query(None, since_ns, None))
    found = [_unseen(run, now_ns) for run in runs if run.node and run.id not in seen]
    found = [one for one in found if one.state in ("alive", "silent") and (not worker or is_worker(one, worker))]
    found = [one for one in found if one.last_seen_ns >= recent_ns or one.in_flight]
    if not set(_names(query.where)) <= _WORKER_FIELDS:
        return found  # their requests are unknown
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


def _unseen(run: Incarnation, now_ns: int) -> Unseen:
    return Unseen(
        run.service, run.node, run.slot, run.generation, run.pid, run.id, state(run, now_ns), run.last_ns,
        number(run.last_beat, "logship.requests.in_flight"),
    )  # fmt: skip


def _worker_record(one: "Unseen | Unfinished") -> Record:
    values = (one.service or None, one.node or None, one.slot, one.generation, one.pid)
    told = dict(zip(LIFE_NAMES, values, strict=True)) | {"service.ephemeral_id": one.incarnation or None}
    return {name: value for name, value in told.items() if value is not None}


def _sentence(rows: Sequence[Unfinished], unseen: Sequence[Unseen], now_ns: int, worker: str) -> str:
    """What the rows do not show: that there are none, or that there may be more."""
    of = f" of worker {worker}" if worker else ""
    if not unseen:
        return "" if rows else f"no request{of} is running, and none was interrupted by a crash"
    named = ", ".join(_told(one, now_ns) for one in unseen[:NAMED])
    more = f" and {len(unseen) - NAMED} more" if len(unseen) > NAMED else ""
    lead = "" if rows else f"no running or interrupted request{of} is known; "
    workers = "1 worker" if len(unseen) == 1 else f"{len(unseen)} workers"
    return (
        f"{lead}running requests of {workers} are not visible from here ({named}{more}); "
        "query on the machine of the workers, or its collector"
    )


def _told(one: Unseen, now_ns: int) -> str:
    ago = max(0, now_ns - one.last_seen_ns) // 10**9
    counted = "" if one.in_flight is None else f"{one.in_flight} in flight at its last heartbeat, "
    return f"{one.node}: {counted}seen {ago} s ago"


def inflight(
    source: Source, query: Query, live: Iterable[Mapping[str, Any]] = (), now_ns: int = 0, worker: str = ""
) -> list[Unfinished]:
    """Return running requests (`live`, as of `now_ns`), oldest first, then those interrupted by crashes in `query`, newest
    crash first.

    `live`: maps with started_ns, request_id, method and path of the cell, and service, node, slot, generation, pid and
    incarnation of the worker where known. `worker`: only this one, by slot, node, pid or incarnation."""
    found = kql.parse("event.action: (worker-lost or worker-ended) and logship.in_flight.count > 0")
    reports = source.search(
        Query(kql.every(found, query.where), query.since_ns, query.until_ns), Page(DEATHS_LIMIT)
    ).records
    lost = [one for crash in reports for one in _lost(crash)]
    return running(live, query, now_ns, worker) + [one for one in lost if not worker or is_worker(one, worker)]


def running(live: Iterable[Mapping[str, Any]], query: Query, now_ns: int, worker: str = "") -> list[Unfinished]:
    """Return the requests of `live` that match the condition of `query` and `worker`, oldest first; times do not count."""
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


def _lost(crash: Record) -> list[Unfinished]:
    ids, texts = crash.get("logship.in_flight.ids") or [], crash.get("logship.in_flight.requests") or []
    count = crash.get("logship.in_flight.count") or 0
    rows = [_row(crash, id_, text) for id_, text in zip(ids, texts, strict=False)]
    if count > len(rows):
        rows.append(_row(crash, "", f"and {count - len(rows)} more" if rows else f"{count} requests"))
    return rows


def _row(crash: Record, request: str, text: str) -> Unfinished:
    died_ns = from_rfc3339(crash["@timestamp"])
    parts = _REQUEST.fullmatch(text)
    age_ns = int(parts[3]) * 10**6 if parts else 0
    return Unfinished(
        state="lost",
        id=request,
        what=f"{parts[1]} {parts[2]}" if parts else text,
        began_ns=died_ns - age_ns,
        age_ns=age_ns,
        service=crash.get("service.name", ""),
        node=crash.get("service.node.name", ""),
        slot=crash.get("logship.worker.slot"),
        generation=crash.get("logship.worker.generation"),
        pid=crash.get("process.pid"),
        incarnation=crash.get("service.ephemeral_id", ""),
    )
