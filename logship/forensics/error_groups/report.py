"""The exceptions of a window in groups: how often, where, since when, and whether they are new since a deploy.

A worker gives each exception an `error.id` made of its class and all functions on the stack. Here those are one group that have
the same class and the same innermost function of the application: one error that is reached by two call paths is one group."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from logship.forensics.error_groups.trace import culprit, folded
from logship.search import kql
from logship.search.kql import equal, every, existing
from logship.search.query import Group, Page, Query, Record, Source
from logship.search.times import from_rfc3339
from logship.search.units import plural

# Those with the most events are read.
MOST_READ = 200
# Fingerprints in one query, which may be part of a URL, and exceptions that it reads to find the newest of each.
IDS_AT_ONCE, AT_ONCE = 50, 500
FIELDS = ("error.id", "error.type", "service.name", "service.version", "service.node.name", "http.route")
TIME = ("@timestamp",)
SHOWN = (*TIME, "error.message", "error.stack_trace")
STARTED = 'event.action: "worker-started" and service.version: *'


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """`type` and `culprit` (file and function) are what the exceptions have in common; `grouping_key` is made of both.

    `first_seen_ns` is that in the whole source, `last_seen_ns` that in the window. `workers`, `routes` and `versions` are
    ordered by their number of events. `new_since`: the newest version of the service, if the first of these exceptions came
    after it began and there was another version before; else "". `example`: the trace of the newest exception, with frames
    of libraries folded."""

    grouping_key: str
    type: str
    culprit: str
    message: str
    events: int
    service: str
    workers: list[str]
    routes: list[str]
    versions: list[str]
    first_seen_ns: int
    last_seen_ns: int
    new_since: str
    example: str
    kql: str


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """`groups`: those that are new since a deploy first, then the most frequent. `events`: all exceptions in the window;
    `unread_events`: those of rare fingerprints that were not grouped."""

    groups: list[ErrorGroup]
    events: int
    unread_events: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Deploy:
    """The newest version of a service, and when its first worker started. `only`: no other version is known."""

    version: str
    began_ns: int
    only: bool


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The exceptions with one `error.id`: counts by other fields, the newest record, and the time of the first one."""

    id: str
    counts: Sequence[Group]
    newest: Record
    first_ns: int

    def key(self) -> tuple[str, str, str]:
        """Return what exceptions of one group have in common: service, class and place."""
        return self.counts[0].keys[2], self.counts[0].keys[1], culprit(str(self.newest.get("error.stack_trace", "")))


def report(source: Source, window: Query) -> ErrorReport:
    """Return the exceptions of `window` in groups."""
    by_id: defaultdict[str, list[Group]] = defaultdict(list)
    for count in source.groups(window.narrowed(existing("error.id")), FIELDS):
        by_id[count.keys[0]].append(count)
    order = sorted(by_id, key=lambda id_: (-_events(by_id[id_]), id_))
    grouped: defaultdict[tuple[str, str, str], list[Occurrences]] = defaultdict(list)
    for occurrences in _occurrences(source, window, {id_: by_id[id_] for id_ in order[:MOST_READ]}):
        grouped[occurrences.key()].append(occurrences)
    newest = deploys(source)
    groups = [_group(members, newest) for members in grouped.values()]
    groups.sort(key=lambda group: (not group.new_since, -group.events, group.grouping_key))
    unread = sum(_events(by_id[id_]) for id_ in order[MOST_READ:])
    events = sum(map(_events, by_id.values()))
    return ErrorReport(groups, events, unread, _sentence(groups, events, unread))


def deploys(source: Source) -> dict[str, Deploy]:
    """Return the newest version of each service, from the starts of its workers."""
    starts = Query(kql.parse(STARTED))
    began: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for count in source.groups(starts, ("service.name", "service.version")):
        service, version = count.keys
        where = every(equal("service.name", service), equal("service.version", version))
        began[service][version] = _time_ns(_edge(source, starts.narrowed(where), False, TIME))
    return {
        service: Deploy(newest, versions[newest], len(versions) == 1)
        for service, versions in began.items()
        for newest in [max(versions, key=versions.__getitem__)]
    }


def _occurrences(source: Source, window: Query, by_id: Mapping[str, Sequence[Group]]) -> list[Occurrences]:
    newest = _edges(source, window, by_id, True, SHOWN)
    first = _edges(source, Query(None, None, window.until_ns), by_id, False, TIME)
    return [Occurrences(id_, counts, newest.get(id_, {}), _time_ns(first.get(id_, {}))) for id_, counts in by_id.items()]


def _edges(
    source: Source, query: Query, ids: Iterable[str], newest_first: bool, columns: tuple[str, ...]
) -> dict[str, Record]:
    """The newest, or the first, record of each fingerprint. One page has those of most; the next is about the others."""
    left, found = [*ids], dict[str, Record]()
    while left:
        some = left[:IDS_AT_ONCE]
        where = kql.either(*(equal("error.id", id_) for id_ in some))
        page = Page(AT_ONCE, newest_first, columns=("error.id", *columns))
        records = source.search(query.narrowed(where), page).records
        for record in records:
            found.setdefault(record["error.id"], record)
        # Without records, retention has removed them meanwhile.
        left = [id_ for id_ in left if id_ not in found and (records or id_ not in some)]
    return found


def _edge(source: Source, query: Query, newest_first: bool, columns: tuple[str, ...]) -> Record:
    return next(iter(source.search(query, Page(1, newest_first, columns=columns)).records), {})


def _group(members: Sequence[Occurrences], newest: dict[str, Deploy]) -> ErrorGroup:
    service, kind, place = members[0].key()
    counts = [count for occurrences in members for count in occurrences.counts]
    last = max((occurrences.newest for occurrences in members), key=_time_ns)
    first_ns = min(occurrences.first_ns for occurrences in members)
    deploy = newest.get(service)
    new = deploy is not None and not deploy.only and first_ns >= deploy.began_ns
    return ErrorGroup(
        hashlib.blake2b(f"{service}\n{kind}\n{place}".encode(), digest_size=16).hexdigest(),
        kind, place, str(last.get("error.message", "")), _events(counts), service,
        _values(counts, "service.node.name"), _values(counts, "http.route"), _values(counts, "service.version"),
        first_ns, _time_ns(last), deploy.version if deploy is not None and new else "",
        folded(str(last.get("error.stack_trace", ""))), _kql([occurrences.id for occurrences in members]),
    )  # fmt: skip


def _values(counts: Iterable[Group], field: str) -> list[str]:
    events: Counter[str] = Counter()
    for count in counts:
        events[count.keys[FIELDS.index(field)]] += count.events
    return [value for value, _ in events.most_common() if value]


def _events(counts: Iterable[Group]) -> int:
    return sum(count.events for count in counts)


def _time_ns(record: Record) -> int:
    return from_rfc3339(record["@timestamp"]) if record else 0


def _kql(ids: Sequence[str]) -> str:
    return kql.text_of(kql.either(*(equal("error.id", id_) for id_ in ids)))


def _sentence(groups: Sequence[ErrorGroup], events: int, unread: int) -> str:
    if not events:
        return "No exceptions in this window."
    new = sum(bool(group.new_since) for group in groups)
    since = f", {new} new since the newest version of the service" if new else ""
    rest = f" {plural(unread, 'exception')} with rare fingerprints not grouped." if unread else ""
    return f"{plural(events, 'exception')} in {plural(len(groups), 'group')}{since}.{rest}"
