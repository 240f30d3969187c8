"""`logship rollup`: computes the totals of each past hour from its events, and creates those that are not stored yet.

    plan = plan_rollup(source, now_ns)
    for day in write_totals(client, settings, source, plan): ...

It can be interrupted and repeated, also by two machines at the same time: hours are computed oldest first, a day at a time, and
each run compares all hours of which there are events with their totals. So it also adds hours that an interrupted run has left,
and those of a service whose events came days late."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from elasticsearch import Elasticsearch, NotFoundError

from logship.elastic import hours
from logship.elastic.access import ROLLUP
from logship.elastic.client import translated
from logship.elastic.replay import Bulk, Done
from logship.elastic.simulate import problem_of_new
from logship.elastic.source import ElasticSource
from logship.elastic.templates import data_sets
from logship.errors import ElasticError
from logship.search import kql
from logship.search.hourly import HOUR_NS, KEPT_NS, SERVICE, hour_start, totals
from logship.search.query import Hour, Query
from logship.search.units import plural
from logship.search.views import DURATION, SERVED
from logship.settings import Settings

DAY_NS: Final = 24 * HOUR_NS
# Fluent Bit delivers what it could not deliver for hours, and journals are adopted later. The totals are needed only when the
# events are gone, so there is time.
DELAY_NS: Final = DAY_NS
FORBIDDEN: Final = 403
NO_STREAM: Final = 404
NEXT_STEP: Final = "run `logship setup elastic`"
Place = tuple[int, str]


@dataclass(frozen=True, slots=True)
class RollupPlan:
    """The hours from `since_ns` to `until_ns` are compared with the totals that are stored; there are none if both are equal.

    `oldest_ns`: the oldest event, None without events. `newest_ns`: the newest total, None without any."""

    since_ns: int
    until_ns: int
    oldest_ns: int | None
    newest_ns: int | None

    @property
    def gone(self) -> tuple[int, int] | None:
        """From when to when there are neither totals nor events; None if no such hour follows the totals."""
        if self.newest_ns is None or self.oldest_ns is None:
            return None
        first_ns, until_ns = self.newest_ns + HOUR_NS, hour_start(self.oldest_ns)
        return (first_ns, until_ns) if first_ns < until_ns else None


@dataclass(frozen=True, slots=True)
class RollupDay:
    """The totals of a day. `stored`: those that were missing; `by_others`: how many of them another run has stored meanwhile.

    `late`: totals with fewer requests than there are now, because events arrived later. They do not change."""

    start_ns: int
    stored: tuple[Hour, ...]
    by_others: int
    late: tuple[Hour, ...]


def plan_rollup(
    source: ElasticSource, now_ns: int, delay_ns: int = DELAY_NS, last_ns: int | None = None
) -> RollupPlan:
    """Return what has to be compared. `delay_ns`: wait so long after the end of an hour for late events.

    `last_ns`: compare the hours of this time; None: all of which there are events."""
    until_ns, oldest_ns, newest_ns = hour_start(now_ns - delay_ns), source.oldest_ns(), source.newest_hour_ns()
    if oldest_ns is None:
        return RollupPlan(until_ns, until_ns, None, newest_ns)
    since_ns = hour_start(max(oldest_ns, now_ns - (KEPT_NS if last_ns is None else last_ns)))
    return RollupPlan(min(since_ns, until_ns), until_ns, oldest_ns, newest_ns)


def write_totals(
    client: Elasticsearch, settings: Settings, source: ElasticSource, plan: RollupPlan
) -> Iterator[RollupDay]:
    """Create the totals that are missing, oldest first. Yield each day with missing totals or late events, when it is stored.

    ElasticError if they cannot be stored; what was yielded until then is stored."""
    require_template(client, settings)
    events = _events(source, plan)
    known = {(hour.start_ns, hour.service): hour for hour in source.hours(plan.since_ns, plan.until_ns)}
    days: defaultdict[int, set[Place]] = defaultdict(set)
    for place, count in events.items():
        if place not in known or known[place].requests < count:
            days[place[0] // DAY_NS * DAY_NS].add(place)
    for start_ns in sorted(days):
        places = days[start_ns]
        stored = _hours_of_day(source, plan, start_ns, places - known.keys())
        done = _create(client, settings, stored) if stored else Done()
        yield RollupDay(
            start_ns, tuple(stored), done.there_already, tuple(known[place] for place in sorted(places & known.keys()))
        )


def _events(source: ElasticSource, plan: RollupPlan) -> Mapping[Place, int]:
    """The number of requests that have a duration, by hour and service: what `Hour.requests` counts."""
    served = Query(kql.parse(f"{SERVED} and {DURATION}: *"), plan.since_ns, plan.until_ns)
    if plan.since_ns == plan.until_ns:
        return {}
    return {(bucket.start_ns, bucket.key): bucket.events for bucket in source.tally(served, SERVICE, HOUR_NS)}


def _hours_of_day(source: ElasticSource, plan: RollupPlan, start_ns: int, missing: set[Place]) -> list[Hour]:
    if not missing:
        return []
    day = Query(None, max(start_ns, plan.since_ns), min(start_ns + DAY_NS, plan.until_ns))
    return [hour for hour in totals(source, day) if (hour.start_ns, hour.service) in missing]


def _create(client: Elasticsearch, settings: Settings, stored: list[Hour]) -> Done:
    stream = hours.stream(settings.elastic_namespace)
    try:
        done = sum(Bulk(client, settings, stream).create(map(hours.document, stored)), Done())
    except ElasticError as error:
        if error.status == FORBIDDEN:
            raise ElasticError(f"{error}. The role {ROLLUP} may create totals in {stream}", FORBIDDEN) from error
        raise
    if done.refused:
        first, count = done.refused[0], len(done.refused)
        if first.status == NO_STREAM:
            raise ElasticError(_no_template(stream), first.status)
        refused = f"{stream} refused {count} of {plural(len(stored), 'total')}: {first.reason}"
        raise ElasticError(f"{refused}; if a mapping was changed, {NEXT_STEP}", first.status)
    # Without our template a server may just have created the stream with another one.
    require_template(client, settings)
    return done


def require_template(client: Elasticsearch, settings: Settings) -> None:
    """Return if the stream has logship's mapping, or would get it, or if that is not known. Otherwise ElasticError.

    A server has another template for metrics-*-*, with another retention. The role that writes may not simulate a new stream."""
    stream = hours.stream(settings.elastic_namespace)
    with translated(settings, f"reading the mapping of {stream}"):
        try:
            indices = client.indices.get_mapping(index=stream)
        except NotFoundError:
            indices = None
    if indices is None:
        if _would_be_wrong(client, settings):
            raise ElasticError(_no_template(stream))
    elif "logship" not in indices[max(indices)]["mappings"].get("_meta", {}):
        raise ElasticError(f"{stream} was created without logship's template: delete this data stream, then {NEXT_STEP}")


def _would_be_wrong(client: Elasticsearch, settings: Settings) -> bool:
    try:
        return bool(problem_of_new(client, settings, data_sets(settings.elastic_namespace)[1]))
    except ElasticError as error:
        if error.status == FORBIDDEN:
            return False
        raise


def _no_template(stream: str) -> str:
    return f"{stream} needs the index template {hours.TEMPLATE}, which does not exist or does not apply: {NEXT_STEP}"
