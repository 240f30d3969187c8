import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fluent.handler import FluentRecordFormatter as OriginalFormatter

from logship.fluent import handler
from logship.fluent.asynchandler import FluentHandler as AsyncHandler
from logship.fluent.handler import FluentHandler
from tests.worker.driving import Desk, desk


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


@pytest.fixture
def log(at: Desk) -> Iterator[logging.Logger]:
    logger = logging.getLogger("fluent.test")
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers.clear()
    logger.propagate = True


def test_a_record_with_a_map_is_one_event_with_its_fields(at: Desk, log: logging.Logger) -> None:
    one = FluentHandler("app.follow", host="localhost")
    one.setFormatter(handler.FluentRecordFormatter({"where": "%(module)s"}))
    log.addHandler(one)
    log.info({"from": "userA", "to": "userB", "count": 3})
    [event] = at.said()
    assert (event["labels"], event["numeric_labels"]) == ({"from": "userA", "to": "userB"}, {"count": 3})
    assert (event["log.logger"], event["log.level"]) == ("fluent.test", "info")


def test_a_text_is_one_event_with_its_arguments(at: Desk, log: logging.Logger) -> None:
    log.addHandler(FluentHandler("app"))
    log.warning("hello %s", "you")
    assert [(event["message"], event["log.level"]) for event in at.said()] == [("hello you", "warning")]


@pytest.fixture
def silent() -> Iterator[str]:
    """The name of a logger that logship leaves alone: the request events replace an access logger's."""
    logger = logging.getLogger("granian.access")
    logger.propagate = False
    yield logger.name
    logger.propagate = True


def test_a_record_that_logship_does_not_take_by_itself_is_formatted(at: Desk, silent: str) -> None:
    """Records that come to the handler alone, as from a QueueListener of a logger that is silent."""
    one = FluentHandler("app.queue")
    one.setFormatter(handler.FluentRecordFormatter({"where": "%(module)s"}))
    one.emit(logging.makeLogRecord({"name": silent, "msg": '{"key": "hello"}', "levelno": 20, "module": "shop"}))
    [event] = at.said()
    assert event["log.logger"] == "app.queue"
    assert event["labels"] == {"where": "shop", "key": "hello"}


def test_a_formatter_that_fails_costs_nothing_but_its_record(
    at: Desk, silent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = FluentHandler("app")
    one.setFormatter(handler.FluentRecordFormatter({"x": "%(missing)s"}))
    assert one.emit(logging.makeLogRecord({"name": silent, "msg": "x"})) is False
    assert "KeyError" in capsys.readouterr().err


def test_the_sender_is_made_again_after_the_end(at: Desk) -> None:
    with FluentHandler("app", nanosecond_precision=True) as one:
        first = one.sender
    assert first.emit("x", {}) is False
    assert one.sender is not first
    assert one.sender.emit("x", {}) is True


def test_the_formatter_is_fluent_loggers_own_and_the_asynchronous_handler_the_same() -> None:
    assert handler.FluentRecordFormatter is OriginalFormatter
    assert AsyncHandler is FluentHandler
    with pytest.raises(AttributeError):
        handler.Nothing  # noqa: B018
