"""LOGSHIP_CAPTURE_FLUENT: the senders and handlers that an application has already."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fluent import asyncsender, event, handler, sender

import logship
from tests.worker.driving import desk


@pytest.fixture
def hung() -> Iterator[int]:
    """The port of an agent that takes connections and reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_sender_that_is_there_is_journalled_without_its_connection(tmp_path: Path, hung: int) -> None:
    with desk(tmp_path, capture_fluent=True) as at:
        one = sender.FluentSender("app", port=hung)
        assert one.emit("follow", {"from": "ann"}) is True
        assert one.socket is None
        one.close()
        assert one.emit("late", {}) is False
        [told] = at.said()
        assert (told["log.logger"], told["labels"]) == ("app.follow", {"from": "ann"})


def test_the_asynchronous_sender_and_the_event_too(tmp_path: Path, hung: int) -> None:
    with desk(tmp_path, capture_fluent=True) as at:
        one = asyncsender.FluentSender("app", port=hung)
        for number in range(1000):  # ten times what its queue holds
            event.Event("x", {"number": number}, sender=one)
        one.close()
        assert [told["numeric_labels"]["number"] for told in at.said()] == list(range(1000))


def test_a_handler_tells_no_record_twice(tmp_path: Path, hung: int) -> None:
    log = logging.getLogger("fluent.there")
    there = handler.FluentHandler("app", port=hung)
    there.setFormatter(handler.FluentRecordFormatter())
    log.addHandler(there)
    try:
        with desk(tmp_path, capture_fluent=True) as at:
            log.warning({"from": "ann"})
            assert [told["labels"] for told in at.said()] == [{"from": "ann"}]
    finally:
        log.removeHandler(there)


def test_without_the_setting_senders_send(tmp_path: Path) -> None:
    with desk(tmp_path) as at, socket.create_server(("127.0.0.1", 0)) as listener:
        one = sender.FluentSender("app", port=listener.getsockname()[1])
        assert one.emit("x", {"a": 1}) is True
        with listener.accept()[0] as connection:
            assert b"app.x" in connection.recv(100)
        assert at.said() == []
        logship.configure(service="shop", agent="off", state_dir=str(tmp_path), capture_fluent=True)
        one.emit("y", {"a": 1})
        one.close()
        assert [told["log.logger"] for told in at.said()] == ["app.y"]
