"""A window in memory: the same answers, from one moment, and no memory afterwards."""

from pathlib import Path

import pytest

from logship.search.kql import parse
from logship.search.query import Bucket, Page, Query, Source, focused
from logship.store.read import focusing
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.store.events import BEGIN_NS, event, events

SECOND = 10**9
WINDOW = Query(None, BEGIN_NS, BEGIN_NS + 3600 * SECOND)
COLUMNS = ("event.sequence", "service.name")


def tables(reader: Reader) -> list[str]:
    return [name for (name,) in reader._run(None, lambda snapshot: snapshot.all("SELECT table_name FROM duckdb_tables()"))]


def test_all_questions_see_the_events_of_the_same_moment(store: Store, reader: Reader) -> None:
    store.append(events(1, 5))
    with focused(reader, WINDOW, COLUMNS) as near:
        store.append(events(6, 9))
        assert near.count(WINDOW) == 5
        assert near.tally(WINDOW, None, None) == [Bucket(0, "", 5)]
        assert len(near.search(WINDOW, Page(20)).records) == 5
        assert reader.count(WINDOW) == 9


def test_its_memory_is_released_also_after_an_error(store: Store, reader: Reader) -> None:
    store.append(events(1, 5))
    with focused(reader, WINDOW, COLUMNS):
        assert len(tables(reader)) == 1
    assert tables(reader) == []
    with pytest.raises(ZeroDivisionError), focused(reader, WINDOW, COLUMNS):
        raise ZeroDivisionError
    assert tables(reader) == []


def test_what_happens_to_the_store_meanwhile_hides_no_result(store: Store, reader: Reader, directory: Path) -> None:
    store.append(events(1, 5))
    with focused(reader, WINDOW, COLUMNS) as near:
        counted = near.count(WINDOW)
        directory.rename(directory.with_name("moved"))
    directory.with_name("moved").rename(directory)
    assert (counted, tables(reader)) == (5, [])
    with focused(reader, WINDOW, COLUMNS):
        reader.close()  # and leaving raises nothing


@pytest.mark.parametrize(
    "query",
    [
        Query(None, WINDOW.since_ns),  # without an end
        Query(None, None, WINDOW.until_ns),
        Query(None, BEGIN_NS - SECOND, WINDOW.until_ns),
        Query(parse("labels.tenant: acme"), WINDOW.since_ns, WINDOW.until_ns),  # a column that it does not have
    ],
)
def test_what_the_window_does_not_have_is_read_from_the_files(query: Query, store: Store, reader: Reader) -> None:
    store.append([event(1, labels={"tenant": "acme"}), event(2, at_ns=BEGIN_NS - SECOND // 2, labels={"tenant": "acme"})])
    store.seal()
    with focused(reader, WINDOW, COLUMNS) as near:
        store.append([event(3, labels={"tenant": "acme"})])
        assert near.count(query) == reader.count(query) >= 2


def test_a_part_of_the_window_is_answered_from_memory(store: Store, reader: Reader) -> None:
    store.append(events(1, 5))
    part = Query(parse("event.sequence > 2"), BEGIN_NS + 1, BEGIN_NS + 60 * SECOND)
    with focused(reader, WINDOW, COLUMNS) as near:
        before = near.count(part)
        store.append(events(6, 9))
        assert (before, near.count(part), reader.count(part)) == (3, 3, 7)


def test_too_many_events_are_not_taken_into_memory(store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(events(1, 5))
    monkeypatch.setattr(focusing, "ROWS_LIMIT", 4)
    with focused(reader, WINDOW, COLUMNS) as near:
        assert near is reader
        assert tables(reader) == []


def test_a_source_that_cannot_do_it_answers_as_always(reader: Reader) -> None:
    class Plain:
        def count(self, query: Query) -> int:
            return 7

    plain: Source = Plain()  # type: ignore[assignment]
    with focused(plain, WINDOW, COLUMNS) as near:
        assert near is plain
