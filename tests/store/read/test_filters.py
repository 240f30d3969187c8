"""Ids are looked up in the filters of segments; a filter that is missing or damaged hides nothing."""

from pathlib import Path

import pytest

from logship.search.kql import parse
from logship.search.query import Page, Query
from logship.store import ids
from logship.store.files import Segment, read_listing
from logship.store.read.filters import FilterLookup
from logship.store.read.reader import Reader
from logship.store.sums import Sum
from logship.store.write import merging
from logship.store.write.store import Store
from tests.store.events import event


def requests(low: int, high: int) -> list[tuple[int, dict[str, object]]]:
    return [event(number, http__request__id=f"request-{number}") for number in range(low, high + 1)]


def fill(store: Store) -> tuple[Segment, ...]:
    for start in (1, 11, 21):
        store.append(requests(start, start + 9))
        store.seal()
    return read_listing(store.directory).segments


def sequences(reader: Reader, query: str) -> list[int]:
    return [found["event.sequence"] for found in reader.search(Query(parse(query)), Page(newest_first=False)).records]


def damage(directory: Path, *segments: Segment) -> None:
    for segment in segments:
        (directory / segment.name).write_bytes(b"PAR1 broken PAR1")


def test_only_segments_that_may_have_the_id_are_read(store: Store, reader: Reader, directory: Path) -> None:
    first, _, last = fill(store)
    damage(directory, first, last)
    assert sequences(reader, "http.request.id: request-15") == [15]
    assert reader.get("request-15").records[0]["event.sequence"] == 15
    assert reader.set_aside() == []


def test_an_id_in_a_log_is_found_beside_the_segments(store: Store, reader: Reader) -> None:
    fill(store)
    store.append(requests(31, 33))
    store.append([event(40, http__request__id='a "quoted" \\ id')])
    for query, wanted in (
        ("http.request.id: request-32", [32]),
        ("http.request.id: (request-5 or request-32)", [5, 32]),
        (r'http.request.id: "a \"quoted\" \\ id"', [40]),
        ("http.request.id: request-99", []),
    ):
        assert sequences(reader, query) == wanted


def test_merged_segments_have_the_filters_of_their_parts(
    store: Store, reader: Reader, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = fill(store)
    before = b"".join(found[0] for part in parts if (found := ids.read_filters(directory, part)))
    monkeypatch.setattr(merging, "MERGE_SEGMENTS", 3)
    store._maintenance.merging.wake.set()
    assert store._maintenance.wait(lambda: len(read_listing(directory).segments) == 1, 20)
    (merged,) = read_listing(directory).segments
    found = ids.read_filters(directory, merged)
    assert found is not None
    assert found[0] == before
    assert sequences(reader, "http.request.id: request-15") == [15]


def test_without_filters_a_segment_is_read(store: Store, reader: Reader, directory: Path) -> None:
    for segment in fill(store):
        held = ids.read(directory, segment)
        assert held
        ids.write(directory, segment, held, Sum.of(directory / segment.name))
    assert sequences(reader, "http.request.id: request-15") == [15]


def test_a_damaged_filter_hides_nothing(store: Store, reader: Reader, directory: Path) -> None:
    for segment in fill(store):
        data = bytearray((directory / segment.ids_name).read_bytes())
        data[-15:] = bytes(15)
        (directory / segment.ids_name).write_bytes(data)
    assert sequences(reader, "http.request.id: request-15") == [15]


def test_a_filter_that_was_rebuilt_is_verified_again(store: Store, directory: Path) -> None:
    first, *_ = fill(store)
    lookup = FilterLookup(directory)
    assert lookup.spans(first, ["request-5"])
    held, found = ids.read(directory, first), ids.read_filters(directory, first)
    assert held
    assert found
    ids.write(directory, first, held, None, found[0])  # another length before the filters
    assert lookup.spans(first, ["request-5"])
    assert lookup.spans(first, ["request-25"]) == []
    (directory / first.ids_name).unlink()
    assert lookup.spans(first, ["request-5"]) is None
