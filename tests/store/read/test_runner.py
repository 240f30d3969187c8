"""Everything in one go: the rows and the order of a search page after page, as of one moment, whatever is written meanwhile."""

import tempfile
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.errors import KqlError, StoreError
from logship.search.kql import parse
from logship.search.pages import record_pages
from logship.search.query import Page, Query, Record, Streams
from logship.search.times import EARLIEST_NS, LATEST_NS
from logship.store.read import export
from logship.store.read.reader import Reader
from logship.store.write import merging, superseded
from logship.store.write.store import Store
from tests.conftest import PROVE
from tests.store.events import BEGIN_NS, LIFE, event, events

QUESTIONS = (
    None,
    "http.route: /a",
    "not http.route: /a",
    "labels.tenant: x",
    "event.sequence >= 20",
    "message: orders",
)
# Near, far, all at one instant, and at both ends of time.
times = st.one_of(
    st.integers(BEGIN_NS, BEGIN_NS + 50),
    st.integers(BEGIN_NS - 10**15, BEGIN_NS + 10**15),
    st.just(BEGIN_NS),
    st.sampled_from((EARLIEST_NS, LATEST_NS - 1, 0, -1)),
)
limits = st.none() | times


@pytest.fixture(autouse=True)
def small_windows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "WINDOW_ROWS", 7)
        patch.setattr(export, "_BUCKETS", 4)
        patch.setattr(export, "_PIECE_ROWS", 3)
        yield


def by_pages(reader: Reader, query: Query) -> list[Record]:
    rows = reader.search(query, Page(50, newest_first=False))
    found = rows.records
    while rows.next is not None:
        rows = reader.search(query, Page(50, newest_first=False, after=rows.next))
        found += rows.records
    return found


@settings(max_examples=25 if PROVE else 8)
@given(st.lists(st.tuples(times, st.sampled_from(("/a", "/b", None))), max_size=80), st.data())
def test_it_gives_what_pages_give(held: list[tuple[int, str | None]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory, Store(directory, roll_records=15) as store:
        reader = Reader(directory, threads=1)
        for start in range(0, len(held), 10):
            store.append(
                [
                    event(number, at_ns=at_ns, http__route=route, labels={"tenant": "x"} if number % 3 else {})
                    for number, (at_ns, route) in enumerate(held[start : start + 10], start + 1)
                ]
            )
            if start == 30:
                store.seal()
        for _ in range(4):
            text, since_ns, until_ns = data.draw(st.tuples(st.sampled_from(QUESTIONS), limits, limits))
            query = Query(parse(text) if text else None, since_ns, until_ns)
            pieces = list(reader.every(query))
            assert all(0 < len(piece) <= 3 for piece in pieces)
            assert [one for piece in pieces for one in piece] == by_pages(reader, query)
        reader.close()


def test_it_is_of_one_moment_while_logs_are_sealed_merged_and_removed(
    store: Store, reader: Reader, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superseded, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(merging, "MERGE_SEGMENTS", 3)
    store.append(events(1, 100))
    pieces = reader.every(Query())
    found = next(pieces)
    number = 100
    for piece in pieces:
        found += piece
        # Later ones, and such that belong between those which are to come.
        number += 20
        store.append(events(number + 1, number + 10))
        store.append([event(at + 10, at_ns=BEGIN_NS + 99 * 10**6 + at) for at in range(number + 1, number + 11)])
        store.seal()
    assert [record["event.sequence"] for record in found] == list(range(1, 101))
    assert number > 400
    assert not (directory / "00000000.ndjson").exists()


def test_a_label_that_is_nearly_a_field_is_asked_about_before_anything_is_given(store: Store, reader: Reader) -> None:
    store.append(events(1, 3))
    with pytest.raises(KqlError, match=r"http\.route"):
        next(reader.every(Query(parse("http.rout: x"))))


def test_only_a_source_that_can_is_asked_for_everything(store: Store, reader: Reader) -> None:
    class ByPages:
        search = reader.search

    store.append([event(number, LIFE) for number in range(1, 30)])
    assert isinstance(reader, Streams)
    assert not isinstance(ByPages(), Streams)
    everything = [one for piece in record_pages(reader, Query()) for one in piece]
    pages = list(record_pages(ByPages(), Query(), 10))  # type: ignore[arg-type]
    assert [len(page) for page in pages] == [10, 10, 9]
    assert [one for page in pages for one in page] == everything


def test_questions_that_have_no_memory_beside_each_other_are_answered_one_by_one(store: Store, directory: Path) -> None:
    store.append(events(1, 19))
    reader = Reader(directory, threads=1, memory_limit_bytes=72 * 2**20)
    with futures.ThreadPoolExecutor(6) as pool:
        assert set(pool.map(reader.count, [Query()] * 60)) == {19}
    reader.close()


def test_a_question_that_has_no_memory_by_itself_says_so(store: Store, directory: Path) -> None:
    store.append(events(1, 19))
    reader = Reader(directory, threads=1, memory_limit_bytes=16 * 2**20)
    with pytest.raises(StoreError, match="needs too much memory; use a shorter time window"):
        reader.count(Query())
    reader.close()
