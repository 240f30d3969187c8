"""What stands out in a window: crashes, a slow worker, failing routes, unbalanced traffic, lost events, silence.

Each rule takes values that were read before and returns findings; `standout` reads the values and applies all rules."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from logship.forensics.balance import LEAST_REQUESTS, NO_TIMES, Balance, balances, name_of
from logship.forensics.compare.significance import g_test, p_value
from logship.forensics.connections import Connections, connections
from logship.forensics.finding import Finding
from logship.forensics.stalls import stalls
from logship.forensics.timeline import timeline
from logship.forensics.verify import set_aside
from logship.forensics.workers import WorkerRow, workers
from logship.search import kql
from logship.search.kql import equal
from logship.search.query import Bucket, Page, Query, Record, SetAside, Source, Stat
from logship.search.times import from_rfc3339
from logship.search.units import duration, plural, share
from logship.search.views import BEATS, BY_NAME, DURATION, FAILURES, NODE, ROUTE, SERVED

# A worker is slow when its p99 is more than twice that of the others, and by more than 5 ms.
SLOWER = 2
LEAST_SLOWER_NS = 5_000_000
# A percentile of fewer requests is one of them.
LEAST_OF_ROUTE = 10
# A loop that is late by less is late by chance.
LEAST_LAG_NS = 30_000_000
# Beyond so many, one finding counts the rest.
CRASHES_NAMED, ROUTES_NAMED, REASONS_NAMED, TYPES_NAMED = 3, 5, 2, 3
WORKERS_NAMED = 5
CRASHES = "event.action: worker-lost"
# Routes below this ratio of failures are compared with the time before, if that has so many requests of them.
OFTEN = 0.02
LEAST_BEFORE = 50
ROUTES_LIMIT = 1000
# Of a hundred routes that fail as often as before, one is shown nevertheless.
CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class Standout:
    """`findings`: the most severe first; `sentence`: how many there are, or what was checked and found in order.

    `not_judged`: what could not be checked, as sentences."""

    findings: list[Finding]
    balances: list[Balance]
    not_judged: list[str]
    sentence: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What several rules judge. `routes`: all requests by route; `until_ns`: the end of `query`, or now."""

    query: Query
    workers: Sequence[WorkerRow]
    routes: Sequence[Stat]
    until_ns: int


def standout(source: Source, query: Query, now_ns: int) -> Standout:
    """Return what stands out in `query`, whose times must be set. The state of workers is as of its end, or now."""
    return judge(source, observe(source, query, now_ns))


def observe(source: Source, query: Query, now_ns: int) -> Observed:
    """Read what several rules judge; what a single rule needs it reads itself."""
    assert query.since_ns is not None
    until_ns = now_ns if query.until_ns is None else min(query.until_ns, now_ns)
    return Observed(
        query,
        workers(source, query.since_ns, until_ns, query.where),
        source.stats(query.narrowed(kql.parse(SERVED)), DURATION, ROUTE),
        until_ns,
    )


def judge(source: Source, observed: Observed) -> Standout:
    """Apply all rules to what was observed; some of them query the source for reasons."""
    query, rows = observed.query, observed.workers
    names = WorkerNames(rows)
    shared = shared_traffic(source, observed)
    failed = query.narrowed(kql.parse(FAILURES))
    failures = source.tally(failed, ROUTE, None, "error.type")
    unusual = _unusual(source, observed, failures)
    findings = [
        *crashes(source, query, names),
        *failing(unusual, observed.routes, _services_of(source, failed, names)),
        *dropped(rows, names),
        *damaged(set_aside(source, query)),
        *slow(source, observed, names),
        *stalls(source, query, names.of_record),
        *unbalanced(shared, names),
        *silent(rows, names),
    ]
    findings.sort(key=lambda finding: finding.severity != "critical")
    not_judged = [f"{names.of_service(balance)}{balance.sentence}" for balance in shared if not balance.judged]
    usual = sum(bucket.events for bucket in failures) - sum(bucket.events for bucket in unusual)
    return Standout(findings, shared, not_judged, _sentence(findings, rows, shared, usual))


def shared_traffic(source: Source, observed: Observed) -> list[Balance]:
    """Return the balance of each service."""
    query, rows = replace(observed.query, until_ns=observed.until_ns), observed.workers
    several = len({row.service for row in rows}) > 1

    def clients(service: str, requests: int) -> Connections | None:
        where = equal("service.name", service) if several and service else None
        return connections(source, query.narrowed(where), requests)

    # Nodes of two services can have the same name; then their requests over time cannot be distinguished by node.
    distinct = len({row.node for row in rows}) == len(rows)
    return balances(rows, timeline(source, query) if len(rows) > 1 and distinct else NO_TIMES, clients)


class WorkerNames:
    """How workers are called in sentences: with their service where the window has several."""

    def __init__(self, rows: Iterable[WorkerRow]) -> None:
        self.services = sorted({row.service for row in rows})
        self.several = len(self.services) > 1

    def of(self, row: WorkerRow) -> str:
        return name_of(row) + self._suffix(row.service)

    def of_record(self, record: Record) -> str:
        slot, node = record.get("logship.worker.slot"), record.get(NODE)
        name = f"w{slot}" if slot is not None else str(node or f"process {record.get('process.pid', '?')}")
        return name + self._suffix(str(record.get("service.name", "")))

    def of_service(self, balance: Balance) -> str:
        return f"{balance.service}: " if self.several and balance.service else ""

    def listed(self, rows: Sequence[WorkerRow]) -> str:
        more = f" and {len(rows) - WORKERS_NAMED} more" if len(rows) > WORKERS_NAMED else ""
        return ", ".join(self.of(row) for row in rows[:WORKERS_NAMED]) + more

    def _suffix(self, service: str) -> str:
        return f" of {service}" if self.several and service else ""


def crashes(source: Source, query: Query, names: WorkerNames) -> list[Finding]:
    """Return the newest crashes one by one, and one finding for all before them."""
    crashed = query.narrowed(kql.parse(CRASHES))
    newest = source.search(crashed, Page(CRASHES_NAMED + 1)).records
    findings = [_crash(source, query, mark, names) for mark in newest[:CRASHES_NAMED]]
    if len(newest) > CRASHES_NAMED:
        older = source.count(crashed) - CRASHES_NAMED
        first = source.search(crashed, Page(1, newest_first=False)).records[0]
        findings.append(
            Finding(
                "worker-crashed", "critical", f"Workers crashed {_times(older)} more before that.", CRASHES,
                since_ns=_ns(first), until_ns=_ns(newest[-1]), evidence={"crashes": older},
            )
        )  # fmt: skip
    return findings


def _crash(source: Source, query: Query, mark: Record, names: WorkerNames) -> Finding:
    at_ns, node = _ns(mark), str(mark.get(NODE, ""))
    started = replace(query, since_ns=at_ns + 1).narrowed(
        kql.every(kql.parse("event.action: worker-started"), equal(NODE, node))
    )
    replacements = source.search(started, Page(1, newest_first=False)).records
    replacement_ns = _ns(replacements[0]) if replacements else None
    requests = [str(request) for request in mark.get("logship.in_flight.requests") or []]
    in_flight = mark.get("logship.in_flight.count") or len(requests)
    code = mark.get("process.exit_code")
    status = f" (exit status {code})" if code is not None else ""
    interrupted = f" with {plural(in_flight, 'request')} in flight" if in_flight else ""
    restarted = (
        f"its replacement started {duration(replacement_ns - at_ns)} later"
        if replacement_ns is not None
        else "no replacement started in this window"
    )
    evidence = {"in_flight": in_flight}
    if replacement_ns is not None:
        evidence["replacement_after_ns"] = replacement_ns - at_ns
    return Finding(
        "worker-crashed", "critical", f"{names.of_record(mark)} crashed{status}{interrupted}; {restarted}.",
        kql.text_of(equal("event.id", str(mark.get("event.id", "")))),
        str(mark.get("service.name", "")), node, at_ns, replacement_ns,
        {
            "logship.in_flight.requests": requests,
            "logship.in_flight.ids": [str(id_) for id_ in mark.get("logship.in_flight.ids") or []],
        },
        evidence,
    )  # fmt: skip


def _unusual(source: Source, observed: Observed, failures: list[Bucket]) -> list[Bucket]:
    """Return `failures`, by route and exception type, without routes that fail no more often than before.

    A route with few failures, as it had in the time before of the same length, is not an incident. One that fails often is
    shown however long it has done so."""
    since_ns = observed.query.since_ns or 0
    before = replace(observed.query, since_ns=since_ns - (observed.until_ns - since_ns), until_ns=since_ns)
    requests = {stat.key: stat.count for stat in observed.routes}
    counts: Counter[str] = Counter()
    for bucket in failures:
        counts[bucket.key] += bucket.events
    rare = [route for route, count in counts.items() if count < OFTEN * requests.get(route, 0)]
    if not rare:
        return failures
    requests_before, failed_before = (_by_route(source, before.narrowed(kql.parse(where))) for where in (SERVED, FAILURES))
    usual = {
        route
        for route in rare
        if requests_before[route] >= LEAST_BEFORE
        and not _rose(requests_before[route], failed_before[route], requests[route], counts[route])
    }
    return [bucket for bucket in failures if bucket.key not in usual]


def _by_route(source: Source, query: Query) -> Counter[str]:
    return Counter({share.value: share.events for share in source.top(query, ROUTE, ROUTES_LIMIT)})


def _rose(events_before: int, hits_before: int, events: int, hits: int) -> bool:
    ratio_rose = hits * events_before > hits_before * events
    return ratio_rose and p_value(g_test(events_before, hits_before, events, hits)) < CHANCE


def failing(
    failures: Sequence[Bucket], routes: Sequence[Stat], services: Mapping[str, Sequence[str]] | None = None
) -> list[Finding]:
    """Return the routes with failed requests, the most failures first.

    `failures`: by route and exception type; `routes`: all requests by route; `services`: of each failing route, where the
    window has several."""
    by_route: defaultdict[str, list[Bucket]] = defaultdict(list)
    for bucket in failures:
        by_route[bucket.key].append(bucket)
    counts = {route: sum(bucket.events for bucket in buckets) for route, buckets in by_route.items()}
    requests = {stat.key: stat.count for stat in routes}
    order = sorted(counts, key=lambda route: -counts[route])
    findings = [
        _failing(route, by_route[route], counts[route], requests.get(route, 0), (services or {}).get(route, ()))
        for route in order[:ROUTES_NAMED]
    ]
    rest = order[ROUTES_NAMED:]
    if rest:
        failed = sum(counts[route] for route in rest)
        sentence = f"{plural(len(rest), 'more route')} had {plural(failed, 'failed request')}."
        findings.append(
            Finding(
                "route-failing", "critical", sentence, FAILURES, fields={ROUTE: rest}, evidence={"failed": failed}
            )
        )  # fmt: skip
    return findings


def _failing(route: str, buckets: Sequence[Bucket], failed: int, requests: int, services: Sequence[str]) -> Finding:
    types = sorted((bucket for bucket in buckets if bucket.and_key), key=lambda bucket: -bucket.events)
    named = ", ".join(f"{bucket.and_key.rpartition('.')[2]} {bucket.events:,}" for bucket in types[:TYPES_NAMED])
    of = f" of {plural(requests, 'request')} ({share(failed, requests)})" if requests else ""
    owner = f" of {' and '.join(services)}" if services else ""
    name = f"{route}{owner}" if route else f"Requests{owner} without a route"
    exceptions = f": {named}" if named else ""
    fields: dict[str, str | list[str]] = {ROUTE: route} if route else {}
    if types:
        fields["error.type"] = [bucket.and_key for bucket in types]
    where = kql.every(kql.parse(FAILURES), equal(ROUTE, route) if route else None)
    return Finding(
        "route-failing", "critical", f"{name} failed {_times(failed)}{of}{exceptions}.",
        kql.text_of(where), services[0] if len(services) == 1 else "", fields=fields,
        evidence={"failed": failed, "requests": requests},
    )  # fmt: skip


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def slow(source: Source, observed: Observed, names: WorkerNames) -> list[Finding]:
    """Return the worker whose p99 is furthest above that of the others of its service, with the reason where one is seen."""
    candidates = [found for service in names.services for found in _slow_of(observed.workers, service)]
    if not candidates:
        return []
    row, usual_ms = max(candidates, key=lambda candidate: (candidate[0].p99_ms or 0) / candidate[1])
    p99_ns, usual_ns = (row.p99_ms or 0) * 1e6, usual_ms * 1e6
    routes, every = _slow_routes(source, observed.query, row)
    lag_ns = _blocked(source, observed.query, row)
    reasons = " Every route is slower there." if every else ""
    if routes and not every:
        named = ", ".join(
            f"{stat.key} (p99 {duration(stat.p99)}; other workers {duration(other)})"
            for stat, other in routes[:REASONS_NAMED]
        )
        reasons = f" Slowest routes here: {named}."
    if lag_ns is not None:
        reasons += f" Its event loop was blocked for up to {duration(lag_ns)}, delaying all its requests."
    sentence = (
        f"{names.of(row)} is slower than the other workers: p99 {duration(p99_ns)}, {p99_ns / usual_ns:.1f} times theirs "
        f"({duration(usual_ns)}).{reasons}"
    )
    where = kql.every(kql.parse(f"{SERVED} and {DURATION} >= {round(p99_ns)}"), equal(NODE, row.node))
    evidence = {"p99_ns": p99_ns, "other_workers_p99_ns": usual_ns, "requests": float(row.requests)}
    if lag_ns is not None:
        evidence["loop_lag_max_ns"] = lag_ns
    return [
        Finding(
            "worker-slow", "warning", sentence, kql.text_of(where), row.service, row.node,
            fields={ROUTE: [stat.key for stat, _ in routes]} if routes else {}, evidence=evidence,
        )
    ]  # fmt: skip


def _slow_of(rows: Sequence[WorkerRow], service: str) -> list[tuple[WorkerRow, float]]:
    """The slowest worker of one service with the median p99 of the others in ms; [] when it is not far from them."""
    able = [row for row in rows if row.service == service and row.p99_ms is not None and row.requests >= LEAST_REQUESTS]
    if len(able) < 2:
        return []
    worst = max(able, key=lambda row: row.p99_ms or 0)
    others = sorted(row.p99_ms or 0 for row in able if row is not worst)
    usual, most = others[len(others) // 2], worst.p99_ms or 0
    return [(worst, usual)] if usual and most > SLOWER * usual and (most - usual) * 1e6 > LEAST_SLOWER_NS else []


def _slow_routes(source: Source, query: Query, row: WorkerRow) -> tuple[list[tuple[Stat, float]], bool]:
    """Routes that are slower on this worker than on the others, with the p99 of the others; and whether all are."""
    served = kql.every(kql.parse(SERVED), equal("service.name", row.service) if row.service else None)
    own, other = (
        source.stats(query.narrowed(kql.every(served, where)), DURATION, ROUTE)
        for where in (equal(NODE, row.node), kql.Not(equal(NODE, row.node)))
    )
    usual = {stat.key: stat.p99 for stat in other}
    known = [stat for stat in own if stat.key and stat.count >= LEAST_OF_ROUTE and stat.key in usual]
    routes = [
        (stat, usual[stat.key])
        for stat in sorted(known, key=lambda stat: -stat.p99)
        if stat.p99 > SLOWER * usual[stat.key] and stat.p99 - usual[stat.key] > LEAST_SLOWER_NS
    ]
    return routes, len(routes) > 1 and len(routes) == len(known)


def _blocked(source: Source, query: Query, row: WorkerRow) -> float | None:
    """The worst loop lag of this worker, when its heartbeats report on average much more than those of the others.

    One late moment is the machine's; a worker whose every heartbeat is late has a blocked loop."""
    beats = source.stats(query.narrowed(kql.parse(BEATS)), "logship.loop_lag.max_ns", NODE)
    own = [stat for stat in beats if stat.key == row.node and stat.count]
    if not own:
        return None
    others = [stat.sum / stat.count for stat in beats if stat.key != row.node and stat.count]
    usual_ns = fmean(others) if others else 0.0
    return own[0].max if own[0].sum / own[0].count > max(LEAST_LAG_NS, SLOWER * usual_ns) else None


def unbalanced(shared: Sequence[Balance], names: WorkerNames) -> list[Finding]:
    """Return a finding for each service whose traffic is unbalanced."""
    return [
        Finding(
            "traffic-unbalanced", "warning", f"{names.of_service(balance)}{balance.sentence}",
            kql.text_of(kql.every(kql.parse(SERVED), equal(NODE, balance.busiest))),
            balance.service, balance.busiest, balance.hot_since_ns, balance.hot_until_ns,
            {"service.node.name": balance.unserved} if balance.unserved else {}, _shares(balance),
        )
        for balance in shared
        if balance.unbalanced
    ]  # fmt: skip


def _shares(balance: Balance) -> dict[str, float]:
    evidence = {
        "effective_workers": balance.effective, "workers": balance.workers, "share": balance.busiest_share,
        "p": balance.p, "cramers_v": balance.cramers_v, "busy_effective_workers": balance.busy_effective,
        "busy_share": balance.busy_share,
    }  # fmt: skip
    return evidence if balance.connections is None else evidence | {"connections": balance.connections}


def dropped(rows: Sequence[WorkerRow], names: WorkerNames) -> list[Finding]:
    """Return one finding for all workers that dropped events."""
    dropping = [row for row in rows if row.dropped]
    if not dropping:
        return []
    events = sum(row.dropped for row in dropping)
    sentence = f"{names.listed(dropping)} dropped {plural(events, 'event')}; logship verify names the reasons."
    finding = Finding("events-dropped", "critical", sentence, BY_NAME["drops"].where, evidence={"events": events})
    return [_of_all(finding, dropping)]


def silent(rows: Sequence[WorkerRow], names: WorkerNames) -> list[Finding]:
    """Return one finding for all workers that send no heartbeats and whose end was not recorded."""
    quiet = [row for row in rows if row.state == "silent"]
    if not quiet:
        return []
    verb = "is" if len(quiet) == 1 else "are"
    sentence = f"{names.listed(quiet)} {verb} silent: no heartbeat for more than 25 s, and no end was recorded."
    where = kql.text_of(kql.either(*(equal(NODE, row.node) for row in quiet)))
    since_ns, evidence = min(row.last_seen_ns for row in quiet), {"workers": len(quiet)}
    return [_of_all(Finding("worker-silent", "warning", sentence, where, since_ns=since_ns, evidence=evidence), quiet)]


def damaged(files: Sequence[SetAside]) -> list[Finding]:
    """Return one finding for damaged files of the store that may have held events of the window."""
    if not files:
        return []
    events = sum(file.events for file in files)
    sentence = f"{plural(len(files), 'damaged file')} of the store: {plural(events, 'event')} are missing in results."
    return [Finding("store-damaged", "critical", sentence, "", evidence={"files": len(files), "events": events})]


def _of_all(finding: Finding, rows: Sequence[WorkerRow]) -> Finding:
    """The finding with its service and worker, where all rows have the same."""
    services, nodes = {row.service for row in rows}, {row.node for row in rows}
    service = next(iter(services)) if len(services) == 1 else ""
    return replace(finding, service=service, worker=next(iter(nodes)) if len(nodes) == 1 else "")


def _services_of(source: Source, failed: Query, names: WorkerNames) -> dict[str, list[str]]:
    if not names.several:
        return {}
    services: defaultdict[str, list[str]] = defaultdict(list)
    for bucket in source.tally(failed, ROUTE, None, "service.name"):
        if bucket.and_key:
            services[bucket.key].append(bucket.and_key)
    return services


def _sentence(findings: Sequence[Finding], rows: Sequence[WorkerRow], shared: Sequence[Balance], usual: int) -> str:
    if findings:
        return f"{plural(len(findings), 'finding')}."
    if not rows:
        return "No worker sent events in this window, so nothing was checked."
    failed = f"{plural(usual, 'request')} failed, no route more often than before" if usual else "no request failed"
    checked = ["no worker crashed or is silent", failed, "no event was dropped"]
    if all(balance.judged for balance in shared):
        checked += ["no worker is much slower than the others", "traffic is balanced"]
    return f"Nothing stands out: {', '.join(checked[:-1])}, and {checked[-1]}."


def _ns(record: Record) -> int:
    return from_rfc3339(record["@timestamp"])
