"""fluent-logger's interface, as its own tests describe it, with the journal in place of the connection."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fluent import sender as original

import logship.fluent
from logship.fluent import Event, EventTime, FluentSender, asyncsender, sender
from tests.worker.driving import Desk, desk


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made
    sender._set_global_sender(None)


def test_an_event_has_its_tag_its_label_and_its_map(at: Desk) -> None:
    with FluentSender("app", host="nowhere.example", port=1, bufmax=5, timeout=0.1) as one:
        assert one.emit("follow", {"from": "userA", "count": 3, "message": "followed", "level": "WARN"}) is True
    [event] = at.said()
    assert (event["log.logger"], event["message"], event["log.level"]) == ("app.follow", "followed", "warning")
    assert (event["labels"], event["numeric_labels"]) == ({"from": "userA"}, {"count": 3})


@pytest.mark.parametrize(
    ("tag", "label", "name"), [("a", None, "a"), ("a", "", "a"), (None, "b", "b"), ("a", "b", "a.b")]
)
def test_without_a_message_the_tag_stands_for_it(at: Desk, tag: str | None, label: str | None, name: str) -> None:
    FluentSender(tag).emit(label, {"bar": "baz"})
    assert (at.said()[-1]["message"], at.said()[-1]["log.logger"]) == (name, name)


@pytest.mark.parametrize(
    ("timestamp", "nanoseconds"),
    [
        (1490061367, "2017-03-21T01:56:07.000000000Z"),
        (1490061367.5, "2017-03-21T01:56:07.500000000Z"),
        (EventTime(1490061367, 861646890), "2017-03-21T01:56:07.861646890Z"),
        (EventTime.from_unix_nano(1490061367861646890), "2017-03-21T01:56:07.861646890Z"),
        (original.EventTime(1490061367, 861646890), "2017-03-21T01:56:07.861646890Z"),
    ],
)
def test_an_event_may_have_its_own_time(at: Desk, timestamp: object, nanoseconds: str) -> None:
    assert FluentSender("app", nanosecond_precision=True).emit_with_time("x", timestamp, {})
    assert at.times()[-1] == nanoseconds


@pytest.mark.parametrize("timestamp", [None, -1, float("nan"), float("inf"), 10**20, "yesterday", True])
def test_a_time_that_means_none_is_now(at: Desk, timestamp: object) -> None:
    before = time.strftime("%Y-%m-%dT%H", time.gmtime())
    assert FluentSender("app").emit_with_time("x", timestamp, {})
    assert at.times()[-1][:13] in {before, time.strftime("%Y-%m-%dT%H", time.gmtime())}


def test_nothing_is_taken_after_the_end(at: Desk) -> None:
    one = FluentSender("app")
    one.close()
    one.close()
    assert not one.emit("x", {"a": 1})
    assert at.said() == []


def test_there_is_no_last_error_after_success_and_one_after_a_refusal(tmp_path: Path) -> None:
    with desk(tmp_path, journal_limit_bytes=1) as at:
        one = FluentSender("app")
        assert one.emit("x", {"a": 1})
        assert not one.last_error
        while one.emit("x", {"filler": "x" * 10_000}):
            pass
        assert isinstance(one.last_error, OSError)
        assert at.pipeline().journal.identity.dropped()["journal_full"] >= 1
        one.clear_last_error()
        assert one.last_error is None


@pytest.mark.parametrize("data", [{"x": object()}, "text", None, 7, {1: 2}, {"a": {"b": ["c"]}}])
def test_whatever_is_emitted_is_an_event(at: Desk, data: Any) -> None:
    assert FluentSender("app").emit("x", data) is True
    assert len(at.said()) == 1


def test_a_sender_can_say_what_it_emits(at: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    FluentSender("app", verbose=True).emit("foo", {"bar": "baz"})
    assert "('app.foo', None, {'bar': 'baz'})" in capsys.readouterr().out


def test_an_event_goes_through_the_global_sender_or_its_own(at: Desk) -> None:
    logship.fluent.setup("app")
    Event("unfollow", {"from": "userC"})
    Event("follow", {"from": "userA"}, sender=FluentSender("other"), time=1490061367)
    assert [event["log.logger"] for event in at.said()] == ["app.unfollow", "other.follow"]
    logship.fluent.close()
    Event("late", {})
    assert len(at.said()) == 2


def test_an_event_needs_a_map_and_a_sender(at: Desk) -> None:
    with pytest.raises(AssertionError, match="data must be a dict"):
        Event("x", "text")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="setup"):
        Event("x", {})


def test_an_asynchronous_sender_is_the_same(at: Desk) -> None:
    with asyncsender.FluentSender("app", queue_maxsize=10, queue_circular=True) as one:
        assert one.emit("x", {"a": 1})
    assert asyncsender.FluentSender is FluentSender
    assert len(at.said()) == 1


def test_a_time_beyond_what_the_format_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid timestamp"):
        EventTime(2**32)
