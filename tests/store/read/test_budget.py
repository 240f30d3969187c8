"""Answers are cut by bytes as well as by rows, and whoever goes on with the key of the page gets everything once."""

import time
from pathlib import Path

import pytest

from logship.errors import QuestionError
from logship.search.query import Page, Query
from logship.store.read import budget
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.store.events import LIFE, event

LARGE = 100_000


@pytest.fixture(params=["sealed", "unsealed", "both"])
def large(tmp_path: Path, request: pytest.FixtureRequest) -> Reader:
    """40 records of 100 KB, with small ones between them."""
    with Store(tmp_path, roll_records=20 if request.param == "both" else 5_000) as store:
        now_ns = time.time_ns()
        for at in range(0, 80, 10):
            store.append(
                [(now_ns + n, {"n": n, "message": "x" * (LARGE if n % 2 else 10)}) for n in range(at, at + 10)]
            )
        if request.param == "sealed":
            store.seal()
    return Reader(tmp_path)


def numbers(records: list[dict[str, object]]) -> list[int]:
    return [int(record["numeric_labels"]["n"]) for record in records]  # type: ignore[index]


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_page_of_large_records_ends_early_and_the_next_one_goes_on(
    large: Reader, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(budget, "ANSWER_BYTES", 10 * LARGE)
    found: list[int] = []
    after, pages = None, 0
    while True:
        rows = large.search(Query(), Page(1000, newest_first=newest_first, after=after))
        assert sum(len(str(record["message"])) for record in rows.records) <= 11 * LARGE
        assert rows.records
        found += numbers(rows.records)
        after, pages = rows.next, pages + 1
        if after is None:
            break
    assert found == sorted(range(80), reverse=newest_first)
    assert 4 <= pages <= 12


def test_one_record_beyond_the_budget_is_a_page_of_its_own(large: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "ANSWER_BYTES", 1_000)
    rows = large.search(Query(), Page(10, newest_first=True))
    assert numbers(rows.records) == [79]
    assert rows.next is not None


def test_a_tail_of_large_records_goes_on_where_it_was_cut(large: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "ANSWER_BYTES", 10 * LARGE)
    found: list[int] = []
    key = "-1"
    while True:
        rows = large.tail(Query(), key, 1000)
        found += numbers(rows.records)
        if not rows.records:
            break
        assert rows.next is not None
        key = rows.next
    assert found == list(range(80))


def test_an_export_of_large_records_holds_some_at_a_time(large: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    from logship.store.read import export

    monkeypatch.setattr(export, "WINDOW_BYTES", 10 * LARGE)
    pieces = list(large.every(Query()))
    assert [n for piece in pieces for n in numbers(piece)] == list(range(80))
    # A step of rows may come on top of the budget.
    assert max(len(piece) for piece in pieces) <= 20 + budget.STEP_ROWS


def test_the_events_of_an_id_and_around_one_say_when_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store:
        store.append([event(n, trace__id="t", message="x" * LARGE) for n in range(1, 61)])
        reader = Reader(tmp_path)
        middle = f"{LIFE}-000000000030"
        for excerpt, count in ((reader.get("t"), 60), (reader.context(middle, 5, 5), 11), (reader.get(middle), 1)):
            assert (len(excerpt.records), excerpt.cut) == (count, False)
        monkeypatch.setattr(budget, "ANSWER_BYTES", 10 * LARGE)
        for excerpt, count in ((reader.get("t"), 60), (reader.context(middle, 29, 1), 31), (reader.context(middle, 0, 30), 31)):
            assert 0 < len(excerpt.records) < count
            assert excerpt.cut
        assert not reader.context(middle, 2, 2).cut
        reader.close()


def test_values_beyond_the_budget_are_refused_and_not_collected(large: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "ANSWER_BYTES", 10 * LARGE)
    assert large.top(Query(), "message", 1)[0].events == 40
    assert len(large.tally(Query(), "log.level", None)) == 1
    with Store(large.directory) as store:
        store.append([(time.time_ns(), {"message": f"{n}" + "x" * LARGE}) for n in range(20)])
    for ask in (
        lambda: large.top(Query(), "message", 100),
        lambda: large.tally(Query(), "message", None),
        lambda: large.groups(Query(), ("message", "log.level")),
    ):
        with pytest.raises(QuestionError, match="use a shorter time window, or a field with fewer or shorter values"):
            ask()
