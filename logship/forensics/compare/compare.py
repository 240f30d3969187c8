"""What differs between two windows: more failures, slower requests, more or less traffic, another log volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from logship.forensics.compare.explain import Reason
from logship.forensics.compare.measure import reasons
from logship.forensics.compare.table import (
    NARROW_FIELDS,
    Divided,
    SideOf,
    Table,
    of_values,
    read,
    requests,
    slow,
    wide_fields,
)
from logship.forensics.compare.traffic import RateChange, rate_changes
from logship.search import kql
from logship.search.kql import Node, equal
from logship.search.query import Query, Source
from logship.search.units import plural, rate, share
from logship.search.views import BY_NAME, FAILURES, NODE, ROUTE, SERVED, STATUS

Measured: TypeAlias = Literal["failures", "slowness", "traffic", "logs"]
TRAFFIC_FIELDS = (
    ("service.name",), (ROUTE,), ("http.request.method",), (STATUS,), (NODE,), ("service.version",), (ROUTE, STATUS),
)  # fmt: skip
LOG_FIELDS = (("log.level",), ("log.logger",), ("log.level", "log.logger"), (NODE,))


@dataclass(frozen=True, slots=True)
class Difference:
    """One row: a combination of field values that explains a part of a difference.

    `before` and `after`: ratios of hits for failures and slowness, events per second for traffic and logs. `n_before` and
    `n_after`: the events behind them. `explained`: the part of the whole difference, 0 to 1; `p`: corrected. `kql` finds the
    events of both windows, or the failed or slow ones among them."""

    measured: Measured
    fields: dict[str, str]
    before: float
    after: float
    n_before: int
    n_after: int
    explained: float
    p: float
    kql: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differences`: by measure, the most important first. `sentence`: what was compared, and that nothing differs if so.

    `not_compared`: why something could not be compared, as sentences."""

    window: tuple[int, int]
    baseline: tuple[int, int]
    requests_before: int
    requests_after: int
    differences: list[Difference]
    not_compared: list[str]
    sentence: str


def compare(source: Source, window: Query, baseline: Query) -> Comparison:
    """Return what differs in `window` from `baseline`; both have both times and do not overlap."""
    queries = [baseline, window]
    served = requests(source, queries)
    counts = [sum(events[side] for events in served.sides((), _side_in(window)).values()) for side in (0, 1)]
    differences, missing = _ratios(source, queries, served, counts)
    logs = kql.parse(BY_NAME["log-volume"].where)
    written = read(source, queries, logs, ("log.level", "log.logger", NODE), None)
    seconds = _seconds(baseline), _seconds(window)
    of_traffic = rate_changes(served, _side_in(window), seconds, TRAFFIC_FIELDS)
    differences += [_rate("traffic", change, kql.parse(SERVED)) for change in of_traffic]
    differences += [_rate("logs", change, logs) for change in rate_changes(written, _side_in(window), seconds, LOG_FIELDS)]
    return Comparison(
        (window.since_ns or 0, window.until_ns or 0), (baseline.since_ns or 0, baseline.until_ns or 0), counts[0], counts[1],
        differences, missing, _sentence(seconds, counts, differences, missing),
    )  # fmt: skip


def _ratios(
    source: Source, queries: list[Query], served: Table, counts: list[int]
) -> tuple[list[Difference], list[str]]:
    if not all(counts):
        empty = "window" if counts[0] else "baseline"
        return [], [f"Failures and slowness were not compared: the {empty} has no requests."]
    names = (*NARROW_FIELDS, *wide_fields(source, queries[1]))
    differences: list[Difference] = []
    conditions: list[tuple[Measured, Node | None]] = [
        ("failures", kql.parse(FAILURES)), ("slowness", slow(source, queries[:1])),
    ]  # fmt: skip
    for measured, where in conditions:
        if where is None:
            return differences, ["Slowness was not compared: no route has 20 requests in the baseline."]
        hits = read(source, queries, where, names, None)
        side_of = _side_in(queries[1])
        found = reasons(served.divided(side_of), hits.divided(side_of), partial(_of_values, source, queries))[1]
        differences += [_ratio(measured, reason) for reason in found]
    return differences, []


def _of_values(source: Source, queries: list[Query], name: str, values: Sequence[str]) -> Divided:
    return of_values(source, queries, name, values).divided(_side_in(queries[1]))


def _side_in(window: Query) -> SideOf:
    return lambda start_ns: int(start_ns == window.since_ns)


def _seconds(query: Query) -> float:
    return ((query.until_ns or 0) - (query.since_ns or 0)) / 1e9


def _ratio(measured: Measured, reason: Reason) -> Difference:
    fields, counts, explained = reason.fields, reason.counts, reason.explained
    what = "failed" if measured == "failures" else "slow"
    sentence = (
        f"{_named(fields)}: {what} requests {share(counts.hits_before, counts.events_before)} -> "
        f"{share(counts.hits_after, counts.events_after)} (of {round(counts.events_after):,}); "
        f"explains {share(explained, 1)} of the additional ones."
    )
    where = kql.every(kql.parse(FAILURES if measured == "failures" else SERVED), *_conditions(fields))
    return Difference(
        measured, fields, counts.ratio_before, counts.ratio_after, round(counts.events_before), round(counts.events_after),
        explained, reason.p, kql.text_of(where), sentence,
    )  # fmt: skip


def _rate(measured: Measured, change: RateChange, where: Node | None) -> Difference:
    what = "requests" if measured == "traffic" else "log events"
    sentence = (
        f"{_named(change.fields)}: {rate(change.rate_before)} -> {rate(change.rate_after)} {what} "
        f"per second; explains {share(change.explained, 1)} of the difference."
    )
    return Difference(
        measured, change.fields, change.rate_before, change.rate_after, change.events_before, change.events_after,
        change.explained, change.p, kql.text_of(kql.every(where, *_conditions(change.fields))), sentence,
    )  # fmt: skip


def _conditions(fields: dict[str, str]) -> list[Node]:
    return [equal(name, value) for name, value in fields.items()]


def _named(fields: dict[str, str]) -> str:
    return " & ".join(f"{name}={value}" for name, value in fields.items())


def _sentence(seconds: tuple[float, float], counts: list[int], differences: list[Difference], missing: list[str]) -> str:
    compared = f"{plural(counts[1], 'request')} compared with {plural(counts[0], 'request')} of the baseline"
    if abs(seconds[1] - seconds[0]) > 1:
        compared += f" ({seconds[0] / max(seconds[1], 1e-9):.1f} times as long)"
    if differences:
        return f"{compared}: {plural(len(differences), 'difference')}."
    if missing:
        return f"{compared}: no difference in what could be compared."
    return f"{compared}: nothing differs."
