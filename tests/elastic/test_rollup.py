"""Totals of hours outlive the events in Elasticsearch: written once, completed, and used where the events are gone."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from logship.doctor.elasticsearch import follow
from logship.elastic import hours, mapping
from logship.elastic.client import connect
from logship.elastic.replay import Bulk
from logship.elastic.rollup import RollupDay, plan_rollup, write_totals
from logship.elastic.source import ElasticSource
from logship.errors import ElasticError
from logship.forensics.capacity.plan import capacity
from logship.forensics.capacity.wanted import wanted_of
from logship.search.hourly import HOUR_NS, hour_start, totals
from logship.search.query import Hour, Query
from logship.search.times import rfc3339
from logship.settings import Settings
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.cli.conftest import Told, invoke
from tests.elastic.node import Server
from tests.elastic.test_setup import run as run_setup
from tests.elastic.test_setup import told

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)

HOURS, DAY_NS, MINUTE_NS = 48, 24 * HOUR_NS, 60 * 10**9
# Whole hours that ended more than a day ago, for the commands, which use the clock.
BEGIN_NS = hour_start(time.time_ns()) - 4 * DAY_NS
END_NS = BEGIN_NS + HOURS * HOUR_NS
NOW_NS = END_NS + 2 * DAY_NS
SERVICES = {"shop": "1" * 24, "billing": "2" * 24}
Event = tuple[int, dict[str, Any]]


def events() -> Iterator[Event]:
    """Two days of two services: some requests and two heartbeats an hour, more requests in each hour than in the one before."""
    for place, (service, life) in enumerate(SERVICES.items()):
        sequence = 0
        for hour in range(HOURS):
            start_ns = BEGIN_NS + hour * HOUR_NS
            for number in range(3 + hour // 8 + 2 * place):
                sequence += 1
                request = {"event.dataset": "logship.request", "event.duration": (number + 1) * 10**6 + hour}
                yield event(start_ns + number * MINUTE_NS // 2, service, life, sequence, request)
            for minute in (10, 50):
                sequence += 1
                beat = {
                    "event.dataset": "logship.worker", "event.action": "worker-heartbeat", "logship.emitted": sequence,
                    "logship.process.cpu_ns": sequence * 10**6, "logship.loop.utilization": minute / 100,
                    "logship.requests.in_flight": minute // 10,
                }  # fmt: skip
                yield event(start_ns + minute * MINUTE_NS, service, life, sequence, beat)


def event(ns: int, service: str, life: str, sequence: int, own: dict[str, Any]) -> Event:
    return ns, {
        "event.id": f"{life}-{sequence:012d}", "event.sequence": sequence, "service.name": service,
        "service.ephemeral_id": life, "service.node.name": f"h/{service}/w0", "logship.worker.slot": 0,
        "logship.worker.generation": 1, "process.pid": 100, **own,
    }  # fmt: skip


@dataclass
class Shop:
    """Elasticsearch with the events, of one namespace."""

    server: Server
    settings: Settings
    source: ElasticSource

    @property
    def events(self) -> str:
        return mapping.stream(self.settings.elastic_namespace)

    @property
    def hours(self) -> str:
        return hours.stream(self.settings.elastic_namespace)

    def put(self, some: Sequence[Event]) -> None:
        items = self.server.create(self.events, [{"@timestamp": rfc3339(ns), **record} for ns, record in some])
        assert {item["status"] for item in items} == {201}

    def put_totals(self, some: Sequence[Hour]) -> None:
        with connect(self.settings) as client:
            bulk = Bulk(client, self.settings, self.hours)
            assert sum(done.created for done in bulk.create(map(hours.document, some))) == len(some)
        self.server.must("POST", f"/{self.hours}/_refresh")

    def rollup(self, now_ns: int = NOW_NS, last_ns: int | None = None) -> list[RollupDay]:
        with connect(self.settings) as client:
            plan = plan_rollup(self.source, now_ns, last_ns=last_ns)
            days = list(write_totals(client, self.settings, self.source, plan))
        self.server.must("POST", f"/{self.hours}/_refresh")
        return days

    def remove_events(self) -> None:
        """As retention does: a new index, and the old one deleted."""
        index = self.server.must("POST", f"/{self.events}/_rollover")["old_index"]
        self.server.must("DELETE", f"/{index}")
        assert self.source.count(Query()) == 0

    def kept(self) -> list[Hour]:
        return self.source.hours(0, NOW_NS)

    def documents(self) -> list[dict[str, Any]]:
        return self.server.hits(self.hours)

    def invoke(self, state: Path, *words: str) -> Told:
        names = ("url", "user", "password", "ca_file", "namespace")
        values = {name: str(getattr(self.settings, f"elastic_{name}")) for name in names}
        return invoke(state, *words, **{f"LOGSHIP_ELASTIC_{name.upper()}": value for name, value in values.items() if value})


@pytest.fixture
def empty(elastic: Server, namespace: str) -> Iterator[Shop]:
    settings = told(elastic, namespace)
    with closing(ElasticSource(settings, clock_ns=lambda: NOW_NS)) as source:
        yield Shop(elastic, settings, source)


@pytest.fixture
def shop(empty: Shop) -> Shop:
    empty.put(list(events()))
    return empty


def test_totals_are_those_of_the_embedded_store(shop: Shop, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.append(list(events()))
        with closing(Reader(store.directory)) as reader:
            expected = totals(reader, Query(None, BEGIN_NS, END_NS))
    shop.rollup()
    kept = shop.kept()
    assert len(kept) == 2 * HOURS
    assert [(hour.start_ns, hour.service) for hour in kept] == [(hour.start_ns, hour.service) for hour in expected]
    assert [numbers(hour) for hour in kept] == [pytest.approx(numbers(hour), rel=1e-9) for hour in expected]
    assert shop.source.hours(BEGIN_NS + HOUR_NS, BEGIN_NS + 2 * HOUR_NS) == kept[2:4]


def numbers(hour: Hour) -> dict[str, float]:
    return {name: value for name, value in asdict(hour).items() if name != "service"}


def test_capacity_has_the_history_when_the_events_are_gone(shop: Shop, tmp_path: Path) -> None:
    def told_now() -> dict[str, Any]:
        services = capacity(shop.source, Query(None, BEGIN_NS - DAY_NS, NOW_NS), NOW_NS, UTC, wanted_of())
        rates = {(one.service, rate.name): rate.value for one in services for rate in one.estimates[:2]}
        return {"rates": rates, "by_hour": [one.by_hour for one in services], "by_weekday": [one.by_weekday for one in services]}

    before = told_now()
    assert {service for service, _ in before["rates"]} == set(SERVICES)
    shop.rollup()
    assert told_now() == before  # events and totals of an hour are not added
    shop.remove_events()
    assert told_now() == before
    done = shop.invoke(tmp_path, "capacity", "--source", "elastic", "--service", "billing", "--json")
    (billing,) = [json.loads(line) for line in done.stdout.splitlines()]
    peak = next(one for one in billing["estimates"] if one["name"] == "peak rate")
    assert (done.returncode, peak["derived"]) == (0, f"busiest minute, from the totals of {HOURS} hours (events may be gone)")


def test_a_second_run_changes_nothing(shop: Shop) -> None:
    first = shop.rollup()
    assert [len(day.stored) for day in first] == [len(day) for day in by_day(shop.kept())]
    assert sum(len(day.stored) for day in first) == 2 * HOURS
    documents = shop.documents()
    assert shop.rollup() == []
    assert shop.rollup(last_ns=20 * DAY_NS) == []
    assert shop.documents() == documents


def by_day(kept: list[Hour]) -> list[list[Hour]]:
    starts = sorted({hour.start_ns // DAY_NS for hour in kept})
    return [[hour for hour in kept if hour.start_ns // DAY_NS == start] for start in starts]


def test_two_runs_at_the_same_time_store_each_hour_once(shop: Shop) -> None:
    with connect(shop.settings) as client:
        plan = plan_rollup(shop.source, NOW_NS)
        slow = write_totals(client, shop.settings, shop.source, plan)
        first = next(slow)
        assert (first.start_ns, first.by_others) == (BEGIN_NS // DAY_NS * DAY_NS, 0)
        shop.server.must("POST", f"/{shop.hours}/_refresh")
        others = shop.rollup()
        assert sum(len(day.stored) for day in others) == 2 * HOURS - len(first.stored)
        rest = list(slow)
    assert [day.by_others for day in rest] == [len(day.stored) for day in rest] == [len(day.stored) for day in others]
    assert len(shop.documents()) == 2 * HOURS


def test_a_run_that_was_interrupted_is_completed(shop: Shop) -> None:
    expected = totals(shop.source, Query(None, BEGIN_NS, END_NS))
    written = [hour for number, hour in enumerate(expected[:60]) if number % 3]
    shop.put_totals(written)
    days = shop.rollup()
    assert [hour for day in days for hour in day.stored] == [hour for hour in expected if hour not in written]
    assert shop.kept() == expected
    assert len(shop.documents()) == len(expected)


def test_hours_whose_events_came_days_late_are_stored(shop: Shop) -> None:
    other = replace(totals(shop.source, Query(None, BEGIN_NS, END_NS))[0], start_ns=END_NS + 5 * DAY_NS, service="billing")
    shop.put_totals([other])
    assert sum(len(day.stored) for day in shop.rollup(now_ns=NOW_NS + 6 * DAY_NS)) == 2 * HOURS


def test_only_hours_that_ended_long_enough_ago_are_stored(shop: Shop) -> None:
    shop.rollup(now_ns=BEGIN_NS + DAY_NS + 5 * HOUR_NS + 1)
    assert {(hour.start_ns - BEGIN_NS) // HOUR_NS for hour in shop.kept()} == set(range(5))


def test_an_hour_that_is_stored_twice_after_a_rollover_counts_once(empty: Shop) -> None:
    hour = Hour(BEGIN_NS, "shop", 3600, 80, 3.6e10, 1e6, 9e7, 1e7, 2e7, 5e7)
    empty.put_totals([hour, replace(hour, service="billing")])
    empty.server.must("POST", f"/{empty.hours}/_rollover")
    more = replace(hour, requests=3601)
    empty.put_totals([more, replace(hour, service="billing", requests=3599)])
    assert len(empty.documents()) == 4
    assert empty.kept() == [replace(hour, service="billing"), more]


def test_late_events_are_reported_and_change_nothing(shop: Shop) -> None:
    shop.rollup()
    before = shop.kept()
    late = {"event.dataset": "logship.request", "event.duration": 10**6}
    shop.put([event(END_NS - HOUR_NS + 5, "shop", "3" * 24, 1, late), event(BEGIN_NS + 5, "shop", "3" * 24, 2, late)])
    days = shop.rollup()
    assert [(day.stored, [hour.start_ns for hour in day.late]) for day in days] == [((), [BEGIN_NS]), ((), [END_NS - HOUR_NS])]
    assert [hour.start_ns for day in shop.rollup(last_ns=60 * HOUR_NS) for hour in day.late] == [END_NS - HOUR_NS]
    assert shop.kept() == before


def test_hours_whose_events_are_gone_are_named(shop: Shop, tmp_path: Path) -> None:
    shop.put_totals([Hour(BEGIN_NS - 10 * HOUR_NS, "shop", 3600, 80, 3.6e10, 1e6, 9e7, 1e7, 2e7, 5e7)])
    plan = plan_rollup(shop.source, NOW_NS)
    assert plan.gone == (BEGIN_NS - 9 * HOUR_NS, BEGIN_NS)
    done = shop.invoke(tmp_path, "rollup", "--json")
    rows = {(row["result"], row["service"]): row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["gone", ""] == {
        "result": "gone", "service": "", "hours": 9, "first": rfc3339(BEGIN_NS - 9 * HOUR_NS),
        "last": rfc3339(BEGIN_NS - HOUR_NS), "note": "cannot be computed: there are no events of this time",
    }  # fmt: skip
    assert rows["stored", "shop"] == {
        "result": "stored", "service": "shop", "hours": HOURS, "first": rfc3339(BEGIN_NS), "last": rfc3339(END_NS - HOUR_NS),
        "note": None,
    }  # fmt: skip
    assert done.returncode == 0
    assert re.search(rf"rollup: {2 * HOURS} totals stored in [\d.]+ s; compared with the events from 2", done.stderr)


def test_the_command_says_when_there_is_nothing_to_store(shop: Shop, tmp_path: Path) -> None:
    assert shop.invoke(tmp_path, "rollup").returncode == 0
    shop.server.must("POST", f"/{shop.hours}/_refresh")
    done = shop.invoke(tmp_path, "rollup", "--json")
    assert (done.returncode, done.stdout) == (0, "")
    assert re.search(r"rollup: 0 totals stored in [\d.]+ s; compared with the events from 2", done.stderr)


def test_without_events_the_command_names_the_stream(empty: Shop, tmp_path: Path) -> None:
    done = empty.invoke(tmp_path, "rollup")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"nothing to compute: {empty.events} has no events\n"
    assert empty.kept() == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--last", "12h"), "invalid --last '12h': it must be longer than --delay 1d, and at most 730d"),
        (("--last", "3000d"), "at most 730d"),
        (("--delay", "soon"), "invalid duration 'soon'"),
    ],
)
def test_invalid_options_are_refused(empty: Shop, tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = empty.invoke(tmp_path, "rollup", *words)
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.fixture
def foreign(shop: Shop) -> Iterator[str]:
    """A template that takes the stream from ours, as the one for metrics-*-* does where ours is missing."""
    path = f"/_index_template/foreign-{shop.settings.elastic_namespace}"
    shop.server.must("PUT", path, {"index_patterns": [f"{shop.hours}*"], "priority": 900, "data_stream": {}})
    yield path
    shop.server.ask("DELETE", path)


@pytest.mark.alone
@pytest.mark.usefixtures("foreign")
def test_without_its_template_nothing_is_stored(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(ElasticError, match=r"needs the index template logship\.hours, .*: run `logship setup elastic`"):
        shop.rollup()
    assert shop.kept() == []
    done = shop.invoke(tmp_path, "rollup")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{shop.hours} needs the index template logship.hours" in done.stderr


@pytest.mark.alone
@pytest.mark.usefixtures("foreign")
def test_doctor_names_a_template_that_takes_the_stream(shop: Shop) -> None:
    def put(ns: int, record: dict[str, Any]) -> None:
        shop.server.create(shop.events, [record | {"@timestamp": rfc3339(ns)}])

    checks = {check.what: check for check in follow(shop.settings, put)}
    assert (checks["templates"].mark, checks["templates"].advice) == ("wrong", "run: logship setup elastic")
    assert f"a new {shop.hours} would not get logship's mapping" in checks["templates"].found


@pytest.mark.alone
def test_setup_brings_an_older_stream_of_totals_up(shop: Shop) -> None:
    template = hours.index_template()
    older = json.loads(json.dumps(template))
    del older["template"]["mappings"]["properties"]["logship"]["properties"]["hour"]["properties"]["in_flight"]
    shop.server.must("PUT", "/_index_template/logship.hours", older)
    try:
        shop.put_totals([Hour(BEGIN_NS, "shop", 3600, 80, 3.6e10, 1e6, 9e7, 1e7, 2e7, 5e7)])
        assert {f"{shop.hours}/_mapping", "_index_template/logship.hours"} <= set(run_setup(shop.settings))
        assert run_setup(shop.settings) == []
    finally:
        shop.server.must("PUT", "/_index_template/logship.hours", template)
    mappings = shop.server.must("GET", f"/{shop.hours}/_mapping").popitem()[1]["mappings"]
    assert mappings["properties"]["logship"]["properties"]["hour"]["properties"]["in_flight"] == {"type": "long"}


@pytest.mark.alone
def test_a_stream_of_another_template_is_refused(shop: Shop, foreign: str) -> None:
    shop.put_totals([Hour(BEGIN_NS, "shop", 3600, 80, 3.6e10, 1e6, 9e7, 1e7, 2e7, 5e7)])
    shop.server.ask("DELETE", foreign)
    with pytest.raises(ElasticError, match=r"was created without logship's template: delete this data stream, then run"):
        shop.rollup()


def test_the_server_gives_the_stream_its_types(empty: Shop) -> None:
    hour = Hour(BEGIN_NS, "shop", 3600, 80, 3.6e10, 1e6, 9e7, 1e7, 2e7, 5e7, utilization=0.5)
    empty.put_totals([hour])
    for query in (
        {"range": {"logship.hour.requests": {"gte": 3600}}},
        {"range": {"logship.hour.utilization": {"gt": 0.4, "lt": 0.6}}},
        {"term": {"service.name": "shop"}},
        {"range": {"@timestamp": {"gte": rfc3339(BEGIN_NS), "lt": rfc3339(BEGIN_NS + 1_000_000)}}},
    ):
        assert empty.server.count(empty.hours, query) == 1, query
    assert empty.kept() == [hour]
    template = empty.server.must("POST", f"/_index_template/_simulate_index/{empty.hours}")["template"]
    assert template["mappings"]["_meta"] == hours.META
    assert template["lifecycle"]["data_retention"] == "730d"


def test_a_document_of_another_format_is_no_hour(empty: Shop) -> None:
    hour = Hour(BEGIN_NS, "shop", 3600, 80, 3.6e10, 1e6, 9e7, 1e7, 2e7, 5e7)
    document = hours.document(hour)
    assert hours.from_document(document) == hour
    assert hours.from_document({**document, "@timestamp": "yesterday"}) is None
    assert hours.from_document({name: value for name, value in document.items() if name != "service.name"}) is None
    empty.put_totals([hour])
    empty.server.create(empty.hours, [{"@timestamp": rfc3339(BEGIN_NS), "event.id": "a-1"}])
    assert empty.kept() == [hour]
