"""Exact sets of event ids, whatever the order in which they come."""

import itertools
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.store import ids
from logship.store.files import Segment
from logship.store.ids import Held
from logship.store.sums import Sum
from logship.store.write import known
from logship.store.write.known import KnownEvents, NewEvents
from tests.store.events import LIFE, OTHER

SEGMENT = Segment(0, 0, 3, 1, 2)
some = st.lists(st.tuples(st.sampled_from((LIFE, OTHER)), st.integers(1, 30)), max_size=40)


@given(st.lists(some, max_size=6))
def test_seen_is_a_set(batches: list[list[tuple[str, int]]]) -> None:
    seen, model = KnownEvents(), set[tuple[str, int]]()
    for pairs in batches:
        batch: dict[str, NewEvents] = {}
        for life, number in pairs:
            found = seen.take(f"{life}-{number:012d}", batch)
            assert bool(found) == ((life, number) not in model)
            if found:
                seen.keep(*found)
                model.add((life, number))
        seen.add(batch)
        assert {(life, n) for life in (LIFE, OTHER) for n in range(32) if seen.has(life, n)} == model


@given(st.lists(st.lists(st.integers(1, 60), max_size=60), max_size=8))
def test_a_life_with_too_many_holes_forgets_no_event(batches: list[list[int]]) -> None:
    """It may take an event for known that is not, so that the store looks; never one for new that is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "RUN_RANGES_LIMIT", 6)
        seen, model = KnownEvents(), set[int]()
        for numbers in batches:
            batch: dict[str, NewEvents] = {}
            for number in numbers:
                if found := seen.take(f"{LIFE}-{number:012d}", batch):
                    assert number not in model
                    seen.keep(*found)
                model.add(number)
            seen.add(batch)
            ranges = seen._runs.get(LIFE, [])
            assert seen._ranges == len(ranges) <= 6
            assert list(ranges) == sorted(ranges)
            assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(ranges))
            assert all(seen.has(LIFE, number) for number in model)


def test_scattered_sequences_are_looked_up_in_few_steps() -> None:
    """Odd ones, then even ones, in frames of one and in one of 60,000: steps are counted, not timed."""
    steps = 0

    class Counted(int):
        def __lt__(self, other: object) -> bool:
            nonlocal steps
            steps += 1
            return int(self) < int(other)  # type: ignore[call-overload, no-any-return]

    fresh = NewEvents(-1, [[Counted(2 * number), Counted(2 * number)] for number in range(30_000)])
    fresh.newest = 60_000
    seen = KnownEvents()
    for number in range(1, 2_001, 2):
        assert seen.take(f"{LIFE}-{number:012d}", {LIFE: fresh})
    assert steps < 1_000 * 40


def test_lives_that_were_long_unheard_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "RUNS_LIMIT", 2)
    seen = KnownEvents()
    for life in ("a" * 24, "b" * 24, "a" * 24, "c" * 24):
        batch: dict[str, NewEvents] = {}
        if found := seen.take(f"{life}-000000000001", batch):
            seen.keep(*found)
        seen.add(batch)
    assert [seen.has(letter * 24, 1) for letter in "abc"] == [True, False, True]


def test_holes_that_somebody_makes_up_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "RANGES_LIMIT", 10)
    seen = KnownEvents({OTHER: Held(6, ((1, 3), (7, 9)))})
    for number in range(1, 60, 2):
        batch: dict[str, NewEvents] = {}
        found = seen.take(f"{LIFE}-{number:012d}", batch)
        assert found
        seen.keep(*found)
        seen.add(batch)
        assert seen._ranges == sum(map(len, seen._runs.values())) <= 10
    assert not seen.has(OTHER, 1)


@given(some)
def test_ids_made_again_from_rows_are_theirs(database: duckdb.DuckDBPyConnection, pairs: list[tuple[str, int]]) -> None:
    events = [f"{life}-{number:012d}" for life, number in pairs] + ["foreign", LIFE + "-" + "9" * 30, None]
    values = 'SELECT unnest(?::VARCHAR[]) AS "event.id", make_timestamp_ns(7) AS "@timestamp"'
    database.execute(f"CREATE OR REPLACE TEMP TABLE t AS {values}", [events])
    wanted = {life: Held(held.rows, held.ranges, 7, 7) for life, held in ids.collect(events).items()}
    assert ids.rebuild(database, "FROM t") == wanted


@given(some, some)
def test_ids_of_two_files_are_those_of_both(one: list[tuple[str, int]], other: list[tuple[str, int]]) -> None:
    def collected(pairs: list[tuple[str, int]]) -> ids.Ids:
        return ids.collect(f"{life}-{number:012d}" for life, number in pairs)

    assert ids.merge([collected(one), collected(other)]) == collected(one + other)


def test_foreign_ids_are_left_out() -> None:
    assert ids.collect([None, "", "abc", f"{LIFE}-12", LIFE + "-" + "9" * 30, LIFE.upper() + "-000000000001"]) == {}
    # More zeros would be a second name of the same event.
    assert ids.identity({"event.id": f"{LIFE}-0000000000012"}) is None
    assert ids.identity({"event.id": f"{LIFE}-1000000000012"}) == (LIFE, 10**12 + 12)
    assert ids.identity({"event.id": 7}) is None
    assert ids.identity({"event.id": f"{LIFE}-000000000012"}) == (LIFE, 12)


def test_an_ids_file_holds_what_was_written(tmp_path: Path) -> None:
    known = {LIFE: Held(3, ((1, 2), (5, 5)), 10, 20), OTHER: Held(1, ((1, 1),), 10, 20, 2, ((1, 1), (7, 7)))}
    ids.write(tmp_path, SEGMENT, known)
    assert ids.read(tmp_path, SEGMENT) == known


def test_an_ids_file_with_any_flipped_bit_counts_as_none(tmp_path: Path) -> None:
    known = {LIFE: Held(2000, ((1, 2000),), 10, 20)}
    ids.write(tmp_path, SEGMENT, known, Sum(1234, 5678))
    path = tmp_path / SEGMENT.ids_name
    written = path.read_bytes()
    for bit in range(len(written) * 8):
        flipped = bytearray(written)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert ids.read(tmp_path, SEGMENT) is None
        assert ids.read_segment_sum(tmp_path, SEGMENT) is None
    path.write_bytes(written)
    assert (ids.read(tmp_path, SEGMENT), ids.read_segment_sum(tmp_path, SEGMENT)) == (known, Sum(1234, 5678))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}', b'{"a": [1, 2]}', b'{"a": [1, []]}'])
def test_an_ids_file_that_cannot_be_read_counts_as_none(content: bytes, tmp_path: Path) -> None:
    assert ids.read(tmp_path, SEGMENT) is None
    (tmp_path / SEGMENT.ids_name).write_bytes(content)
    assert ids.read(tmp_path, SEGMENT) is None
