"""Patterns of a store: exact templates, mined texts, and what changed against the baseline."""

import pytest

from logship.event.annotation import annotation
from logship.forensics import by_text
from logship.forensics.patterns.report import MessagePattern, PatternReport, report
from logship.search import kql
from logship.search.query import Query
from logship.store.read import budget
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, beat, requests
from tests.forensics.without_texts import WithoutTexts
from tests.store.events import LIFE, Entry, event

MIDDLE_NS, END_NS = START_NS + 100 * SECOND, START_NS + 200 * SECOND
BEFORE, NOW = Query(None, START_NS, MIDDLE_NS), Query(None, MIDDLE_NS, END_NS)


class Lines:
    """Makes log lines with numbers of their sequence."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, at_s: float, *messages: str, template: str = "") -> list[Entry]:
        fields: dict[str, object] = {"logship__message__template": template} if template else {}
        return [self._line(at_s, message, fields) for message in messages]

    def _line(self, at_s: float, message: str, fields: dict[str, object]) -> Entry:
        self.number += 1
        at_ns = START_NS + int(at_s * SECOND)
        return event(self.number, LIFE, at_ns=at_ns, message=message, event__dataset="logship.app", **fields)


@pytest.fixture
def lines() -> Lines:
    return Lines()


def named(result: PatternReport) -> dict[str, MessagePattern]:
    return {pattern.pattern: pattern for pattern in result.patterns}


def test_templates_are_exact_and_other_messages_are_mined(store: Store, source: Reader, lines: Lines) -> None:
    store.append(lines(150, "order 1 placed", "order 2 placed", template="order %d placed"))
    store.append(lines(150, "mail 1 sent", "mail 2 sent", "mail 3 sent"))
    result = named(report(source, NOW, None))
    assert {name: (each.events, each.recorded) for name, each in result.items()} == {
        "order %d placed": (2, True), "mail <*> sent": (3, False),
    }  # fmt: skip
    for pattern in result.values():
        assert source.count(NOW.narrowed(kql.parse(pattern.kql))) == pattern.events
    assert result["mail <*> sent"].example == "mail 1 sent"


def test_changes_against_the_baseline_come_first_and_counts_add_up(store: Store, source: Reader, lines: Lines) -> None:
    store.append(lines(50, *["usual line"] * 30, *["cache is warm"] * 30))
    store.append(lines(150, *["usual line"] * 30, *[f"pool of {number} is empty" for number in range(20)]))
    result = report(source, NOW, BEFORE)
    assert [(each.pattern, each.change) for each in result.patterns] == [
        ("cache is warm", "gone"), ("pool of <*> is empty", "new"), ("usual line", "same"),
    ]  # fmt: skip
    assert sum(each.events for each in result.patterns) == result.events == 50
    assert sum(each.baseline_events for each in result.patterns) == result.baseline_events == 60
    assert result.sentence == "50 log lines in 2 patterns. Compared with the baseline: 1 new, 1 gone."


def test_without_lines_in_the_baseline_nothing_is_called_new(store: Store, source: Reader, lines: Lines) -> None:
    store.append(lines(150, *["usual line"] * 30))
    result = report(source, NOW, BEFORE)
    assert (result.compared, result.patterns[0].change) == (False, "")
    assert result.sentence == "30 log lines in 1 pattern. The baseline has no log lines, so nothing was compared."


def test_requests_and_heartbeats_are_not_log_lines(store: Store, source: Reader) -> None:
    store.append([*requests([1], at_s=150), beat(2, at_s=150)])
    assert report(source, NOW, None).events == 0


def test_a_source_that_cannot_group_by_text_is_read_up_to_a_limit(
    store: Store, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(lines(150, *[f"mail {number} sent" for number in range(30)]))
    source = WithoutTexts(store.directory, threads=1)
    assert named(report(source, NOW, None))["mail <*> sent"].events == 30
    monkeypatch.setattr(by_text, "MOST_READ", 10)
    monkeypatch.setattr(by_text, "PAGE_ROWS", 10)
    result = report(source, NOW, None)
    source.close()
    assert (result.patterns[0].events, result.unread_events, result.events) == (10, 20, 30)
    assert "20 older lines not grouped" in result.sentence


def test_messages_that_are_too_long_to_group_are_read_by_their_beginnings(
    store: Store, source: Reader, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(lines(150, *[f"import {number} failed: " + "x" * 5_000 for number in range(20)]))
    whole = report(source, NOW, None)
    monkeypatch.setattr(budget, "ANSWER_BYTES", 60_000)
    result = report(source, NOW, None)
    assert [(each.pattern, each.events) for each in result.patterns] == [(each.pattern, each.events) for each in whole.patterns]
    assert (result.events, result.unread_events) == (20, 0)
    monkeypatch.setattr(by_text, "MOST_CHARACTERS", 10_000)
    monkeypatch.setattr(by_text, "PAGE_ROWS", 5)
    assert (report(source, NOW, None).unread_events, report(source, NOW, None).events) == (15, 20)


def test_notes_of_people_are_not_log_messages(store: Store, source: Reader, lines: Lines) -> None:
    store.append(lines(150, "order 1 placed"))
    store.append([(START_NS + 151 * SECOND, annotation("rolled back to 3.4.9", "shop", START_NS, "note-1"))])
    assert [pattern.pattern for pattern in report(source, NOW, None).patterns] == ["order <*> placed"]
