"""Answers, the same from the log and from Parquet."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.errors import KqlError, QuestionError, StoreError, StoreMissing
from logship.search.kql import parse
from logship.search.query import Bucket, Group, Page, Query, Record, Share, Source, focused
from logship.store.files import read_listing
from logship.store.read.reader import Reader
from logship.store.read.snapshot import Snapshot
from logship.store.schema import COLUMNS
from logship.store.write.store import Store
from tests.store.events import BEGIN_NS, LIFE, OTHER, Entry, event, events

SECOND = 10**9


def shop() -> list[Entry]:
    """Twelve requests of two workers, one each second."""
    return [
        event(
            number // 2 + 1,
            (LIFE, OTHER)[number % 2],
            at_ns=BEGIN_NS + number * SECOND,
            event__duration=number * 1000,
            event__action="http-request",
            http__route="/orders/{id}" if number % 3 else "/health",
            http__request__id=f"req-{number // 3}",
            http__response__status_code=500 if number == 7 else 200,
            logship__worker__slot=number % 2,
            service__node__name=f"h/shop/w{number % 2}",
            tags=["slow", "cut"] if number > 9 else ["cut"],
            labels={"tenant": "acme"} if number < 4 else {},
            numeric_labels={"items": number / 2},
        )
        for number in range(12)
    ]


@pytest.fixture(params=["log", "parquet", "both", "focused"])
def source(request: pytest.FixtureRequest, store: Store, reader: Reader) -> Iterator[Source]:
    """The shop's requests: in the log, sealed, half and half, or half and half in memory; stored out of order."""
    late_first = shop()[6:] + shop()[:6]
    if request.param in ("both", "focused"):
        store.append(late_first[:5])
        store.seal()
        store.append(late_first[5:])
    else:
        store.append(late_first)
    if request.param == "parquet":
        store.seal()
    if request.param != "focused":
        yield reader
        return
    with focused(reader, Query(), COLUMNS) as near:
        assert near is not reader
        yield near


def numbers(records: list[Record]) -> list[int]:
    return [record["event.duration"] // 1000 for record in records]


def asked(text: str, since: int | None = None, until: int | None = None) -> Query:
    return Query(
        parse(text),
        None if since is None else BEGIN_NS + since * SECOND,
        None if until is None else BEGIN_NS + until * SECOND,
    )


def test_search_gives_whole_records_by_time(source: Source) -> None:
    rows = source.search(asked("http.response.status_code >= 500"), Page())
    assert rows.next is None
    assert rows.records == [
        {
            "@timestamp": "2026-11-20T10:00:07.000000000Z", "event.id": f"{OTHER}-000000000004", "event.sequence": 4,
            "service.ephemeral_id": OTHER, "message": "GET /orders/4 200 1ms", "event.duration": 7000,
            "event.action": "http-request", "http.route": "/orders/{id}", "http.request.id": "req-2",
            "http.response.status_code": 500, "logship.worker.slot": 1, "service.node.name": "h/shop/w1",
            "tags": ["cut"], "numeric_labels": {"items": 3.5},
        }
    ]  # fmt: skip


def test_pages_follow_each_other_in_both_directions(source: Source) -> None:
    for newest_first in (True, False):
        found: list[int] = []
        after = None
        while True:
            rows = source.search(asked(""), Page(5, newest_first, after))
            found += numbers(rows.records)
            after = rows.next
            if after is None:
                break
        assert found == sorted(range(12), reverse=newest_first)


def test_time_begins_with_since_and_ends_before_until(source: Source) -> None:
    assert numbers(source.search(asked("", 3, 6), Page(newest_first=False)).records) == [3, 4, 5]
    assert source.count(asked("", 3, 6)) == 3
    assert source.count(asked("", 12)) == 0


def test_get_finds_by_event_and_request_id(source: Source) -> None:
    assert numbers(source.get(f"{LIFE}-000000000002").records) == [2]
    assert numbers(source.get("req-1").records) == [3, 4, 5]
    assert source.get("nothing").records == []


def test_a_tally_counts_in_buckets_by_a_field(source: Source) -> None:
    assert source.tally(asked(""), None, 5 * SECOND) == [
        Bucket(BEGIN_NS, "", 5), Bucket(BEGIN_NS + 5 * SECOND, "", 5), Bucket(BEGIN_NS + 10 * SECOND, "", 2),
    ]  # fmt: skip
    assert source.tally(asked(""), "http.response.status_code", 60 * SECOND) == [
        Bucket(BEGIN_NS, "200", 11), Bucket(BEGIN_NS, "500", 1),
    ]  # fmt: skip
    assert source.tally(asked(""), "tenant", 60 * SECOND) == [Bucket(BEGIN_NS, "", 8), Bucket(BEGIN_NS, "acme", 4)]


def test_top_counts_the_values_of_a_field_a_list_or_a_label(source: Source) -> None:
    assert source.top(asked(""), "http.route", 5) == [Share("/orders/{id}", 8, 8 / 12), Share("/health", 4, 4 / 12)]
    assert source.top(asked(""), "tags", 2) == [Share("cut", 12, 1.0), Share("slow", 2, 2 / 12)]
    assert source.top(asked(""), "tenant", 5) == [Share("acme", 4, 1.0)]
    assert source.top(asked(""), "items", 2) == [Share("0", 1, 1 / 12), Share("0.5", 1, 1 / 12)]
    assert source.top(asked(""), "http.response.status_code", 1) == [Share("200", 11, 11 / 12)]
    assert source.top(asked(""), "error.type", 5) == []


def test_a_tally_counts_by_two_fields_and_without_time(source: Source) -> None:
    slots = source.tally(asked(""), "http.route", None, "logship.worker.slot")
    assert slots == [
        Bucket(0, "/health", 2, "0"), Bucket(0, "/health", 2, "1"), Bucket(0, "/orders/{id}", 4, "0"),
        Bucket(0, "/orders/{id}", 4, "1"),
    ]  # fmt: skip
    assert source.tally(asked("", 6), "tenant", 60 * SECOND, "tags")[0] == Bucket(BEGIN_NS, "", 4, "cut")
    with pytest.raises(QuestionError, match="invalid bucket width"):
        source.tally(asked(""), None, 0)


def test_groups_count_by_any_number_of_fields(source: Source) -> None:
    assert source.groups(asked(""), ()) == [Group((), [0], [12])]
    assert source.groups(asked("nothing"), ()) == []
    assert source.groups(asked(""), ("http.route", "http.response.status_code", "tenant")) == [
        Group(("/health", "200", ""), [0], [2]), Group(("/health", "200", "acme"), [0], [2]),
        Group(("/orders/{id}", "200", ""), [0], [5]), Group(("/orders/{id}", "200", "acme"), [0], [2]),
        Group(("/orders/{id}", "500", ""), [0], [1]),
    ]  # fmt: skip
    slots = source.tally(asked(""), "http.route", 5 * SECOND, "logship.worker.slot")
    groups = source.groups(asked(""), ("http.route", "logship.worker.slot"), 5 * SECOND)
    assert groups == sorted(groups)
    assert [len(group.counts) for group in groups] == [len(group.starts_ns) for group in groups]
    assert sorted(
        Bucket(start_ns, group.keys[0], events, group.keys[1])
        for group in groups
        for start_ns, events in zip(group.starts_ns, group.counts, strict=True)
    ) == sorted(slots)


def test_the_buckets_of_a_group_are_in_the_order_of_time(store: Store) -> None:
    """Two threads read segments that overlap in time, and their counts are put together."""
    counted: Counter[tuple[str, int]] = Counter()
    for part in range(6):
        entries = []
        for number in range(200):
            at_ns = BEGIN_NS + (number * 7919 + part * 104729) % 600 * SECOND
            entries.append(event(part * 200 + number + 1, LIFE, at_ns=at_ns, http__route=f"/{number % 5}"))
            counted[f"/{number % 5}", at_ns // (10 * SECOND) * 10 * SECOND] += 1
        store.append(entries)
        store.seal()
    reader = Reader(store.directory, threads=2)
    groups = reader.groups(Query(), ("http.route",), 10 * SECOND)
    reader.close()
    assert all(group.starts_ns == sorted(group.starts_ns) for group in groups)
    found = {(group.keys[0], at): events for group in groups for at, events in zip(group.starts_ns, group.counts, strict=True)}
    assert found == counted
    assert max(found.values()) > 1


def test_stats_may_be_told_over_time(source: Source) -> None:
    told = source.stats(asked(""), "event.duration", "logship.worker.slot", 6 * SECOND)
    assert [(one.start_ns, one.key, one.count, one.max) for one in told] == [
        (BEGIN_NS, "0", 3, 4000.0), (BEGIN_NS, "1", 3, 5000.0),
        (BEGIN_NS + 6 * SECOND, "0", 3, 10000.0), (BEGIN_NS + 6 * SECOND, "1", 3, 11000.0),
    ]  # fmt: skip
    assert all(one.error == 0 for one in told)


def test_a_page_may_have_some_columns_only(source: Source) -> None:
    page = Page(1, columns=("http.route", "error.type", "logship.worker.slot"))
    (record,) = source.search(asked(""), page).records
    assert record == {
        "@timestamp": "2026-11-20T10:00:11.000000000Z",
        "http.route": "/orders/{id}",
        "logship.worker.slot": 1,
    }
    (record,) = source.search(asked("tenant: *"), Page(1, columns=("tenant", "@timestamp"))).records
    assert record == {
        "@timestamp": "2026-11-20T10:00:03.000000000Z", "labels": {"tenant": "acme"}, "numeric_labels": {"items": 1.5},
    }  # fmt: skip


def test_a_page_may_lie_in_many_files(store: Store, reader: Reader) -> None:
    for entry in shop():
        store.append([entry])
        if entry != shop()[-1]:
            store.seal()
    assert len(read_listing(store.directory).segments) > 1
    greatest = reader.search(Query(), Page(20, greatest="event.duration")).records
    assert numbers(greatest) == list(range(11, -1, -1))
    assert all(one["http.route"] for one in greatest)


def test_a_record_is_the_same_before_and_after_it_is_sealed(store: Store, reader: Reader) -> None:
    odd = event(
        1,
        event__start="2026-11-20T10:00:00.5Z",
        event__created="2026-11-20T10:00:00Z",
        event__duration=2**62,
        error__message="\u0000é\ud800",
        tags=["a", ""],
        labels={"a b": "", "": "x"},
        numeric_labels={"count": 3, "ratio": 0.1},
        user_agent__original="",
        url__path='/"\\\n',
        unknown={"deep": [1, {"x": None}]},
        logship__loop__utilization=1,
    )
    store.append([odd, event(2), (BEGIN_NS + 1, {"log": "a line of Docker", "n": 2**70})])
    before = reader.search(Query(), Page(10)).records
    some = Page(10, columns=("tags", "numeric_labels", "event.start"))
    few = reader.search(Query(), some).records
    store.seal()
    assert reader.search(Query(), Page(10)).records == before
    assert reader.search(Query(), some).records == few
    assert [list(record) for record in reader.search(Query(), Page(10)).records] == [list(record) for record in before]
    assert len(before) == 3


def test_a_damaged_date_and_a_line_without_its_end_cost_no_search(store: Store, reader: Reader, directory: Path) -> None:
    store.append([event(1, event__start="2026-11-20T10:00:01.5Z"), event(2)])
    (log,) = directory.glob("*.ndjson")
    data = log.read_bytes()
    log.write_bytes(data.replace(b"10:00:01.5Z", b"10:00:0x.5Z").removesuffix(b"\n"))
    second, first = reader.search(Query(), Page(10)).records
    assert (first["event.sequence"], second["event.sequence"], reader.count(Query())) == (1, 2, 2)
    assert "event.start" not in first


def test_a_page_may_begin_with_the_greatest(source: Source) -> None:
    rows = source.search(asked("http.route: /health"), Page(3, greatest="event.duration"))
    assert numbers(rows.records) == [9, 6, 3]
    rest = source.search(asked("http.route: /health"), Page(3, after=rows.next, greatest="event.duration"))
    assert (numbers(rest.records), rest.next) == ([0], None)
    with pytest.raises(QuestionError, match="needs a number field"):
        source.search(asked(""), Page(greatest="message"))


def test_a_context_is_what_happened_around_an_event(source: Source) -> None:
    one = f"{LIFE}-000000000003"
    assert numbers(source.context(one, 1, 2).records) == [2, 4, 6, 8]
    assert numbers(source.context(one, 1, 2, everybody=True).records) == [3, 4, 5, 6]
    assert numbers(source.context(one, 0, 0).records) == [4]
    assert numbers(source.context(one, 100, 100).records) == [0, 2, 4, 6, 8, 10]
    assert source.context("nothing", 1, 1).records == []


def test_addresses_are_compared_as_numbers(store: Store, reader: Reader) -> None:
    addresses = ["9.0.0.1", "10.0.0.9", "::1", "2001:db8::1", "no address"]
    store.append([event(n, client__ip=address) for n, address in enumerate(addresses, 1)])

    def found(text: str) -> list[int]:
        return [one["event.sequence"] for one in reader.search(asked(text), Page(newest_first=False)).records]

    for _ in ("log", "parquet"):
        assert found("client.ip > 9.0.0.1") == [2, 4]
        assert found("client.ip: 10.0.0.0/12") == [2]
        assert found("labels.client.ip: *") == [5]
        store.seal()


def test_an_event_is_looked_for_only_where_the_sidecars_say_it_is(
    store: Store, reader: Reader, directory: Path
) -> None:
    for start in (1, 6, 11):
        store.append(events(start, start + 4))
        store.seal()
    first, _, last = read_listing(directory).segments
    for segment in (first, last):
        (directory / segment.name).write_bytes(b"PAR1 broken PAR1")
    assert [one["event.sequence"] for one in reader.get(f"{LIFE}-000000000008").records] == [8]
    assert reader.set_aside() == []
    assert reader.get(f"{LIFE}-000000000003").records == []
    assert {one.name for one in reader.set_aside()} == {first.name}  # no filter of the last one has it as another id


def test_ids_that_repeat_one_another_come_back_as_they_were(store: Store, reader: Reader) -> None:
    given = [
        {"http.request.id": "t", "trace.id": "t", "span.id": "s", "transaction.id": "s"},
        {"http.request.id": "r", "trace.id": "t", "span.id": "s", "transaction.id": "x"},
        {"http.request.id": "t"}, {"trace.id": "t"}, {"span.id": "s"}, {"transaction.id": "s"},
    ]  # fmt: skip
    names = tuple(given[0])
    for at, one in enumerate(given):
        store.append([(BEGIN_NS + at, one)])
    for _ in ("log", "parquet"):
        told = reader.search(Query(), Page(newest_first=False, columns=names)).records
        assert [{name: one[name] for name in names if name in one} for one in told] == given
        assert reader.count(asked("http.request.id: t")) == 2
        assert reader.count(asked("not transaction.id: *")) == 3
        store.seal()


def test_stats_are_exact(source: Source) -> None:
    (all_,) = source.stats(asked(""), "event.duration", None)
    assert (all_.key, all_.count, all_.sum, all_.min, all_.max) == ("", 12, 66000.0, 0.0, 11000.0)
    assert (all_.p50, all_.p95, all_.p99) == pytest.approx((5500.0, 10450.0, 10890.0))
    one, other = source.stats(asked(""), "items", "logship.worker.slot")
    assert (one.key, one.count, one.sum, one.max) == ("0", 6, 15.0, 5.0)
    assert (other.key, other.p50) == ("1", 3.0)


def test_fields_are_counted(source: Source) -> None:
    found = {name: (kind, count) for name, kind, count in source.fields()}
    assert found["message"] == ("text", 12)
    assert found["labels.tenant"] == ("keyword", 4)
    assert found["numeric_labels.items"] == ("number", 12)
    assert "error.type" not in found


def test_incarnations_are_told_as_a_whole(source: Source) -> None:
    one, other = source.incarnations(asked("http.response.status_code: *"))
    assert (one.id, one.stored, one.slot, one.node, one.first_ns) == (LIFE, ((1, 6),), 0, "h/shop/w0", BEGIN_NS)
    assert (other.id, other.last_ns, other.duplicates, other.last_beat) == (OTHER, BEGIN_NS + 11 * SECOND, 0, None)
    assert [life.id for life in source.incarnations(asked("http.response.status_code: 500"))] == [OTHER]
    assert source.incarnations(asked("tenant: nobody")) == []


def test_the_oldest_event_is_known(source: Source) -> None:
    assert source.oldest_ns() == BEGIN_NS


def test_the_newest_beat_and_the_end_of_a_life_are_told(store: Store, reader: Reader) -> None:
    for sequence, action in enumerate(("worker-started", "worker-heartbeat", "worker-heartbeat", "http-request"), 1):
        store.append([event(sequence, event__action=action, logship__emitted=sequence)])
    (life,) = reader.incarnations(Query())
    assert life.last_beat
    assert (life.last_beat["event.sequence"], life.ended) == (3, None)
    store.append([event(5, event__action="worker-lost", logship__emitted=5)])
    store.seal()
    (life,) = reader.incarnations(Query())
    assert life.last_beat
    assert (life.last_beat["logship.emitted"], life.ended) == (5, "worker-lost")
    life.last_beat["logship.emitted"] = 7  # what is known of a life is nobody's to change
    assert reader.incarnations(Query())[0].last_beat == life.last_beat | {"logship.emitted": 5}


def test_a_process_without_a_slot_keeps_its_service_when_its_events_are_sealed(store: Store, reader: Reader) -> None:
    plain = {"service__name": "job", "service__node__name": None, "logship__worker__slot": None, "process__pid": 77}
    for sequence, action in enumerate(("line", "line", "worker-ended"), 1):
        _, record = event(sequence, event__action=action, logship__emitted=sequence, **plain)  # type: ignore[arg-type]
        store.append([(BEGIN_NS + sequence, {name: value for name, value in record.items() if value is not None})])
    store.seal()
    (run,) = reader.incarnations(Query())
    assert (run.service, run.node, run.pid, run.ended) == ("job", "", 77, "worker-ended")


def test_a_tail_gives_each_event_once_in_the_order_of_arrival(store: Store, reader: Reader) -> None:
    store.append(events(1, 3))
    rows = reader.tail(Query(), None)
    assert rows.records == []
    key, heard = rows.next, []
    for start in range(4, 80, 4):
        store.append([event(n, at_ns=BEGIN_NS - n) for n in range(start, start + 4)])
        if start % 3 == 0:
            store.seal()
        rows = reader.tail(Query(parse("not event.sequence: 10")), key, limit=3)
        heard += [record["event.sequence"] for record in rows.records]
        key = rows.next
    while rows.records:
        rows = reader.tail(Query(parse("not event.sequence: 10")), key)
        heard += [record["event.sequence"] for record in rows.records]
        key = rows.next
    assert heard == [n for n in range(4, 80) if n != 10]
    assert reader.tail(Query(), key).next == key


def test_a_tail_that_begins_just_after_a_seal_misses_nothing(store: Store, reader: Reader) -> None:
    store.append(events(1, 3))
    store.seal()
    key = reader.tail(Query(), None).next
    store.append(events(4, 5))
    assert [record["event.sequence"] for record in reader.tail(Query(), key).records] == [4, 5]


def test_a_reader_may_be_made_before_the_store(directory: Path, reader: Reader) -> None:
    with pytest.raises(StoreMissing, match="logship up"):
        reader.count(Query())
    with Store(directory) as store:
        assert reader.count(Query()) == 0
        assert reader.search(Query(), Page()).records == []
        assert reader.oldest_ns() is None
        assert reader.incarnations(Query()) == []
        assert reader.fields() == []
        assert reader.stats(Query(), "event.duration", None) == []
        store.append(events(1, 1))
        assert reader.count(Query()) == 1


def test_a_misspelt_field_is_named_with_the_nearest_unless_it_is_a_label(store: Store, reader: Reader) -> None:
    store.append([event(1, slot="a label")])
    with pytest.raises(KqlError, match=r"did you mean http\.response\.status_code") as caught:
        reader.count(Query(parse("a: 1 or http.response.statuscode: 500")))
    assert caught.value.at == 8
    assert reader.count(Query(parse("slot: *"))) == 1
    assert reader.count(Query(parse("slot: a label"))) == 1
    assert reader.count(Query(parse("never_seen: *"))) == 0
    with pytest.raises(QuestionError, match="never_seen"):
        reader.top(Query(), "never_seen", 3)
    with pytest.raises(QuestionError, match="statistics need a number field"):
        reader.stats(Query(), "message", None)


def test_an_alias_is_its_field_and_a_label_of_that_name_is_not_hidden(store: Store, reader: Reader) -> None:
    failed = event(1, http__response__status_code=500, http__request__method="GET", log__level="error")
    store.append([failed, event(2, http__response__status_code=200)])
    assert reader.count(Query(parse("status >= 500 and level: ERROR and method: get"))) == 1
    assert [(one.value, one.events) for one in reader.top(Query(), "status", 3)] == [("200", 1), ("500", 1)]
    assert [one.key for one in reader.tally(Query(), "method", None)] == ["", "GET"]
    assert reader.search(Query(), Page(1, columns=("status",), greatest="status")).records[0].keys() == {
        "@timestamp",
        "http.response.status_code",
    }
    with pytest.raises(KqlError, match="is a number"):
        reader.count(Query(parse("status: paid")))
    store.append([event(3, status="paid")])
    assert reader.count(Query(parse("status: paid"))) == 1
    assert reader.count(Query(parse("not status: paid and status: *"))) == 2
    assert reader.count(Query(parse("labels.status: *"))) == 1


def test_a_label_is_nearest_to_its_misspelling_and_compared_with_a_colon(store: Store, reader: Reader) -> None:
    store.append([event(1, tenant="acme", message="seats=3 tenant=acme")])
    with pytest.raises(KqlError, match="did you mean tenant"):
        reader.count(Query(parse("status: 200 or tennant: acme")))
    with pytest.raises(KqlError, match="write tenant: acme") as caught:
        reader.count(Query(parse("status: 200 or tenant=acme")))
    assert caught.value.at == 15
    assert reader.count(Query(parse("seats=3"))) == 1
    assert reader.count(Query(parse('"tenant=acme"'))) == 1
    with pytest.raises(KqlError, match="did you mean duration"):
        reader.stats(Query(), "duration_ms", None)


@pytest.mark.parametrize("key", ["", "x", "1", "1.x", "1.2.3"])
def test_a_wrong_key_is_a_wrong_question(key: str, store: Store, reader: Reader) -> None:
    if key:
        with pytest.raises(QuestionError, match="key"):
            reader.search(Query(), Page(after=key))
    if key != "1":
        with pytest.raises(QuestionError, match="key"):
            reader.tail(Query(), key)


def test_now_is_the_readers_clock(store: Store, directory: Path) -> None:
    store.append(events(1, 10))
    reader = Reader(directory, clock_ns=lambda: BEGIN_NS + 5 * 10**6)
    assert reader.count(Query(parse("@timestamp > now"))) == 5
    reader.close()


def test_many_threads_may_ask_while_the_store_seals_and_merges(store: Store, reader: Reader) -> None:
    wrong: list[object] = []
    done = threading.Event()
    stored = [0]

    def ask() -> None:
        while not done.is_set():
            least = stored[0]
            count, found = reader.count(Query()), reader.search(Query(), Page(3)).records
            if count < least or len(found) < min(3, least):
                wrong.append((least, count, found))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for start in range(1, 1200, 6):
        store.append(events(start, start + 5))
        stored[0] = start + 5
    done.set()
    for thread in asking:
        thread.join()
    assert wrong == []


def test_a_segment_that_breaks_under_a_reader_is_named(store: Store, reader: Reader, directory: Path) -> None:
    store.append(events(1, 5))
    store.seal()
    name = read_listing(directory).segments[0].name
    (directory / name).write_bytes(b"PAR1 broken PAR1")
    assert reader.count(Query()) == 0
    assert [(one.name, one.events) for one in reader.set_aside()] == [(name, 5)]


ENDLESS = "SELECT count(*) FROM range(10_000_000) a, range(10_000_000) b WHERE a.range % 7 + b.range = 3"


def test_ctrl_c_ends_a_question_at_once(store: Store, reader: Reader) -> None:
    store.append(events(1, 20))
    running = threading.Event()

    def ask(look: Snapshot) -> list[Any]:
        running.set()
        return look.all(ENDLESS)

    def press() -> None:
        running.wait()
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            reader._runner.run(None, ask)
    finally:
        pressing.join()
        signal.signal(signal.SIGINT, before)
    assert reader.count(Query()) == 20


def test_a_question_may_take_so_long_and_no_longer(store: Store, directory: Path) -> None:
    store.append(events(1, 20))
    reader = Reader(directory, threads=1, limit_seconds=2)
    with pytest.raises(StoreError, match=r"took longer than 2 s and was cancelled; use a shorter time window"):
        reader._runner.run(None, lambda look: look.all(ENDLESS))
    assert reader.count(Query()) == 20
    reader.close()


def test_a_window_without_an_end_ends_now(store: Store, directory: Path) -> None:
    now_ns = BEGIN_NS
    reader = Reader(directory, threads=1, clock_ns=lambda: now_ns)
    hour = 3600 * 10**9
    times = (now_ns - 2 * hour, now_ns - 1, now_ns + 4 * 60 * 10**9, now_ns + hour, 8_583_580_800 * 10**9)
    store.append([(time_ns, {"message": "m"}) for time_ns in times])
    assert reader.count(Query()) == 5
    last_hour = Query(since_ns=now_ns - hour)
    assert reader.count(last_hour) == len(reader.search(last_hour, Page()).records) == 2
    assert sum(map(len, reader.every(last_hour))) == 2
    assert reader.count(Query(since_ns=now_ns - hour, until_ns=now_ns + 2 * hour)) == 3
    assert reader.count(Query(since_ns=now_ns + 1)) == 3
    reader.close()
