"""An id that comes again with other content: both events are kept, whoever came first, and nobody is told it was a repetition."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logship.search.kql import parse
from logship.search.query import Page, Query
from logship.store.files import log_name
from logship.store.read.contents import ContentLookup
from logship.store.read.reader import Reader
from logship.store.write.merging import mergeable
from logship.store.write.store import Appended, Store
from tests.conftest import PROVE
from tests.store.events import BEGIN_NS, LIFE, OTHER, Entry, event, events


@pytest.fixture
def source(store: Store) -> Iterator[Reader]:
    reader = Reader(store.directory, threads=1)
    yield reader
    reader.close()


def messages(source: Reader, text: str = "") -> list[str]:
    rows = source.search(Query(parse(text) if text else None), Page(1000, newest_first=False))
    return [one["message"] for one in rows.records]


def settle(store: Store, how: str) -> Store:
    """The store after its events were sealed, or read again by another writer."""
    if how == "sealed":
        store.seal()
    if how == "restarted":
        store.close()
        return Store(store.directory)
    return store


HOW = pytest.mark.parametrize("how", ["unsealed", "sealed", "restarted"])


@HOW
def test_a_repetition_is_stored_once(how: str, store: Store, source: Reader) -> None:
    store.append(events(1, 50))
    store = settle(store, how)
    assert store.append(events(20, 60)) == Appended(10, duplicates=31)
    assert len(messages(source)) == 60
    store.close()


@HOW
def test_other_content_is_kept_beside_the_first(how: str, store: Store, source: Reader) -> None:
    store.append([event(n, message="forged", at_ns=BEGIN_NS) for n in range(1, 101)])
    store = settle(store, how)
    assert store.append(events(51, 150)) == Appended(100, conflicts=50)
    assert messages(source, 'message: "GET /orders/77 200 1ms"') == ["GET /orders/77 200 1ms"]
    both = source.search(Query(parse(f'event.id: "{LIFE}-000000000077"')), Page()).records
    assert sorted(one["message"] for one in both) == ["GET /orders/77 200 1ms", "forged"]
    assert [one["message"] for one in both if "logship.conflict" in one] == ["GET /orders/77 200 1ms"]
    store = settle(store, "sealed")
    (life,) = source.incarnations(Query())
    assert (life.stored, life.duplicates, life.conflicts) == (((1, 150),), 0, 50)
    assert len(source.get(f"{LIFE}-000000000077").records) == 2
    store.close()


def test_a_conflict_that_comes_again_is_a_repetition(store: Store) -> None:
    store.append(events(1, 3))
    other = [event(2, message="other")]
    assert store.append(other) == Appended(1, conflicts=1)
    assert store.append(other + events(1, 3)) == Appended(0, duplicates=4)
    store.seal()
    assert store.append(other * 2) == Appended(0, duplicates=2)
    assert store.append([event(2, message="a third")]) == Appended(1, conflicts=1)


def test_one_batch_may_conflict_with_itself(store: Store, source: Reader) -> None:
    batch = [event(1), event(1), event(1, message="other"), event(1, at_ns=BEGIN_NS), event(2)]
    # The same event with another time is the same event.
    assert store.append(batch) == Appended(3, duplicates=2, conflicts=1)
    (life,) = source.incarnations(Query())
    assert (life.stored, life.duplicates, life.conflicts) == (((1, 2),), 0, 1)


def test_nobody_else_marks_an_event_as_a_conflict(store: Store, source: Reader) -> None:
    marked = event(1)[1] | {"logship.conflict": "0" * 16}
    nested = event(2)[1] | {"logship": {"conflict": "0" * 16}}
    assert store.append([(BEGIN_NS, marked), (BEGIN_NS, nested)]) == Appended(2)
    assert messages(source, "logship.conflict: *") == []
    (life,) = source.incarnations(Query())
    assert (life.stored, life.conflicts) == (((1, 2),), 0)


def test_a_nested_id_is_an_id(store: Store) -> None:
    at_ns, record = event(1)
    del record["event.id"], record["event.sequence"]
    nested: Entry = (at_ns, record | {"event": {"id": f"{LIFE}-000000000001", "sequence": 1}})
    assert store.append([nested]) == Appended(1)
    assert store.append([nested, event(1)]) == Appended(0, duplicates=2)


def test_conflicts_survive_merging_and_a_lost_sidecar(store: Store, source: Reader) -> None:
    for n in range(1, 11):
        store.append([event(n), event(n, message="other")])
        store.seal()
    store._maintenance.merging.wake.set()
    assert store._maintenance.wait(lambda: not mergeable(source._runner.run(None, lambda look: look.listing.segments)), 60)
    for sidecar in store.directory.glob("*.ids"):
        sidecar.unlink()
    (life,) = Reader(store.directory, threads=1).incarnations(Query())
    assert (life.stored, life.duplicates, life.conflicts) == (((1, 10),), 0, 10)


def test_what_cannot_be_read_is_stored_again_rather_than_lost(store: Store, source: Reader) -> None:
    store.append(events(1, 20))
    store.seal()
    for sealed in (*store.directory.glob("*.parquet"), store.directory / log_name(0)):
        sealed.unlink(missing_ok=True)
    assert store.append(events(1, 20)) == Appended(20)
    assert len(messages(source)) == 20


values = st.one_of(
    st.text(max_size=8), st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none(),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=3), st.floats()), max_size=3),
)  # fmt: skip
names = st.sampled_from(
    (
        "message", "labels", "numeric_labels", "tags", "event.start", "event.created", "event.duration", "client.ip",
        "log.level", "logship.journal.durable", "http.request.id", "trace.id", "own", "a.b", "http", "logship",
        "process.exit_code", "url.path",
    )
)  # fmt: skip


@settings(max_examples=300 if PROVE else 12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.dictionaries(names, values, max_size=6), min_size=1, max_size=30), st.booleans())
def test_content_is_the_same_from_the_door_and_from_the_files(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], sealed: bool
) -> None:
    batch = [
        (BEGIN_NS + n, dict(record) | {"event.id": f"{OTHER}-{n:012d}"}) for n, record in enumerate(records, 1)
    ]
    with Store(tmp_path_factory.mktemp("store")) as store:
        first = store.append([(ns, dict(record)) for ns, record in batch])
        if sealed:
            store.seal()
        assert store.append(batch) == Appended(0, duplicates=first.stored, dead=first.dead)


def test_two_reports_of_the_same_end_are_one(store: Store) -> None:
    """A collector that is killed between report and removal leaves the journal to somebody else, who reports again."""

    def end(found: str, action: str, acknowledged: int, message: str) -> Entry:
        at_ns, record = event(9, message=message, event__action=action, event__created=f"2026-11-20T10:00:0{found}Z")
        return at_ns, record | {"logship.emitted": 9, "logship.acknowledged": acknowledged}

    store.append([end("0", "worker-lost", 3, "worker lost")])
    assert store.append([end("7", "worker-lost", 8, "lost: its supervisor lives")]) == Appended(0, duplicates=1)
    assert store.append([end("9", "worker-closed", 8, "worker closed")]) == Appended(1, conflicts=1)


def test_ids_that_the_store_does_not_hold_have_no_content(store: Store) -> None:
    store.append(events(1, 3))
    recall = ContentLookup(store.directory)
    found = recall.contents([f"{LIFE}-000000000002", f"{LIFE}-000000000009", f"{OTHER}-000000000001"])
    recall.close()
    assert found.keys() == {f"{LIFE}-000000000002"}
