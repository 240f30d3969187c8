"""Events are counted by their texts whether a source can group by them or not."""

from collections.abc import Iterator

import pytest

from logship.errors import QuestionError
from logship.forensics import by_text
from logship.forensics.by_text import all_by_text, newest_by_text
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS
from tests.forensics.without_texts import WithoutTexts
from tests.store.events import LIFE, event

EVERY_NS = 10 * SECOND
NAMES = ("message", "log.level")
WINDOW = Query(None, START_NS, START_NS + 1000 * SECOND)


def log(store: Store, *messages: str) -> None:
    """Append one warning a second."""
    store.append([
        event(number, LIFE, at_ns=START_NS + number * SECOND, message=message, log__level="warning")
        for number, message in enumerate(messages)
    ])  # fmt: skip


@pytest.fixture
def without_texts(store: Store) -> Iterator[Reader]:
    reader = WithoutTexts(store.directory, threads=1)
    yield reader
    reader.close()


def test_read_groups_are_those_of_a_source_that_can_group_by_text(store: Store, source: Reader, without_texts: Reader) -> None:
    log(store, *(f"mail {number % 3} sent" for number in range(25)))
    expected = source.groups(WINDOW, NAMES, EVERY_NS)
    assert [(group.keys, group.counts) for group in expected][:1] == [(("mail 0 sent", "warning"), [4, 3, 2])]
    for each in (source, without_texts):
        assert all_by_text(each, WINDOW, NAMES, EVERY_NS) == expected
        assert newest_by_text(each, WINDOW, "message") == ({"mail 0 sent": 9, "mail 1 sent": 8, "mail 2 sent": 8}, 0)


def test_no_event_of_all_is_left_out(store: Store, without_texts: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    log(store, *(f"mail {number} sent" for number in range(30)))
    monkeypatch.setattr(by_text, "MOST_READ", 30)
    assert sum(group.events for group in all_by_text(without_texts, WINDOW, NAMES)) == 30
    monkeypatch.setattr(by_text, "MOST_READ", 29)
    with pytest.raises(QuestionError, match=r"cannot group by message: .*; 30 events are too many to read \(limit 29\)"):
        all_by_text(without_texts, WINDOW, NAMES)


def test_the_newest_are_read_and_the_others_counted(
    store: Store, without_texts: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(store, *(f"mail {number} sent" for number in range(30)))
    monkeypatch.setattr(by_text, "PAGE_ROWS", 10)
    monkeypatch.setattr(by_text, "MOST_READ", 15)
    texts, unread = newest_by_text(without_texts, WINDOW, "message")
    assert set(texts) == {f"mail {number} sent" for number in range(10, 30)}
    assert unread == 10


def test_long_texts_are_cut_and_do_not_fill_the_memory(
    store: Store, without_texts: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(store, *("x" * 5_000 + str(number % 2) for number in range(10)), *(str(number) * 5_000 for number in range(10)))
    groups = all_by_text(without_texts, WINDOW, ("message",))
    assert [len(group.keys[0]) for group in groups] == [by_text.READ_CHARACTERS] * 11
    assert groups[-1].events == 10
    monkeypatch.setattr(by_text, "PAGE_ROWS", 5)
    monkeypatch.setattr(by_text, "MOST_CHARACTERS", 8_000)
    texts, unread = newest_by_text(without_texts, WINDOW, "message")
    assert (texts.total(), unread) == (5, 15)
