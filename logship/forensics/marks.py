"""Marks for charts: when versions, settings and the number of workers of a service changed, which workers crashed, annotations.

They are read from the events of workers: `worker-started` has the version and the settings, and with the end records it tells
how many workers there are. What happens to a service with pauses of at most a minute is one change: a rolling deploy
restarts its workers one after the other."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from logship.forensics.annotations import annotations
from logship.forensics.finding import short
from logship.search import kql
from logship.search.kql import equal
from logship.search.query import Page, Query, Record, Source
from logship.search.times import SECOND_NS, from_rfc3339
from logship.search.units import plural
from logship.search.views import NODE

MarkKind: TypeAlias = Literal["start", "deploy", "settings", "workers", "restart", "crash", "annotation"]
STARTED, CRASHED = "worker-started", "worker-lost"
ENDS = (CRASHED, "worker-closed", "worker-ended")
CHANGES = f"event.action: ({' or '.join((STARTED, *ENDS))})"
SERVICE, VERSION, SETTINGS = "service.name", "service.version", "logship.settings"
COLUMNS = ("event.action", SERVICE, VERSION, SETTINGS, NODE, "logship.in_flight.count")
PAUSE_NS = 60 * SECOND_NS
# Workers send a heartbeat every ten seconds by default: those of this time before the window are there when it begins.
BEFORE_NS = 60 * SECOND_NS
RECORDS, SHOWN = 5_000, 6


@dataclass(frozen=True, slots=True)
class Mark:
    """A change of `service` from `time_ns` to `until_ns`, the same for a single moment. `workers`: the nodes that it concerns;
    `query`: KQL that finds its events."""

    time_ns: int
    until_ns: int
    kind: MarkKind
    service: str
    workers: list[str]
    sentence: str
    query: str


@dataclass(slots=True)
class _Now:
    """The workers of a service at a moment, and the version and the settings that were started last; None if unknown."""

    nodes: set[str] = field(default_factory=set)
    version: str | None = None
    settings: tuple[str, ...] | None = None


def marks(source: Source, query: Query) -> list[Mark]:
    """Return the marks of `query`, whose times must be set, oldest first."""
    by_service: defaultdict[str, list[Record]] = defaultdict(list)
    page = Page(RECORDS, newest_first=False, columns=COLUMNS)
    for record in source.search(query.narrowed(kql.parse(CHANGES)), page).records:
        by_service[str(record.get(SERVICE, ""))].append(record)
    before = _nodes_before(source, query)
    found = []
    for service, records in by_service.items():
        now = _before(source, query, service, before[service])
        for change in _changes(records):
            found += _crashes(service, change)
            found += _marks(service, change, now)
    found += [
        Mark(note.time_ns, note.time_ns, "annotation", note.service, [], note.text, note.query)
        for note in annotations(source, query)
    ]
    return sorted(found, key=lambda mark: mark.time_ns)


def _nodes_before(source: Source, query: Query) -> defaultdict[str, set[str]]:
    """The nodes of each service that sent an event shortly before the window and had not ended."""
    since_ns = query.since_ns or 0
    found: defaultdict[str, set[str]] = defaultdict(set)
    for run in source.incarnations(replace(query, since_ns=since_ns - BEFORE_NS, until_ns=since_ns)):
        if run.node and not (run.ended and run.last_ns < since_ns):
            found[run.service].add(run.node)
    return found


def _before(source: Source, query: Query, service: str, nodes: set[str]) -> _Now:
    earlier = Query(kql.every(equal("event.action", STARTED), equal(SERVICE, service)), until_ns=query.since_ns)
    records = source.search(earlier, Page(1, columns=COLUMNS)).records
    return _Now(nodes, *_started_with(records[0])) if records else _Now(nodes)


def _started_with(record: Record) -> tuple[str, tuple[str, ...] | None]:
    """The version and the settings; None for settings that were not recorded."""
    settings = record.get(SETTINGS)
    return str(record.get(VERSION, "")), None if settings is None else tuple(settings)


def _changes(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Yield the records in groups without a long pause."""
    group: list[Record] = []
    for record in records:
        if group and _ns(record) - _ns(group[-1]) > PAUSE_NS:
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _crashes(service: str, change: Sequence[Record]) -> list[Mark]:
    crashes = [record for record in change if record["event.action"] == CRASHED]
    return [_crash(service, record) for record in crashes]


def _crash(service: str, record: Record) -> Mark:
    node, at_ns = str(record.get(NODE, "")), _ns(record)
    running = int(record.get("logship.in_flight.count") or 0)
    interrupting = f", interrupting {plural(running, 'request')}" if running else ""
    query = kql.text_of(kql.every(equal("event.action", CRASHED), equal(NODE, node)))
    return Mark(at_ns, at_ns, "crash", service, [node], f"{short(node) or 'A worker'} crashed{interrupting}.", query)


def _marks(service: str, change: Sequence[Record], now: _Now) -> list[Mark]:
    """The marks of one change; `now` is then as of its end."""
    workers_before, started = len(now.nodes), [record for record in change if record["event.action"] == STARTED]
    first = now.version is None and not now.nodes
    found = [*_new(service, started, now)] if not first else []
    for record in started:
        now.version, now.settings = _started_with(record)
    _count(change, now)
    if first and started:
        of_version = f", version {now.version}" if now.version else ""
        found = [_mark("start", service, started, f"{service} started with {plural(len(now.nodes), 'worker')}{of_version}.")]
    elif len(now.nodes) != workers_before:
        sentence = f"{service} has {plural(len(now.nodes), 'worker')} (before: {workers_before:,})."
        found.append(_mark("workers", service, change, sentence))
    elif started and not found and not any(record["event.action"] == CRASHED for record in change):
        found.append(_mark("restart", service, started, f"{_named(started)} restarted."))
    return found


def _new(service: str, started: Sequence[Record], now: _Now) -> Iterator[Mark]:
    """Yield a mark for each version and each choice of settings that was not the last one started."""
    version, settings = now.version, now.settings
    starts = [(*_started_with(record), record) for record in started]
    for new_version in dict.fromkeys(new for new, _, _ in starts):
        if version is not None and new_version != version:
            own = [record for new, _, record in starts if new == new_version]
            sentence = f"Version {new_version or '(none)'} started on {_named(own)} (before: {version or '(none)'})."
            yield _mark("deploy", service, own, sentence, VERSION, new_version)
    for new_settings in dict.fromkeys(new for _, new, _ in starts):
        if settings is not None and new_settings is not None and set(new_settings) != set(settings):
            own = [record for _, new, record in starts if new == new_settings]
            yield _mark("settings", service, own, f"{_named(own)} started with other settings: {_diff(settings, new_settings)}.")


def _diff(before: Sequence[str], after: Sequence[str]) -> str:
    """The settings that differ, as name: before -> after."""
    old, new = (dict(setting.partition("=")[::2] for setting in settings) for settings in (before, after))
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    texts = [f"{name}: {old.get(name, '(default)')} -> {new.get(name, '(default)')}" for name in names]
    return "; ".join(texts[:SHOWN]) + (f"; {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")


def _count(change: Sequence[Record], now: _Now) -> None:
    """Add the workers that started and remove those that ended, in this order of time; a node may do both."""
    for record in change:
        node = str(record.get(NODE, ""))
        if not node:
            continue
        if record["event.action"] == STARTED:
            now.nodes.add(node)
        else:
            now.nodes.discard(node)


def _mark(
    kind: MarkKind, service: str, records: Sequence[Record], sentence: str, name: str = "", value: str = ""
) -> Mark:
    times = [_ns(record) for record in records]
    nodes = sorted({str(record[NODE]) for record in records if record.get(NODE)})
    actions = kql.either(*(equal("event.action", action) for action in dict.fromkeys(r["event.action"] for r in records)))
    condition = equal(name, value) if name and value else None
    query = kql.text_of(kql.every(actions, equal(SERVICE, service) if service else None, condition))
    return Mark(min(times), max(times), kind, service, nodes, sentence, query)


def _named(records: Sequence[Record]) -> str:
    nodes = {str(record.get(NODE, "")) for record in records}
    return short(next(iter(nodes))) or "1 worker" if len(nodes) == 1 else plural(len(nodes), "worker")


def _ns(record: Record) -> int:
    return from_rfc3339(record["@timestamp"])
