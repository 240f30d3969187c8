"""Exceptions of a store in groups, and which of them are new since a deploy."""

import contextlib

import pytest

from logship.forensics.error_groups import report as module
from logship.forensics.error_groups.report import report
from logship.search import kql
from logship.search.query import Page, Query, Rows
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS
from tests.store.events import LIFE, Entry, event

MIDDLE_NS, END_NS = START_NS + 100 * SECOND, START_NS + 200 * SECOND
NOW = Query(None, MIDDLE_NS, END_NS)
TRACE = 'Traceback (most recent call last):\n  File "/app/shop/{0}.py", line 4, in {0}\n    work()\n{1}: no'
_number = iter(range(1, 10**6))


def error(at_s: float, function: str, id_: str, kind: str = "ValueError", **fields: object) -> Entry:
    more: dict[str, object] = {
        "error__id": id_, "error__type": kind, "error__message": "no", "error__stack_trace": TRACE.format(function, kind),
        "service__name": "shop", "service__version": "1", "service__node__name": "h/shop/w0", "http__route": "/a", **fields,
    }  # fmt: skip
    return event(next(_number), LIFE, at_ns=START_NS + int(at_s * SECOND), **more)


def started(at_s: float, version: str) -> Entry:
    return event(
        next(_number), LIFE, at_ns=START_NS + int(at_s * SECOND), event__action="worker-started",
        service__name="shop", service__version=version,
    )  # fmt: skip


def test_two_ways_to_one_place_are_one_group(store: Store, source: Reader) -> None:
    store.append([
        error(150, "pay", "a" * 32), error(151, "pay", "a" * 32, service__node__name="h/shop/w1"),
        error(152, "pay", "b" * 32, http__route="/b"), error(153, "ship", "c" * 32), error(154, "pay", "d" * 32, "KeyError"),
    ])  # fmt: skip
    result = report(source, NOW)
    assert result.sentence == "5 exceptions in 3 groups."
    first = result.groups[0]
    assert (first.type, first.culprit, first.events, first.message) == ("ValueError", "shop/pay.py pay", 3, "no")
    assert (first.routes, first.workers, first.versions) == (["/a", "/b"], ["h/shop/w0", "h/shop/w1"], ["1"])
    assert (first.first_seen_ns, first.last_seen_ns) == (START_NS + 150 * SECOND, START_NS + 152 * SECOND)
    assert source.count(NOW.narrowed(kql.parse(first.kql))) == 3
    assert sum(group.events for group in result.groups) == result.events == 5
    assert len({group.grouping_key for group in result.groups}) == 3


def test_an_error_that_began_with_the_newest_version_is_new_and_comes_first(store: Store, source: Reader) -> None:
    store.append([started(1, "1"), started(120, "2"), *(error(at, "old", "a" * 32) for at in (50, 150, 160))])
    store.append([error(140, "fresh", "b" * 32, service__version="2")])
    result = report(source, NOW)
    assert [(group.culprit, group.new_since, group.events) for group in result.groups] == [
        ("shop/fresh.py fresh", "2", 1), ("shop/old.py old", "", 2),
    ]  # fmt: skip
    assert result.groups[1].first_seen_ns == START_NS + 50 * SECOND


def test_with_one_version_nothing_is_new_since_a_deploy(store: Store, source: Reader) -> None:
    store.append([started(1, "1"), error(150, "pay", "a" * 32)])
    assert report(source, NOW).groups[0].new_since == ""


def test_a_window_without_exceptions_says_so(store: Store, source: Reader) -> None:
    store.append([started(150, "1")])
    assert report(source, NOW).sentence == "No exceptions in this window."


def test_rare_fingerprints_beyond_the_limit_are_counted(
    store: Store, source: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([error(150, "pay", "a" * 32), error(151, "pay", "a" * 32), error(152, "ship", "b" * 32)])
    monkeypatch.setattr(module, "MOST_READ", 1)
    result = report(source, NOW)
    assert (len(result.groups), result.events, result.unread_events) == (1, 3, 1)
    assert "1 exception with rare fingerprints not grouped" in result.sentence


def test_many_fingerprints_are_read_with_few_queries(store: Store) -> None:
    """Each has its own first and newest exception, whichever page it is on."""
    ids = [f"{number:032x}" for number in range(120)]
    early = [error(1 + number, f"f{number}", id_) for number, id_ in enumerate(ids)]
    frequent = [error(130 + number / 100, "f0", ids[0]) for number in range(60)]
    late = [error(110 + number / 10, f"f{number}", id_) for number, id_ in enumerate(ids)]
    store.append(early + frequent + late)
    asked: list[Page] = []

    class Counting(Reader):
        def search(self, query: Query, page: Page) -> Rows:
            asked.append(page)
            return super().search(query, page)

    with contextlib.closing(Counting(store.directory, threads=1)) as source:
        result = report(source, NOW)
    assert len(result.groups) == 120
    by_culprit = {group.culprit: group for group in result.groups}
    for number in range(1, 120):
        group = by_culprit[f"shop/f{number}.py f{number}"]
        assert group.first_seen_ns == START_NS + (1 + number) * SECOND
        assert group.last_seen_ns == START_NS + int((110 + number / 10) * SECOND)
    assert by_culprit["shop/f0.py f0"].last_seen_ns == START_NS + int(130.59 * SECOND)
    assert len(asked) <= 12
